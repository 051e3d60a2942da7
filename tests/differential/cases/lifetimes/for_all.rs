#[guard]
fn job<F>(call: F) -> usize
where
    F: for<'a> Fn(&'a str) -> &'a str,
{
    println!("in job");
    call(" a ").len()
}

fn main() {
    println!("out {}", job(str::trim));
}
