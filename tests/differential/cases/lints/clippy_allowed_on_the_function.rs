#![deny(clippy::all)]

#[allow(clippy::needless_return, clippy::too_many_arguments)]
#[guard]
pub fn job(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
    return a + b + c + d + e + f + g + h;
}
