trait Source {
    type Item;
    fn get(&self) -> Self::Item;
}

struct S;

impl Source for S {
    type Item = u8;

    #[guard]
    fn get(&self) -> Self::Item {
        println!("in get");
        7
    }
}

fn main() {
    println!("out {}", S.get());
}
