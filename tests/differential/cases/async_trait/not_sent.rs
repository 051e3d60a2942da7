use std::rc::Rc;

#[async_trait::async_trait(?Send)]
trait Job {
    async fn run(self: Box<Self>, number: Rc<u8>) -> Option<u8>;
}

struct S;

#[async_trait::async_trait(?Send)]
impl Job for S {
    #[guard]
    async fn run(self: Box<Self>, number: Rc<u8>) -> Option<u8> {
        println!("in run");
        let number = (*number > 3).then_some(*number)?;
        Some(number)
    }
}

fn main() {
    println!("out {:?}", futures::executor::block_on(Box::new(S).run(Rc::new(7))));
}
