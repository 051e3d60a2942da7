macro_rules! job {
    ($name:ident, $lock:expr, $size:expr, $backups:literal) => {
        #[guard(lock = $lock, max_size = $size, backups = $backups)]
        fn $name() {
            println!("in {}", stringify!($name));
        }
    };
}

#[allow(dead_code)]
const LOCK: &str = "constant.lock";

job!(one, "one.lock", "5MB", 3);
job!(two, concat!("two", ".lock"), 5_000_000, 0);
job!(three, LOCK, 5 * 1_000_000, 999);

fn main() {
    one();
    two();
    three();
}
