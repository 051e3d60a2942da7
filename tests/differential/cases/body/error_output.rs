#[guard]
fn main() -> Result<(), String> {
    eprintln!("to stderr");
    println!("in main");
    Err("line one\nline two".into())
}
