#[guard]
#[unsafe(no_mangle)]
pub fn a_job_of_its_own() {
    println!("in job");
}

fn main() {
    a_job_of_its_own();
}
