#[guard]
fn job(rounds: u8) -> u8 {
    println!("in job {rounds}");
    fn down(rounds: u8) -> u8 {
        if rounds == 0 { 0 } else { down(rounds - 1) + 1 }
    }
    down(rounds)
}

fn main() {
    println!("out {}", job(3));
}
