struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard]
fn job(text: &str, _a: D, b: D) -> Result<usize, std::num::ParseIntError> {
    let number: usize = text.parse()?;
    Ok(number + b.0.len())
}

fn main() {
    println!("out {:?}", job("7", D("a"), D("b")));
    println!("out {:?}", job("seven", D("a"), D("b")));
}
