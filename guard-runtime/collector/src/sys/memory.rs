//! A helper lets go of the memory that its run had before the fork. Linux.

use core::mem::MaybeUninit;
use core::ops::Range;

use rustix::fs::{Mode, OFlags, open};

use crate::buffer::Buffer;

/// What a helper keeps of the memory that its run had; found out before the fork, where this costs less.
pub(crate) struct Kept {
    ranges: [Range<usize>; 4],
    page: usize,
}

impl Kept {
    /// `own` is the helpers' own.
    pub(crate) fn new([private, shared]: [Range<usize>; 2]) -> Self {
        bind_symbols();
        let page = page_size();
        // The kernel writes to the thread block (rseq(2)), and functions of C that are under way check the stack
        // protector's value there. It starts at what pthread_self(3) says, and what is needed before that is near: a whole
        // page might be somebody else's, which the kernel has joined to the same mapping.
        let block = thread_block();
        let block = block.saturating_sub(512)..block + page;
        Self { ranges: [private, shared, memory_of_libc(), block], page }
    }

    /// Drops the pages of all other private anonymous memory but this thread's stack from `stack` down: a helper must not
    /// hold what its run does (each page that both have is copied at the run's next write to it), and its secrets least of
    /// all. File mappings stay, for they hold the program's relocated pointers.
    ///
    /// Without /proc it does nothing. 32-bit x86 is left out: there rustix asks the auxiliary vector again for each system
    /// call's address, which before Linux 6.4 takes an allocation.
    pub(crate) fn let_go_of_the_rest(&self, stack: usize) {
        if cfg!(target_arch = "x86") {
            return;
        }
        let mut room = [0; 4096];
        let stack = (room.as_ptr() as usize).saturating_sub(STACK_BELOW)..stack;
        let keep = self.ranges.iter().chain([&stack]);
        let Ok(maps) = open(c"/proc/self/maps", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return };
        let mut text = Buffer::new(&mut room);
        loop {
            let count = match rustix::io::read(&maps, text.space_mut()) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            text.advance(count);
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &text) {
                if let Some(mapping) = text.get(start..end).and_then(anonymous_mapping) {
                    drop_all_but(mapping, self.page, &keep);
                }
                start = end + 1;
            }
            text.discard_front(start);
            // A line with a long path: its end says nothing that is wanted.
            if text.space() == 0 {
                text.truncate(FIELDS);
            }
        }
    }
}

#[allow(unsafe_code)]
fn page_size() -> usize {
    // SAFETY: it only tells.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096).max(4096)
}

/// The C library's own zero-initialised memory, which a helper keeps: glibc's memcpy looks there for the sizes at which it
/// changes its method. Asked before the fork, for it takes the loader's lock.
#[allow(unsafe_code)]
fn memory_of_libc() -> Range<usize> {
    struct Search {
        inside: usize,
        found: Range<usize>,
    }
    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: usize, search: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the loader's description of a module, and the value below.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        // SAFETY: the module's program headers, as many as it says.
        let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let base = info.dlpi_addr as usize;
        let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
            let start = base.wrapping_add(header.p_vaddr as usize);
            (start, start + header.p_filesz as usize, start + header.p_memsz as usize)
        });
        if loaded.clone().any(|(start, _, end)| (start..end).contains(&search.inside))
            && let Some((_, zeroes, end)) = loaded.clone().max_by_key(|(_, zeroes, end)| end - zeroes)
        {
            search.found = zeroes..end;
        }
        0
    }
    let mut search = Search { inside: inside_libc(), found: 0..0 };
    // SAFETY: the function and what it is given are those above.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.found
}

/// An address in the C library: of a text, since that of a function may be an entry of the program's own table.
#[allow(unsafe_code)]
fn inside_libc() -> usize {
    #[cfg(target_env = "gnu")]
    // SAFETY: it returns a constant.
    return unsafe { libc::gnu_get_libc_version() as usize };
    #[cfg(not(target_env = "gnu"))]
    return libc::memcpy as *const () as usize;
}

#[allow(unsafe_code)]
fn thread_block() -> usize {
    // SAFETY: it only tells where this thread's block is.
    unsafe { libc::pthread_self() as usize }
}

