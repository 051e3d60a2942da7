macro_rules! guarded {
    ($item:item) => {
        #[guard]
        $item
    };
}

guarded! {
    fn job(number: u8) -> u8 {
        println!("in job");
        number
    }
}

fn main() {
    println!("out {}", job(1));
}
