#[guard]
pub async fn job(lock: &std::sync::Mutex<u8>) {
    let number = lock.lock().unwrap();
    std::future::ready(*number).await;
}
