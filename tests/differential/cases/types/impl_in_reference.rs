use std::fmt::Debug;

#[guard]
fn job(text: &String) -> &impl Debug {
    println!("in job");
    text
}

fn main() {
    println!("out {:?}", job(&"text".into()));
}
