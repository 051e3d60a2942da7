#[guard]
pub async fn job() -> ! {
    println!("job");
}
