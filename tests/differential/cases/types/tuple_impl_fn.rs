#[guard]
fn job<T: Copy + Into<usize>>(n: T) -> (impl Fn(&str) -> usize, T) {
    println!("in job");
    (move |text| text.len() + n.into(), n)
}

fn main() {
    println!("out {}", job(1_u8).0("abc"));
}
