#[guard]
unsafe fn job(number: *const u8) -> u8 {
    println!("in job");
    unsafe { *number }
}

fn main() {
    println!("out {}", unsafe { job(&7) });
}
