//! The arguments in the expansion: constants that check them, and the builder's calls.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, FnArg, GenericParam, Lit};

use crate::args::{self, Args, Argument, Kind};
use crate::function::Function;
use crate::placeholder::{self, Source};
use crate::return_type;
use crate::span::located;

pub(crate) fn runtime(args: &Args) -> TokenStream {
    args.get("crate").map_or_else(|| quote!(::guard_runtime), |argument| argument.value.to_token_stream())
}

pub(crate) struct Settings {
    /// Constants, so that a mistake in a value is a compile error on the value.
    pub(crate) checks: TokenStream,
    /// The checked values.
    pub(crate) values: Vec<TokenStream>,
    /// The builder's calls.
    pub(crate) config: TokenStream,
}

impl Settings {
    pub(crate) fn of(args: &Args, function: &Function, sources: &[Source]) -> Self {
        let runtime = runtime(args);
        // The one place that names the runtime: where it is not to be found, there is one error.
        let mut checks = quote!(use #runtime::__private as __guard;);
        let (mut values, mut calls) = (Vec::new(), TokenStream::new());
        let (mut lock, mut log) = (TokenStream::new(), TokenStream::new());
        let (mut are_constants, mut wrappers) = (true, Vec::new());
        for argument in args.given.iter().filter(|argument| argument.kind != Kind::Crate) {
            let (of_type, checked) = checked(argument);
            let span = located(Span::mixed_site(), argument.value.span());
            let name = format_ident!("__GUARD_{}", argument.key.to_string().to_uppercase(), span = span);
            let value = if may_be_generic(&argument.value, function) {
                are_constants &= argument.kind != Kind::Template;
                quote_spanned!(span=> const { #checked })
            } else {
                checks.extend(quote_spanned!(span=> const #name: #of_type = #checked;));
                name.to_token_stream()
            };
            let key = &argument.key;
            match key.to_string().as_str() {
                "lock" => lock.clone_from(&value),
                "log" => log.clone_from(&value),
                // Not there without the feature: then it is a function that says so.
                "cluster_lock" | "cluster_timeout" | "on_lock_lost" => {
                    let set = format_ident!("with_{key}", span = span);
                    wrappers.push((set, value.clone()));
                }
                _ => calls.extend(quote!(.#key(#value))),
            }
            values.push(value);
        }
        if let Some(argument) = args.get("lock")
            && are_constants
            && !log.is_empty()
        {
            let span = located(Span::mixed_site(), argument.value.span());
            checks.extend(quote_spanned!(span=> const _: () = __guard::differ(#lock, #log);));
        }
        let arguments = placeholder::calls(args, sources);
        let config = quote!(__guard::Config::new(#lock, #log) #calls #arguments);
        let config = wrappers.into_iter().fold(config, |config, (set, value)| quote!(__guard::#set(#config, #value)));
        Self { checks, values, config }
    }
}

/// An item, such as a constant, cannot use `Self` or a generic parameter: then it is `const { … }`, which the compiler
/// evaluates when it builds, but not when it only checks.
fn may_be_generic(value: &Expr, function: &Function) -> bool {
    let tokens = value.to_token_stream();
    if matches!(args::bare(value), Expr::Lit(_)) {
        return false;
    }
    let is_method = |input: &FnArg| matches!(input, FnArg::Receiver(_));
    let signature = &function.signature;
    let in_impl = signature.inputs.iter().any(is_method)
        || return_type::mentions(&signature.to_token_stream(), &["Self"])
        || return_type::mentions(&function.body.stream(), &["Self"]);
    names(&tokens).iter().any(|name| {
        let of_function = signature.generics.params.iter().any(|parameter| match parameter {
            GenericParam::Type(parameter) => parameter.ident == name,
            GenericParam::Const(parameter) => parameter.ident == name,
            GenericParam::Lifetime(_) => false,
        });
        // By custom, generic parameters are a letter or a word in CamelCase; in an `impl`, any name may be one.
        let begins_like_one = name.starts_with(char::is_uppercase);
        let like_a_parameter = begins_like_one && (name.len() == 1 || name.contains(char::is_lowercase));
        name == "Self" || of_function || like_a_parameter || (in_impl && begins_like_one)
    })
}

fn names(tokens: &TokenStream) -> Vec<String> {
    let name = |token: TokenTree| match token {
        TokenTree::Ident(ident) => vec![ident.to_string()],
        TokenTree::Group(group) => names(&group.stream()),
        _ => Vec::new(),
    };
    tokens.clone().into_iter().flat_map(name).collect()
}

/// The type of an argument's value, and the expression that checks it: a mistake is reported at the expression.
fn checked(argument: &Argument) -> (TokenStream, TokenStream) {
    let Argument { key, kind, value } = argument;
    let span = located(Span::mixed_site(), value.span());
    let name = key.to_string();
    let check = |checker: &str| {
        let checker = Ident::new(checker, span);
        quote_spanned!(span=> __guard::#checker(#value))
    };
    // In a literal, the names of arguments are compared with the function's; elsewhere they cannot be seen.
    let template = |checker: &str| {
        if args::text(value).is_some() {
            return check(checker);
        }
        let checker = Ident::new(checker, span);
        quote_spanned!(span=> __guard::#checker(__guard::constant(#value)))
    };
    match (kind, name.as_str()) {
        (Kind::Template, "metrics") => (quote!(&::core::primitive::str), template("metrics")),
        (Kind::Template, _) => (quote!(&::core::primitive::str), template("path")),
        (Kind::Connection, _) => (quote!(&::core::primitive::str), template("cluster_lock")),
        (Kind::Command, _) => (quote!(&::core::primitive::str), check("command")),
        (Kind::Size, _) => {
            let number = matches!(args::bare(value), Expr::Lit(ExprLit { lit: Lit::Int(_), .. }));
            let of_number = number.then(|| quote_spanned!(span=> ::<::core::primitive::u64>));
            (quote!(::core::primitive::u64), quote_spanned!(span=> __guard::size #of_number(#value)))
        }
        (Kind::Integer, "backups") => (quote!(::core::primitive::u16), check("backups")),
        (Kind::Integer, _) => (quote!(::core::primitive::u8), value.to_token_stream()),
        (Kind::Level, _) => (quote!(__guard::LevelFilter), check("level")),
        (Kind::Choice(_), "console") => (quote!(__guard::ConsoleMode), check("console")),
        (Kind::Choice(_), "survivors") => (quote!(__guard::Survivors), check("survivors")),
        (Kind::Choice(_), "on_lock_lost") => (quote!(__guard::OnLockLost), check("on_lock_lost")),
        (Kind::Choice(_), _) => (quote!(__guard::Tee), check("tee")),
        (Kind::Duration, "timeout") => (quote!(__guard::Duration), check("timeout")),
        (Kind::Duration, "cluster_timeout") => (quote!(__guard::ClusterTimeout), check("cluster_timeout")),
        (Kind::Duration, _) => (quote!(__guard::Duration), check("duration")),
        (Kind::Boolean, _) => (quote!(::core::primitive::bool), value.to_token_stream()),
        (Kind::Crate, _) => (quote!(()), quote!(())),
    }
}
