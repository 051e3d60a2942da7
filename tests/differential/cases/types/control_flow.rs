use std::ops::ControlFlow;

#[guard]
fn job(stop: bool) -> ControlFlow<u8, u8> {
    println!("in job {stop}");
    if stop {
        ControlFlow::Break(3)?;
    }
    ControlFlow::Continue(4)
}

fn main() {
    println!("out {:?} {:?}", job(true), job(false));
}
