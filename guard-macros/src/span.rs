//! Spans of tokens that the macro makes.

use proc_macro2::Span;

/// The hygiene of the one, the place of the other.
pub(crate) fn located(hygiene: Span, place: Span) -> Span {
    place.resolved_at(hygiene)
}
