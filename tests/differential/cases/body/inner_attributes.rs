#[guard]
fn main() {
    #![allow(unused_variables)]
    let unused = 1;
    println!("in main");
}
