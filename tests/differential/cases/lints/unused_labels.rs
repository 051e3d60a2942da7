#[guard]
pub fn job() {
    'label: loop {
        break;
    }
}
