struct Workers(std::thread::JoinHandle<u8>);

#[guard]
fn job() -> Workers {
    println!("in job");
    Workers(std::thread::spawn(|| 7))
}

fn main() {
    println!("out {}", job().0.join().unwrap());
}
