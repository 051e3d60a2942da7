//@ edition: 2021
use std::sync::Mutex;

#[guard]
fn job(numbers: Mutex<Vec<u8>>, (more, _): (Mutex<u8>, u8)) -> u8 {
    *numbers.lock().unwrap().first().unwrap() + *more.lock().unwrap()
}

fn main() {
    println!("out {}", job(Mutex::new(vec![1]), (Mutex::new(2), 3)));
}
