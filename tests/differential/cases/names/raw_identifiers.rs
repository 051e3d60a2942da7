#[guard]
fn r#match(r#type: u8, r#async: u8) -> u8 {
    println!("in match");
    r#type + r#async
}

fn main() {
    println!("out {}", r#match(1, 2));
}
