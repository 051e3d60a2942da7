#![no_implicit_prelude]

#[guard]
fn main() -> ::std::result::Result<(), ::std::string::String> {
    ::std::println!("in main");
    ::std::result::Result::Ok(())
}
