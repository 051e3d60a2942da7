#![deny(warnings)]
use std::pin::Pin;

pub trait Items {
    fn items(&self) -> impl Iterator<Item = u8>;
    fn call(&self) -> impl Fn(&str) -> usize;
    fn boxed(&self) -> Pin<Box<dyn Future<Output = u8> + '_>>;
}

pub struct S(pub Vec<u8>);

impl Items for S {
    #[guard]
    fn items(&self) -> impl Iterator<Item = u8> { self.0.iter().map(|number| number + 1) }

    #[guard]
    fn call(&self) -> impl Fn(&str) -> usize { |text| text.len() }

    #[guard]
    fn boxed(&self) -> Pin<Box<dyn Future<Output = u8> + '_>> { Box::pin(async { self.0[0] }) }
}

impl S {
    #[guard]
    pub fn consume(self) -> Vec<u8> { self.0 }

    #[guard]
    pub async fn later(self) -> Vec<u8> { self.0 }
}

#[guard]
pub fn number() -> u8 { 7 }

#[guard]
pub fn unit() {}

#[guard]
pub fn never() -> ! { loop {} }

#[guard]
pub fn call(n: usize) -> impl Fn(&str) -> usize { move |text| text.len() + n }

#[guard]
pub async fn words(text: &str) -> impl Iterator<Item = &str> { text.split(' ') }

#[guard]
pub async fn boxed(n: usize) -> Box<dyn Fn(&str) -> usize> { Box::new(move |text| text.len() + n) }

#[guard]
pub async fn never_later() -> ! { loop {} }
