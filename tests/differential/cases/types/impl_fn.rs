#[guard]
fn job(n: usize) -> impl Fn(&str) -> usize {
    println!("in job");
    move |text| text.len() + n
}

fn main() {
    println!("out {}", job(1)("abc"));
}
