#[guard]
fn job(number: u8, #[cfg(windows)] other: u8, #[cfg(unix)] more: u8) -> u8 {
    println!("in job");
    number + more
}

fn main() {
    println!("out {}", job(1, 2));
}
