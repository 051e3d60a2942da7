#[guard]
pub async fn job() {
    7
}
