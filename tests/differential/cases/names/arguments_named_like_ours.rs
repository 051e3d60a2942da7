#[guard]
fn job(guard: u8, value: u8, run: u8, config: u8, body: u8, __a: u8) -> u8 {
    println!("in job");
    guard + value + run + config + body + __a
}

fn main() {
    println!("out {}", job(1, 2, 3, 4, 5, 6));
}
