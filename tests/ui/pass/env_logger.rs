//! A logger of the program's own, installed in the body.
#![deny(warnings)]

#[guard_runtime::locked_pipeline(lock = "env_logger.lock", log = "env_logger.log", logger = false)]
fn main() {
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).init();
    log::info!("from env_logger");
    let log = || std::fs::read_to_string("env_logger.log").unwrap();
    let start = std::time::Instant::now();
    while !log().contains("from env_logger") {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{}", log());
    }
}
