use guard_runtime::locked_pipeline;

struct Tenant;

#[locked_pipeline(lock = "a.lock", log = "{tenant}.log")]
fn plain(tenant: Tenant) {}

#[locked_pipeline(lock = "a.lock", log = "{tenant}.log")]
async fn later((tenant, _): (Tenant, u8)) {}

fn main() {}
