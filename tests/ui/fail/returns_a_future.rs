use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn job() -> impl Future<Output = u8> {
    std::future::ready(7)
}

fn main() {}