/// What a helper calls is bound now, where the program binds its symbols lazily: the linker's own memory goes too. So does
/// what std knows of the processor, by which memchr picks its functions: each asks for it once, and in a virtual machine the
/// question takes 20 us.
#[allow(unsafe_code)]
fn bind_symbols() {
    let (mut to, from) = ([0_u8; 64], [1_u8; 64]);
    let (to, from) = (core::hint::black_box(to.as_mut_ptr()), core::hint::black_box(from.as_ptr()));
    let count = core::hint::black_box(64);
    core::hint::black_box((
        memchr::memchr(1, &[0]),
        memchr::memchr2(1, 2, &[0]),
        memchr::memchr3(1, 2, 3, &[0]),
        memchr::memrchr(1, &[0]),
    ));
    // SAFETY: both arrays are that long; a descriptor of -1 is refused; a timespec is written; the masks are.
    unsafe {
        libc::memcpy(to.cast(), from.cast(), count);
        libc::memmove(to.cast(), from.cast(), count);
        libc::memset(to.cast(), 0, count);
        core::hint::black_box(libc::memcmp(to.cast(), from.cast(), count));
        libc::close(-1);
        libc::syscall(libc::SYS_getpid);
        super::clock(libc::CLOCK_MONOTONIC);
        libc::__errno_location();
        let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigfillset(mask.as_mut_ptr());
        libc::sigdelset(mask.as_mut_ptr(), libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, core::ptr::null(), mask.as_mut_ptr());
    }
}

/// More than the functions called from [`Kept::let_go_of_the_rest`] need.
const STACK_BELOW: usize = 16 * 1024;
/// Where a path starts in a line of /proc/self/maps.
const FIELDS: usize = 73;

/// The range of a line of /proc/self/maps (proc(5)) that is private and has no file behind it.
fn anonymous_mapping(line: &[u8]) -> Option<Range<usize>> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let (range, permissions, inode) = (fields.next()?, fields.next()?, fields.nth(2)?);
    if !permissions.ends_with(b"p") || inode != b"0" {
        return None;
    }
    let name = fields.next().unwrap_or_default().trim_ascii_start();
    let is_special = name.starts_with(b"[v") || name.starts_with(b"[uprobes");
    let mut ends = range.split(|&byte| byte == b'-').map(hexadecimal);
    let range = ends.next()??..ends.next()??;
    (!is_special).then_some(range)
}

/// A number in lower case. (std's function is in a page of the program that is not there yet in a new process.)
fn hexadecimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number.checked_mul(16)?.checked_add(usize::from(value))
    })
}

/// Drops what of the mapping no `keep` covers.
#[allow(unsafe_code)]
fn drop_all_but<'a>(mapping: Range<usize>, page: usize, keep: &(impl Iterator<Item = &'a Range<usize>> + Clone)) {
    let mut start = mapping.start;
    while start < mapping.end {
        // The next kept range that reaches into what is left.
        let next = keep.clone().filter(|keep| keep.end > start).min_by_key(|keep| keep.start);
        let end = next.map_or(mapping.end, |next| (next.start & !(page - 1)).clamp(start, mapping.end));
        if end > start {
            // SAFETY: nothing that runs in a helper from here on looks at it. What cannot be dropped (locked memory of
            // some kinds) stays.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
        start = next.map_or(mapping.end, |next| (next.end + page - 1) & !(page - 1));
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    #[test]
    fn mappings() {
        for (line, range) in [
            ("7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]", true),
            ("7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ", true),
            ("7f0000000000-7f0000001000 r--p 00000000 00:00 0 ", true),
            ("55d0c0000000-55d0c0001000 rw-p 00000000 00:00 0                          [heap]", true),
            ("7f0000000000-7f0000001000 rw-s 00000000 00:01 1                          /dev/zero (deleted)", false),
            ("7f0000000000-7f0000001000 rw-p 00003000 fe:00 1234                       /usr/lib/a b.so", false),
            ("7ffe00000000-7ffe00002000 r-xp 00000000 00:00 0                          [vdso]", false),
            ("7ffe00000000-7ffe00004000 r--p 00000000 00:00 0                          [vvar]", false),
            ("garbage", false),
        ] {
            assert_eq!(anonymous_mapping(line.as_bytes()).is_some(), range, "{line}");
        }
    }

    #[test]
    fn what_is_kept_stays() {
        // SAFETY: a mapping of this test's own, six pages.
        unsafe {
            let start = libc::mmap(
                core::ptr::null_mut(),
                6 * PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            ) as usize;
            let page = |number: usize| &mut *((start + number * PAGE) as *mut u8);
            (0..6).for_each(|number| *page(number) = 1);
            let (page_size, keep) =
                (page_size(), [start + PAGE + 10..start + PAGE + 20, start + 4 * PAGE..start + 5 * PAGE, 0..PAGE]);
            drop_all_but(start..start + 6 * PAGE, page_size, &keep.iter());
            assert_eq!([0, 1, 2, 3, 4, 5].map(|number| *page(number)), [0, 1, 0, 0, 1, 0]);
            libc::munmap(start as *mut libc::c_void, 6 * PAGE);
        }
    }
}
