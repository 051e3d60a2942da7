#[guard]
fn job() -> impl Iterator<Item = u64> {
    println!("in job");
    (0..3).map(|number| number * 2)
}

fn main() {
    println!("out {:?}", job().collect::<Vec<_>>());
}
