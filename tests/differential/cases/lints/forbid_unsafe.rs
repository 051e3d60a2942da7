#![forbid(unsafe_code)]
#![deny(warnings)]

#[guard(max_size = "5MB")]
pub fn job() {
    println!("job");
}
