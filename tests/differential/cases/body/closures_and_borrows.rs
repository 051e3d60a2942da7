#[guard]
fn job(words: &mut Vec<String>) -> usize {
    let mut add = |word: &str| words.push(word.to_owned());
    add("a");
    add("b");
    println!("in job");
    words.len()
}

fn main() {
    let mut words = vec![];
    println!("out {} {words:?}", job(&mut words));
}
