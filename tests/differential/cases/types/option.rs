#[guard]
fn job(text: &str) -> Option<u8> {
    println!("in job {text}");
    let first = text.chars().next()?;
    Some(first as u8)
}

fn main() {
    println!("out {:?} {:?}", job("a"), job(""));
}
