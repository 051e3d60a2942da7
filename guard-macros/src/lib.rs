//! The attribute `#[locked_pipeline]`. Use it through `guard-runtime`, which documents it: this crate is tokens in,
//! tokens out.

mod above;
mod args;
mod expand;
mod function;
mod manifest;
mod near;
mod placeholder;
mod return_type;
mod settings;
mod span;

use proc_macro::TokenStream;

/// Makes a function a run that is locked, logged, and loses nothing it printed.
#[proc_macro_attribute]
pub fn locked_pipeline(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(&arguments.into(), &function.into(), above::is_a_test()).into()
}
