fn send<T: Send>(value: T) -> T {
    value
}

#[guard]
pub async fn job(number: std::rc::Rc<u8>) -> u8 {
    std::future::ready(()).await;
    *number
}

pub fn call() {
    let _ = send(job(std::rc::Rc::new(1)));
}
