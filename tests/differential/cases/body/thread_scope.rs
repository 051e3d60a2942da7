#[guard]
fn main() {
    let mut numbers = vec![3, 1, 2];
    std::thread::scope(|scope| {
        scope.spawn(|| numbers.sort());
    });
    println!("in main {numbers:?}");
}
