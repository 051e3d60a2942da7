use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

struct S(u8);

impl S {
    #[guard]
    fn rc(self: Rc<Self>) -> u8 {
        println!("in rc");
        self.0
    }

    #[guard]
    fn arc(self: &Arc<Self>) -> u8 {
        println!("in arc");
        self.0
    }

    #[guard]
    fn pin(mut self: Pin<&mut Self>) -> u8 {
        println!("in pin");
        self.0 += 1;
        self.0
    }

    #[guard]
    fn explicit(self: &mut Self) -> &mut u8 {
        println!("in explicit");
        &mut self.0
    }
}

fn main() {
    let mut s = S(1);
    println!("out {} {}", Rc::new(S(1)).rc(), Arc::new(S(2)).arc());
    println!("out {}", Pin::new(&mut s).pin());
    println!("out {}", s.explicit());
}
