//! stub
use guard_runtime::locked_pipeline;
#[locked_pipeline(lock = "/tmp/gt/a.lock", log = "/tmp/gt/a.log")]
fn main() -> Result<(), String> {
    println!("loading");
    log::info!("42 rows");
    eprintln!("err");
    std::process::Command::new("echo").arg("child").status().unwrap();
    if std::env::args().nth(1).as_deref() == Some("sleep") {
        std::thread::sleep(std::time::Duration::from_secs(1000));
    }
    Err("disk on fire".into())
}
