#[guard]
#[cfg_attr(unix, allow(dead_code), must_use)]
fn job() -> u8 {
    println!("in job");
    3
}

fn main() {
    job();
}
