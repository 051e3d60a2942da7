//! A reader that discards everything out of a pipe of 1 MiB, and lets data gather for 0.2 ms between two reads: the least that a
//! collector of lines can cost.
use std::io::Read;
use std::time::Duration;

fn main() {
    // SAFETY: sets the capacity of standard input's pipe.
    #[allow(unsafe_code)]
    unsafe {
        libc::fcntl(0, libc::F_SETPIPE_SZ, 1024 * 1024);
    }
    let mut buffer = vec![0; 256 * 1024];
    while std::io::stdin().lock().read(&mut buffer).is_ok_and(|count| count > 0) {
        std::thread::sleep(Duration::from_micros(200));
    }
}
