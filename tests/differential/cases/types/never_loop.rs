#[guard]
fn job(mut rounds: u8) -> ! {
    loop {
        rounds -= 1;
        println!("in round {rounds}");
        if rounds == 0 {
            std::process::exit(4);
        }
    }
}

fn main() {
    job(3)
}
