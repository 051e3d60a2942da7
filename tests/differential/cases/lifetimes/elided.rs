#[guard]
fn job(text: &str) -> &str {
    println!("in job");
    text.trim()
}

fn main() {
    println!("out {}", job(" a "));
}
