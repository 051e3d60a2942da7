macro_rules! pair {
    ($t:ty) => { ($t, $t) };
}

#[guard]
fn job() -> pair!(u8) {
    println!("in job");
    (1, 2)
}

fn main() {
    println!("out {:?}", job());
}
