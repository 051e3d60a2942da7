use std::pin::Pin;

#[guard]
fn job(out: &mut Pin<Box<dyn Future<Output = ()>>>) {
    println!("in job");
    *out = Box::pin(async {})
}

fn main() {
    let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async {});
    job(&mut future);
}
