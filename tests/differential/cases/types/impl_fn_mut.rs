#[guard]
fn job(mut n: usize) -> impl FnMut(&str) -> usize {
    println!("in job");
    move |text| {
        n += text.len();
        n
    }
}

fn main() {
    let mut count = job(1);
    println!("out {} {}", count("abc"), count("d"));
}
