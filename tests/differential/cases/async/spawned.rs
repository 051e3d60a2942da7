use std::sync::Arc;

#[guard]
async fn job(text: Arc<str>, words: Vec<String>) -> Result<usize, anyhow::Error> {
    tokio::task::yield_now().await;
    println!("in job");
    let all = futures::future::join_all(words.iter().map(async |word| word.len())).await;
    anyhow::ensure!(!text.is_empty(), "empty");
    Ok(all.iter().sum())
}

#[tokio::main]
async fn main() {
    println!("out {:?}", tokio::spawn(job("a".into(), vec!["b".into()])).await.unwrap());
}
