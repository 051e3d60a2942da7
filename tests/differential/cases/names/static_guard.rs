#![allow(non_upper_case_globals, dead_code)]

static guard: u8 = 0;
static value: u8 = 0;
static result: u8 = 0;
const future: u8 = 0;
static run: u8 = 0;
const call: u8 = 1;
static argument_0: u8 = 0;

#[guard]
fn job((a, _): (u8, u8)) -> Result<u8, u8> {
    println!("in job {a}");
    Ok(guard + value + result + future + run + call + argument_0)
}

fn main() {
    println!("out {:?}", job((1, 2)));
}
