use std::sync::Arc;

use macro_rules_attribute::apply;
use smol_macros::{Executor, main};

#[apply(main!)]
#[guard]
async fn main(executor: Arc<Executor<'static>>) {
    executor.spawn(async { println!("in task") }).await;
    println!("in main");
}
