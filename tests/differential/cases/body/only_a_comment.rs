#[guard]
fn main() {
    // Nothing.
}
