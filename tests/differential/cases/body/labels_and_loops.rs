#[guard]
fn job(limit: u8) -> u8 {
    let found = 'outer: loop {
        for a in 0..9 {
            for b in 0..9 {
                if a * b == limit {
                    break 'outer a;
                }
            }
        }
        return 0;
    };
    println!("in job");
    'block: {
        if found > 3 {
            break 'block 1;
        }
        found
    }
}

fn main() {
    println!("out {} {}", job(6), job(71));
}
