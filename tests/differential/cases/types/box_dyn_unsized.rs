use std::fmt::Debug;

#[guard]
fn job(number: bool) -> Box<dyn Debug> {
    println!("in job");
    if number {
        return Box::new(1);
    }
    Box::new("text")
}

fn main() {
    println!("out {:?} {:?}", job(true), job(false));
}
