#[guard]
fn job() -> impl IntoIterator<Item = impl Into<String>> {
    println!("in job");
    ["a", "b"]
}

fn main() {
    println!("out {}", job().into_iter().map(Into::into).collect::<String>());
}
