#![warn(single_use_lifetimes, unused_lifetimes, elided_lifetimes_in_paths)]

pub struct W<'a>(pub &'a str);

#[guard]
pub fn job<'a, 'b>(text: &'a str) -> W {
    println!("{text}");
    W("a")
}
