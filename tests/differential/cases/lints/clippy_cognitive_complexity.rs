#![warn(clippy::cognitive_complexity)]

#[guard]
pub fn job(a: u8) -> u8 {
    if a == 0 {
        println!("0");
    } else if a > 0 && a < 100 {
        println!("more");
    }
    if a == 1 {
        println!("1");
    } else if a > 1 && a < 100 {
        println!("more");
    }
    if a == 2 {
        println!("2");
    } else if a > 2 && a < 100 {
        println!("more");
    }
    if a == 3 {
        println!("3");
    } else if a > 3 && a < 100 {
        println!("more");
    }
    if a == 4 {
        println!("4");
    } else if a > 4 && a < 100 {
        println!("more");
    }
    if a == 5 {
        println!("5");
    } else if a > 5 && a < 100 {
        println!("more");
    }
    if a == 6 {
        println!("6");
    } else if a > 6 && a < 100 {
        println!("more");
    }
    if a == 7 {
        println!("7");
    } else if a > 7 && a < 100 {
        println!("more");
    }
    if a == 8 {
        println!("8");
    } else if a > 8 && a < 100 {
        println!("more");
    }
    if a == 9 {
        println!("9");
    } else if a > 9 && a < 100 {
        println!("more");
    }
    if a == 10 {
        println!("10");
    } else if a > 10 && a < 100 {
        println!("more");
    }
    if a == 11 {
        println!("11");
    } else if a > 11 && a < 100 {
        println!("more");
    }
    if a == 12 {
        println!("12");
    } else if a > 12 && a < 100 {
        println!("more");
    }
    if a == 13 {
        println!("13");
    } else if a > 13 && a < 100 {
        println!("more");
    }

    7
}
