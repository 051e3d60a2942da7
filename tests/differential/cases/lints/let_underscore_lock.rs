#[guard]
pub fn job(lock: &std::sync::Mutex<u8>) {
    let _ = lock.lock();
}
