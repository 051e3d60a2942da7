#[guard]
fn job(number: &u8) -> *const u8 {
    println!("in job");
    number
}

fn main() {
    println!("out {}", job(&1).is_null());
}
