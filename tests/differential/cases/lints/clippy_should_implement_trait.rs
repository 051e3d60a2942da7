pub struct S(u8);

impl S {
    #[guard]
    pub fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    #[guard]
    pub fn to_number(self) -> u8 {
        self.0
    }

    #[guard]
    pub fn new() -> u8 {
        7
    }
}
