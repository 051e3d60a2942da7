//! Bytes in a room of fixed size: what does not fit stays outside.

use core::fmt;
use core::ops::Deref;

/// A byte buffer over borrowed memory. It never grows.
#[derive(Debug, Default)]
pub struct Buffer<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Buffer<'a> {
    /// An empty buffer with as much room as `room` has.
    #[inline]
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0 }
    }

    /// Bytes that it holds at most.
    pub fn capacity(&self) -> usize {
        self.room.len()
    }

    /// Bytes that still fit.
    #[inline]
    pub fn space(&self) -> usize {
        self.room.len() - self.length
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Removes what stands behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Removes the first `count` bytes; the rest moves to the front.
    pub fn discard_front(&mut self, count: usize) {
        let count = count.min(self.length);
        self.room.copy_within(count..self.length, 0);
        self.length -= count;
    }

    /// Moves the first `count` bytes behind the others.
    pub fn move_to_back(&mut self, count: usize) {
        let count = count.min(self.length);
        self.room.get_mut(..self.length).unwrap_or_default().rotate_left(count);
    }

    /// Appends as much from the front of `bytes` as fits; returns how much that is.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.space());
        if let (Some(space), Some(bytes)) = (self.room.get_mut(self.length..self.length + count), bytes.get(..count)) {
            space.copy_from_slice(bytes);
        }
        self.length += count;
        count
    }

    /// Puts `bytes` in the place of as many at `at`, where there are so many.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.room.get_mut(..self.length).and_then(|held| held.get_mut(at..at + bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    /// Appends one byte, where it fits.
    pub fn push(&mut self, byte: u8) {
        if let Some(slot) = self.room.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    /// The room behind the bytes, to read into. [`Self::advance`] then says how much of it was filled.
    pub fn space_mut(&mut self) -> &mut [u8] {
        self.room.get_mut(self.length..).unwrap_or_default()
    }

    /// So many bytes of the space were filled.
    pub fn advance(&mut self, count: usize) {
        self.length += count.min(self.space());
    }
}

impl Deref for Buffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }
}

/// What does not fit is cut off.
impl fmt::Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn what_does_not_fit_stays_outside() {
        let mut room = [0; 8];
        let mut buffer = Buffer::new(&mut room);
        assert_eq!((buffer.extend(b"hello"), buffer.space()), (5, 3));
        assert_eq!(buffer.extend(b" world"), 3);
        assert_eq!(&*buffer, b"hello wo");
        buffer.move_to_back(6);
        assert_eq!(&*buffer, b"wohello ");
        buffer.move_to_back(2);
        buffer.push(b'x');
        buffer.discard_front(6);
        assert_eq!(&*buffer, b"wo");
        write!(buffer, "{}", 1_234_567_890).unwrap();
        assert_eq!(&*buffer, b"wo123456");
        buffer.truncate(3);
        buffer.space_mut()[..2].copy_from_slice(b"ab");
        buffer.advance(2);
        assert_eq!(&*buffer, b"wo1ab");
        buffer.discard_front(100);
        buffer.truncate(100);
        buffer.advance(100);
        assert_eq!(buffer.len(), 8);
    }
}
