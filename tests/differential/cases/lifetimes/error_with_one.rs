#[derive(Debug)]
struct Error<'a>(&'a str);

#[guard]
fn job(text: &str) -> Result<u8, Error<'_>> {
    println!("in job");
    text.parse().map_err(|_| Error(text))
}

fn main() {
    println!("out {:?}", job("seven"));
}
