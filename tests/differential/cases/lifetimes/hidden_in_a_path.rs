#![allow(elided_lifetimes_in_paths, mismatched_lifetime_syntaxes)]

#[derive(Debug)]
struct Word<'a>(&'a str);

#[guard]
fn job(text: &str) -> Word {
    println!("in job");
    Word(text.trim())
}

fn main() {
    println!("out {:?}", job(" seven "));
}
