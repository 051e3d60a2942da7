//! An allocator that refuses to work in a helper process, where a lock of malloc's may have been held at the fork. It
//! leaves a file there that the test finds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CString;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// The process that may allocate; 0 before there is one.
static ALLOWED: AtomicU32 = AtomicU32::new(0);
/// The file to leave where another does.
static TRACE: OnceLock<CString> = OnceLock::new();

/// From now on this process alone may allocate.
pub(crate) fn watch(directory: &Path) {
    let trace = directory.join("allocated").into_os_string().into_encoded_bytes();
    TRACE.set(CString::new(trace).unwrap()).unwrap();
    allow_this_process();
}

/// The subject forked it, and it is no helper.
pub(crate) fn allow_this_process() {
    ALLOWED.store(std::process::id(), Ordering::Relaxed);
}

fn check() {
    let allowed = ALLOWED.load(Ordering::Relaxed);
    if allowed != 0 && allowed != std::process::id() {
        // SAFETY: system calls with a path that is never freed.
        unsafe {
            libc::open(TRACE.get().unwrap().as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o600);
            libc::_exit(99);
        }
    }
}

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
