#![deny(missing_docs)]
//! Documented.
macro_rules! guarded {
    ($(#[$meta:meta])* $item:item) => {
        #[guard]
        $(#[$meta])*
        $item
    };
}

guarded! {
    /// Documented.
    #[must_use]
    pub fn job(number: u8) -> u8 {
        println!("in job");
        number
    }
}

fn main() {
    job(1);
}
