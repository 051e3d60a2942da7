#[guard]
#[tokio::main]
async fn main() -> Result<(), std::fmt::Error> {
    7
}
