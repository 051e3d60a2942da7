#[guard]
pub fn job() -> ! {
    println!("job");
}
