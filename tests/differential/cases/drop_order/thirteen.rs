#![allow(clippy::too_many_arguments)]
#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

#[guard]
fn job(a0: D, a1: D, a2: D, a3: D, a4: D, a5: D, a6: D, a7: D, a8: D, a9: D, a10: D, a11: D, a12: D) {
    let _local = D("local");
    println!("in body");
}

fn main() {
    job(D("0"), D("1"), D("2"), D("3"), D("4"), D("5"), D("6"), D("7"), D("8"), D("9"), D("10"), D("11"), D("12"));
    println!("out after");
}
