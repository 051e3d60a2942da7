//! Standard output and standard error.

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Standard output; also what serves both where they lead to one place.
    Out,
    /// Standard error.
    Err,
}

impl Stdio {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Out, Self::Err];
}

/// Something for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerStdio<T> {
    /// Standard output's.
    pub out: T,
    /// Standard error's.
    pub err: T,
}

impl<T> PerStdio<T> {
    /// That of `stdio`.
    pub fn get(&self, stdio: Stdio) -> &T {
        match stdio {
            Stdio::Out => &self.out,
            Stdio::Err => &self.err,
        }
    }

    /// That of `stdio`, to be changed.
    pub fn get_mut(&mut self, stdio: Stdio) -> &mut T {
        match stdio {
            Stdio::Out => &mut self.out,
            Stdio::Err => &mut self.err,
        }
    }

    /// Both, standard output's first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.out, &self.err].into_iter()
    }

    /// Both, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.out, &mut self.err].into_iter()
    }
}
