use std::pin::Pin;
use std::thread;

use guard_runtime::locked_pipeline;

type Boxed = Pin<Box<dyn Future<Output = u8>>>;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn job() -> Boxed {
    Box::pin(async { 7 })
}

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn task(runtime: &tokio::runtime::Runtime) -> tokio::task::JoinHandle<u8> {
    runtime.spawn(async { 7 })
}

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn in_a_result() -> Result<std::future::Ready<u8>, String> {
    Ok(std::future::ready(7))
}

// No future.
#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn thread() -> thread::JoinHandle<u8> {
    thread::spawn(|| 7)
}

fn main() {}
