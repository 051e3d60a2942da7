#[guard]
fn job<'a, 'b: 'a>(one: &'a str, two: &'b str) -> &'a str {
    println!("in job");
    if one.is_empty() { two } else { one }
}

fn main() {
    println!("out {}", job("", "b"));
}
