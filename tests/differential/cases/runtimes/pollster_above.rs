#[pollster::main]
#[guard]
async fn main() -> Result<(), String> {
    println!("in main");
    Err("no".into())
}
