use std::sync::Arc;

use macro_rules_attribute::apply;
use smol_macros::{Executor, main};

#[guard]
#[apply(main!)]
async fn main(executor: Arc<Executor<'static>>) {
    executor.spawn(async { println!("in task") }).await;
    println!("in main");
}
