#![warn(
    unused_qualifications,
    unused_results,
    unused_crate_dependencies,
    trivial_casts,
    trivial_numeric_casts,
    variant_size_differences,
    let_underscore_drop,
    unsafe_code,
    unit_bindings,
    unused_import_braces,
    closure_returning_async_block,
    redundant_lifetimes,
    missing_debug_implementations,
    unused_lifetimes,
    explicit_outlives_requirements,
    macro_use_extern_crate,
    absolute_paths_not_starting_with_crate,
    impl_trait_redundant_captures,
    redundant_imports,
    tail_expr_drop_order,
    if_let_rescope
)]
#![allow(unused_crate_dependencies)]

#[guard(backups = 3)]
pub fn job(text: &str, number: u8) -> Result<usize, std::num::ParseIntError> {
    println!("{number}");
    text.parse()
}

#[guard]
pub fn unit() {}

#[guard]
pub async fn later(text: &str) -> u8 {
    std::future::ready(()).await;
    text.len() as u8
}
