use guard_runtime::locked_pipeline as once;

#[once(lock = "run.lock", log = "run.log")]
fn main() {
    println!("in main");
}
