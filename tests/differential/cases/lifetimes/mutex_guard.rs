use std::sync::{Mutex, MutexGuard, PoisonError};

#[guard]
fn job(number: &Mutex<u8>) -> Result<MutexGuard<'_, u8>, PoisonError<MutexGuard<'_, u8>>> {
    println!("in job");
    number.lock()
}

fn main() {
    println!("out {:?}", job(&Mutex::new(1)).map(|number| *number).unwrap());
}
