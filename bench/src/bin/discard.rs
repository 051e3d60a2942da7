//! A reader that discards everything: what a pipe costs by itself. The argument is the size of a read.
use std::io::Read;

fn main() {
    let room = std::env::args().nth(1).and_then(|room| room.parse().ok()).unwrap_or(65536);
    let mut buffer = vec![0; room];
    while std::io::stdin().lock().read(&mut buffer).is_ok_and(|count| count > 0) {}
}
