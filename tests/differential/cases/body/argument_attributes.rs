#[guard]
fn job(#[allow(unused_variables)] number: u8, #[expect(unused_variables)] other: u8) {
    println!("in job");
}

fn main() {
    job(1, 2);
}
