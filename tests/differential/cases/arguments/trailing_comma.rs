#[::guard_runtime::locked_pipeline(lock = "run.lock", log = "run.log", backups = 3,)]
fn main() {
    println!("in main");
}
