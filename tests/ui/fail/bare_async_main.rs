use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
async fn main() {
    let number: u8 = std::future::ready(7).await;
    let _ = number;
}
