#[guard]
fn job() -> impl for<'a> Fn(&'a str) -> &'a str {
    println!("in job");
    |text| text.trim()
}

fn main() {
    println!("out {}", job()(" abc "));
}
