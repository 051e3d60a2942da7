//! The processes that a family has been found to have.

use core::mem::{self, MaybeUninit};
use core::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, setrlimit};

use super::proc::{Proc, Stat};
use super::{Kin, Member, SPARE_DESCRIPTORS};

/// The table, by ascending pid.
#[derive(Debug)]
pub(super) struct Members<'a> {
    /// The first `length` of it are written.
    pub(super) table: &'a mut [MaybeUninit<Member>],
    pub(super) length: usize,
    /// So many more pidfds can be kept.
    pub(super) pidfds_left: u64,
    pub(super) limit_is_known: bool,
    /// The descriptor limit to put back.
    pub(super) limit_before: Option<Rlimit>,
    /// For a standby: a pid and a birth each, in one number, so that none is ever half written.
    pub(super) left: &'a [AtomicU64],
}

/// Bits of a pid (Linux's `PID_MAX_LIMIT` is 2^22); the birth has the others, enough for a thousand years.
pub(super) const PID_BITS: u32 = 22;

impl Members<'_> {
    /// Raises the soft limit of descriptors, where it is too small for the table, until this is dropped.
    pub(super) fn make_room_for_pidfds(&mut self) {
        if mem::replace(&mut self.limit_is_known, true) {
            return;
        }
        let wanted = self.table.len() as u64 + SPARE_DESCRIPTORS;
        let before = getrlimit(Resource::Nofile);
        let mut limit = before.current;
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        if limit.is_some_and(|limit| limit < wanted) && setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised.current;
            self.limit_before = Some(before);
        }
        let kept = self.known().iter().filter(|member| member.pidfd.is_some()).count() as u64;
        self.pidfds_left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(SPARE_DESCRIPTORS + kept));
    }

    pub(super) fn restore_limit(&mut self) {
        if let Some(limit) = self.limit_before.take() {
            let _ = setrlimit(Resource::Nofile, limit);
            self.limit_is_known = false;
        }
    }

    #[allow(unsafe_code)]
    pub(super) fn known(&self) -> &[Member] {
        // SAFETY: so many places from the front on were written, and are in no other use.
        unsafe { core::slice::from_raw_parts(self.table.as_ptr().cast(), self.length) }
    }

    #[allow(unsafe_code)]
    pub(super) fn known_mut(&mut self) -> &mut [Member] {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts_mut(self.table.as_mut_ptr().cast(), self.length) }
    }

    /// The place of a pid, or where it would be.
    pub(super) fn find(&self, pid: i32) -> Result<usize, usize> {
        self.known().binary_search_by_key(&pid, |member| member.pid)
    }

    pub(super) fn get(&self, pid: i32) -> Option<&Member> {
        self.known().get(self.find(pid).ok()?)
    }

    pub(super) fn is_family(&self, pid: i32) -> bool {
        self.get(pid).is_some_and(|member| member.kin != Kin::Stranger)
    }

    /// Gives it back where there is no room.
    pub(super) fn insert(&mut self, mut member: Member) -> Result<(), Member> {
        let Err(place) = self.find(member.pid) else { return Ok(()) };
        let Some(slot) = self.table.get_mut(self.length) else { return Err(member) };
        if member.place.is_none() && member.kin != Kin::Stranger {
            let value = member.birth << PID_BITS | u64::from(member.pid.unsigned_abs());
            let is_free =
                |left: &AtomicU64| left.compare_exchange(0, value, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            member.place = self.left.iter().position(is_free);
        }
        if member.pidfd.is_some() {
            match self.pidfds_left.checked_sub(1) {
                Some(left) => self.pidfds_left = left,
                None => member.pidfd = None,
            }
        }
        slot.write(member);
        self.length += 1;
        if let Some(moved) = self.known_mut().get_mut(place..) {
            moved.rotate_right(1);
        }
        Ok(())
    }

    /// Those that another process has left: as it found them, and alive.
    pub(super) fn recall(&mut self, proc: &Proc) {
        let closed = self.known_mut().iter_mut().filter_map(|member| member.pidfd.take()).count();
        (self.length, self.pidfds_left) = (0, self.pidfds_left + closed as u64);
        for (place, left) in self.left.iter().enumerate() {
            let value = left.load(Ordering::Acquire);
            if value == 0 {
                continue;
            }
            let (pid, birth) = ((value & ((1 << PID_BITS) - 1)) as i32, value >> PID_BITS);
            let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            let stat = proc.stat(pid).ok().flatten().filter(|stat| stat.birth == birth && !stat.is_dead());
            match stat {
                Some(Stat { name, .. }) => {
                    let place = Some(place);
                    let _ =
                        self.insert(Member { pid, birth, pidfd, name, kin: Kin::Descendant, place, ..Member::EMPTY });
                }
                None => left.store(0, Ordering::Release),
            }
        }
    }

    pub(super) fn forget_the_dead(&mut self, proc: Option<&Proc>) {
        let mut kept = 0;
        for index in 0..self.length {
            let (left, known) = (self.left, self.known_mut());
            let Some(member) = known.get_mut(index) else { break };
            if member.lives(proc) || (member.pidfd.is_none() && proc.is_none()) {
                known.swap(kept, index);
                kept += 1;
                continue;
            }
            if let Some(place) = member.place.take().and_then(|place| left.get(place)) {
                place.store(0, Ordering::Release);
            }
            let had_pidfd = member.pidfd.take().is_some();
            self.pidfds_left += u64::from(had_pidfd);
        }
        self.length = kept;
    }
}

impl Drop for Members<'_> {
    fn drop(&mut self) {
        for member in self.known_mut() {
            member.pidfd = None;
        }
        self.restore_limit();
    }
}
