//@ edition: 2018
#![deny(warnings)]

pub struct S(pub Vec<u8>);

impl S {
    #[guard]
    pub fn consume(self) -> Vec<u8> { self.0 }

    #[guard]
    pub async fn later(&self, text: &str) -> usize { text.len() + self.0.len() }

    #[guard]
    pub fn call(&self) -> impl Fn(&str) -> usize { |text| text.len() }
}
