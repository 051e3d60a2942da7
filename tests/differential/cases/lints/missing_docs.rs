#![warn(missing_docs)]
//! Documented.

#[guard]
pub fn job() {
    println!("job");
}
