#[guard]
#[pollster::main]
async fn main() -> Result<(), String> {
    println!("in main");
    Err("no".into())
}
