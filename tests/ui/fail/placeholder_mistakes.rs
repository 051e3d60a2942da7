use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "{tennant}.lock", log = "a.log")]
fn near(tenant: &str, (a, _): (u8, u8)) {}

#[locked_pipeline(lock = "a.lock", log = "{tenant}.log")]
fn none() {}

struct Job;

impl Job {
    #[locked_pipeline(lock = "a.lock", log = "{self}.log")]
    fn of_self(&self, tenant: &str) {}
}

#[locked_pipeline(lock = "{tenant:?}.lock", log = "{tenant.log", status = "tenant}.json", metrics = "{}.prom")]
fn form(tenant: &str) {}

#[locked_pipeline(lock = "a.lock", log = "a.log", on_end = "curl https://example.org/{tenant}")]
fn command(tenant: &str) {}

#[locked_pipeline(lock = "a.lock", log = "a.log", crate = "{tenant}")]
fn path(tenant: &str) {}

// A shell's own braces are fine.
#[locked_pipeline(lock = "a.lock", log = "a.log", on_end = "awk '{print}' ${tenant}")]
fn shell(tenant: &str) {}

fn main() {}
