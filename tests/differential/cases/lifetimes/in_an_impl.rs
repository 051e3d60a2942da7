struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    #[guard]
    fn first(&self) -> &'a str {
        println!("in first");
        self.0.split(' ').next().unwrap_or_default()
    }

    #[guard]
    fn longer<'b>(&'b self, other: &'b str) -> &'b str {
        println!("in longer");
        if self.0.len() > other.len() { self.0 } else { other }
    }
}

fn main() {
    let words = Words("a b");
    println!("out {} {}", words.first(), words.longer("abcd"));
}
