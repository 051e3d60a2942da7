#[guard]
fn job(shown: &dyn std::fmt::Debug, [a, .., b]: [u8; 4], numbers: &mut [u8], range @ std::ops::Range { .. }: std::ops::Range<u8>) -> usize {
    numbers[0] = a;
    println!("in job {shown:?} {range:?}");
    usize::from(b)
}

fn main() {
    println!("out {}", job(&"a", [1, 2, 3, 4], &mut [5], 1..2));
}
