#[guard]
fn job<T: Iterator<Item = u8>>(mut items: T) -> <T as Iterator>::Item {
    println!("in job");
    items.next().unwrap()
}

fn main() {
    println!("out {}", job(1..3));
}
