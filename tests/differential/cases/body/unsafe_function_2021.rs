//@ edition: 2021
#[guard]
unsafe fn job(number: *const u8) -> u8 {
    println!("in job");
    *number
}

fn main() {
    println!("out {}", unsafe { job(&7) });
}
