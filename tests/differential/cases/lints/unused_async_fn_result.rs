#[guard]
pub async fn job() -> Result<(), String> {
    Ok(())
}

pub async fn call() {
    job().await;
    job();
}
