#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::let_underscore_untyped,
    clippy::implicit_return,
    clippy::absolute_paths,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::single_call_fn,
    clippy::question_mark_used,
    clippy::as_conversions,
    clippy::default_numeric_fallback,
    clippy::pattern_type_mismatch,
    clippy::missing_docs_in_private_items,
    clippy::min_ident_chars,
    clippy::used_underscore_binding,
    clippy::semicolon_outside_block,
    clippy::arbitrary_source_item_ordering,
    clippy::min_ident_chars,
    clippy::exhaustive_structs
)]

/// Documented.
#[guard(backups = 3)]
pub fn job(text: &str) -> Result<usize, std::num::ParseIntError> {
    let number: usize = text.parse()?;
    return Ok(number);
}
