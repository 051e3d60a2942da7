//! What the attribute accepts and what it says of everything else: `ui/pass` is run, `ui/fail` compared with its
//! `.stderr` (`TRYBUILD=overwrite cargo test --test ui` writes it anew).
#![allow(missing_docs)]

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
