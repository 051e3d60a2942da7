use std::sync::Mutex;

#[async_trait::async_trait]
trait Job {
    async fn run(&self, text: &str, words: Vec<String>) -> Result<usize, String>;
}

struct S(Mutex<u8>);

#[async_trait::async_trait]
impl Job for S {
    #[guard]
    async fn run(&self, text: &str, words: Vec<String>) -> Result<usize, String> {
        tokio::task::yield_now().await;
        println!("in run {text}");
        *self.0.lock().unwrap() += 1;
        if words.is_empty() {
            return Err("none".into());
        }
        Ok(words.len())
    }
}

#[tokio::main]
async fn main() {
    let job: Box<dyn Job + Sync> = Box::new(S(Mutex::new(1)));
    println!("out {:?} {:?}", job.run("a", vec![]).await, job.run("b", vec!["c".into()]).await);
}
