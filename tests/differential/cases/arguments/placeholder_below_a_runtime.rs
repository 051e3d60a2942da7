#[guard(lock = "run-{tenant}.lock")]
#[tokio::main]
async fn job(tenant: &str) -> usize {
    tokio::task::yield_now().await;
    println!("in job");
    tenant.len()
}

fn main() {
    println!("out {}", job("abc"));
}
