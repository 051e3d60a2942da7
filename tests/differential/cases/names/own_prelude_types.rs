#![allow(dead_code)]

struct Option;
struct Box;
struct Ok;
struct Err;
struct Some;
struct None;
enum Result {}
struct String;
trait Future {}
trait Sized {}
trait Drop {}

#[guard]
fn main() {
    println!("in main");
}
