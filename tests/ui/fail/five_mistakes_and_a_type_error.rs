use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = 1, log = "a.log", log = "b.log", bakcups = 3, level = "loud", max_size)]
fn main() {
    let number: u8 = "7";
}
