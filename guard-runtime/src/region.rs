//! Memory for the helpers, mapped before the fork: all that they keep of it.

use std::ffi::c_char;
use std::io;
use std::ops::Range;
use std::ptr::null_mut;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A mapping of zeroes, lent out from front to back. The run unmaps its own copy once the helpers have theirs.
pub(crate) struct Region {
    start: usize,
    size: usize,
    used: usize,
}

impl Region {
    /// Private: after the fork each process has its own.
    ///
    /// # Errors
    /// As mmap(2): `ENOMEM` at a limit of the address space.
    pub(crate) fn private(size: usize) -> io::Result<Self> {
        Self::map(size, MapFlags::PRIVATE)
    }

    /// Shared: what a helper writes to it the others see.
    ///
    /// # Errors
    /// As mmap(2).
    pub(crate) fn shared(size: usize) -> io::Result<Self> {
        Self::map(size, MapFlags::SHARED)
    }

    #[allow(unsafe_code)]
    fn map(size: usize, flags: MapFlags) -> io::Result<Self> {
        // SAFETY: a new mapping, where the system has room for it.
        let start = unsafe { mmap_anonymous(null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, flags)? };
        #[cfg(target_os = "linux")]
        // SAFETY: asks that a page touched be a page taken, not 2 MiB. A kernel without huge pages refuses it.
        let _ = unsafe { rustix::mm::madvise(start, size, rustix::mm::Advice::LinuxNoHugepage) };
        Ok(Self { start: start as usize, size, used: 0 })
    }

    /// The next so many bytes.
    ///
    /// # Panics
    /// Where the region was made too small for what is lent out of it: `guard_collector::MEMORY` says how much that is.
    #[allow(unsafe_code)]
    pub(crate) fn lend(&mut self, bytes: usize) -> &'static mut [u8] {
        let place = self.take(bytes);
        // SAFETY: mapped and lent once. It is not unmapped in a helper, and in the run only when what it was lent to is gone
        // (`launch`).
        unsafe { std::slice::from_raw_parts_mut(place, bytes) }
    }

    /// Room for so many pointers, all null.
    #[allow(unsafe_code)]
    pub(crate) fn lend_pointers(&mut self, count: usize) -> &'static mut [*const c_char] {
        let place = self.take(count * size_of::<*const c_char>()).cast();
        // SAFETY: as in `lend`; a mapping's zeroes are null pointers.
        unsafe { std::slice::from_raw_parts_mut(place, count) }
    }

    /// Moves a value there. Whoever unmaps the region drops it first.
    #[allow(unsafe_code)]
    pub(crate) fn place<T>(&mut self, value: T) -> &'static mut T {
        let place = self.take(size_of::<T>()).cast::<T>();
        // SAFETY: as in `lend`; aligned by `take`.
        unsafe {
            place.write(value);
            &mut *place
        }
    }

    /// Aligned for whatever may be put there.
    fn take(&mut self, bytes: usize) -> *mut u8 {
        const ALIGNMENT: usize = 64;
        let (place, end) = (self.start + self.used, self.used + bytes.next_multiple_of(ALIGNMENT));
        assert!(end <= self.size, "the region is too small");
        self.used = end;
        place as *mut u8
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.size
    }
}

impl Drop for Region {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: what was lent out of it is not used any more (see `lend`).
        let _ = unsafe { munmap(self.start as *mut _, self.size) };
    }
}
