#[guard]
fn job(text: Option<&str>) -> usize {
    let Some(text) = text else {
        println!("in else");
        return 0;
    };
    println!("in job");
    text.len()
}

fn main() {
    println!("out {} {}", job(Some("abc")), job(None));
}
