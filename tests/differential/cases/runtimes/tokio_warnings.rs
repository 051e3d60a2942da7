#[guard]
#[tokio::main]
async fn main() {
    let unused = 7;
    let mut fine = 8;
    println!("in main {fine}");
}
