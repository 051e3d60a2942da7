#[guard]
fn job(_: &str) -> &'static str {
    println!("in job");
    "static"
}

fn main() {
    println!("out {}", job(&String::from("a")));
}
