#[guard]
pub fn job(mut n: usize, unused: u8) -> impl Fn(&str) -> usize {
    move |text| text.len() + n
}
