#[guard]
pub fn job() {
    use std::collections::HashMap;
    println!("job");
}
