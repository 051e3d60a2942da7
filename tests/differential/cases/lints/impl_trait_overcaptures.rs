//@ edition: 2021
#![warn(impl_trait_overcaptures)]

#[guard]
pub fn job(text: &str) -> impl Sized {
    println!("{text}");
}
