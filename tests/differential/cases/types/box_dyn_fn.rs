#[guard]
fn job(n: usize) -> Box<dyn Fn(&str) -> usize> {
    println!("in job");
    Box::new(move |text| text.len() + n)
}

fn main() {
    println!("out {}", job(1)("abc"));
}
