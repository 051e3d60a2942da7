//@ edition: 2021
use std::fmt::Display;

#[guard]
fn job(text: &str) -> impl Display + '_ {
    println!("in job");
    text
}

fn main() {
    println!("out {}", job("text"));
}
