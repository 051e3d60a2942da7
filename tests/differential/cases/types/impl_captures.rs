#[guard]
fn job<'a>(text: &'a str, part: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    println!("in job {part}");
    text.split(' ')
}

fn main() {
    let text = String::from("a b");
    let parts = job(&text, &String::from("x"));
    println!("out {:?}", parts.collect::<Vec<_>>());
}
