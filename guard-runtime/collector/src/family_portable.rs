//! The family of a run, where there is no `/proc` of Linux's: nobody can be looked for. The run itself is signalled, and its
//! process group where it leads one ([`signal_run`](crate::sys::signal_run)).

use core::fmt::{self, Display, Write};
use core::marker::PhantomData;

use rustix::fd::BorrowedFd;
use rustix::fs::Stat;
use rustix::process::Signal;

use crate::buffer::Buffer;

/// Nobody can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blind;

impl Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this system does not tell")
    }
}

/// A captured stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId;

impl StreamId {
    /// Nobody asks.
    pub fn of(_: &Stat) -> Option<Self> {
        None
    }
}

/// No memory is needed.
#[derive(Debug)]
pub struct FamilyMemory<'a>(PhantomData<&'a mut [u8]>);

impl<'a> FamilyMemory<'a> {
    /// Bytes of memory of its own.
    pub const PRIVATE: usize = 0;
    /// Bytes that are shared with whoever takes over.
    pub const SHARED: usize = 0;

    /// Of no memory.
    pub fn new(_: &'a mut [u8], _: &'a mut [u8]) -> Self {
        Self(PhantomData)
    }
}

/// The run whose family is looked for.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "nobody looks")]
pub(crate) struct Run<'a> {
    pub(crate) process: Option<(i32, BorrowedFd<'a>)>,
    pub(crate) began: u64,
    pub(crate) streams: [Option<StreamId>; 2],
    pub(crate) helpers: &'a [i32],
}

/// Whom a scan looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    Family,
    FamilyAndStrangers,
}

/// What a scan has found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) new: usize,
    pub(crate) unreadable: usize,
}

/// Nobody.
pub(crate) struct Family<'a>(PhantomData<FamilyMemory<'a>>);

impl<'a> Family<'a> {
    pub(crate) fn new(_: FamilyMemory<'a>) -> Self {
        Self(PhantomData)
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn restore_descriptor_limit(&mut self) {}

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn recall(&mut self) {}

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn scan(&mut self, _: &Run<'_>, _: Whom, _: Option<Signal>) -> Result<Found, Blind> {
        Err(Blind)
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn signal(&mut self, _: Signal) {}

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn living(&mut self) -> usize {
        0
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn describe(&self, text: &mut Buffer<'_>) {
        let _ = text.write_str("processes of this run may live on, none");
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn names(&self, _: &mut Buffer<'_>) {}
}

/// No process's birth is told.
pub(crate) fn now() -> u64 {
    0
}

/// No process's birth is told.
pub(crate) fn birth(_: i32) -> Option<u64> {
    None
}
