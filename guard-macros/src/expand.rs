//! The guarded function: start the run, call the body, say how it ended.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, FnArg, GenericParam, Lit, ReturnType, Signature};

use crate::args::{self, Args, Argument, Kind};
use crate::function::{Function, Parameters, braces, located};
use crate::return_type::{self, ImplFn};

/// On a mistake the function is given back as it stood, so that no second wave of errors hides the first.
pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let (args, mut errors) = Args::parse(arguments.clone());
    let function = match syn::parse2::<Function>(visible(item)) {
        Ok(function) => function,
        Err(error) => {
            let message = "#[locked_pipeline] goes on a function with a body, such as `fn main() { … }`";
            errors.push(Error::new(error.span(), message));
            return with_errors(item, &errors);
        }
    };
    errors.extend(function.check());
    if !errors.is_empty() {
        return with_errors(&unguarded(&args, &function), &errors);
    }
    if function.signature.asyncness.is_some() && !args.is_last && function.has_attribute_macros() {
        return after_the_others(&args, &arguments, &function);
    }
    guarded(&args, &function)
}

/// The item that a fragment of `macro_rules!` (`$item:item`) stands for.
fn visible(item: &TokenStream) -> TokenStream {
    let mut tokens = item.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) => visible(&group.stream()),
        _ => item.clone(),
    }
}

fn with_errors(item: &TokenStream, errors: &[Error]) -> TokenStream {
    let errors = errors.iter().map(Error::to_compile_error);
    quote!(#item #(#errors)*)
}

/// The function as it stood, with nothing but the checks of the arguments that could be read.
fn unguarded(args: &Args, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let Settings { checks, values, .. } = Settings::of(args, function);
    let checks = quote!(#checks #(let _ = #values;)*);
    let content = body.stream();
    let block = braces(quote!(#checks #content), body.span());
    quote!(#(#attributes)* #visibility #signature #block)
}

/// An attribute below may be a runtime's, under whatever name: it expands first, and the guard is outside of it.
fn after_the_others(args: &Args, arguments: &TokenStream, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let (runtime, mark) = (runtime(args), args::last_mark());
    quote!(#(#attributes)* #[#runtime::locked_pipeline(#mark #arguments)] #visibility #signature #body)
}

fn guarded(args: &Args, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let Signature { asyncness, output, .. } = signature;
    let parameters = Parameters::of(signature);
    let Settings { checks, config, .. } = Settings::of(args, function);
    let (guard, future) = (private("__run"), private("__future"));
    // Where a lifetime does not fit, the compiler points at it.
    let value = Ident::new("__value", located(Span::mixed_site(), body.span()));
    let start = quote!(let #guard = __guard::start(&#config););
    let start_future = quote!(let #guard = __guard::start(&#config).of_future(););
    let at = match output {
        ReturnType::Default => Span::mixed_site(),
        ReturnType::Type(_, returned) => located(Span::mixed_site(), returned.span()),
    };
    let outcome = quote_spanned!(at=> (&&&&&__guard::Returned(&#value)).guard_outcome());
    let finish = quote! {
        #guard.finish({
            use __guard::{AnyValue as _, Code as _, HiddenError as _, MadeFuture as _, ShownError as _};
            #outcome
        });
        #value
    };
    let is_async = asyncness.is_some();
    let call = if is_async {
        body_future(&parameters, output, body)
    } else {
        parameters.call(&return_type::of_closure(output), body)
    };
    let (start, returns_closure) = (if is_async { &start_future } else { &start }, return_type::impl_fn(output));
    let block = if return_type::is_never(output) {
        // There is no value to look at, and nothing to do after it.
        quote!(#checks #start #call)
    } else if !is_async && return_type::is_boxed_future(output) {
        let ends = quote!(let #value = #future.await; #finish);
        if is_one_future(body) {
            // As #[async_trait] leaves a method: nothing of the body happens before the future is polled.
            quote!(#checks let #future = #call; __guard::Box::pin(async move { #start_future #ends }))
        } else {
            quote!(#checks #start_future let #future = #call; __guard::Box::pin(async move { #ends }))
        }
    } else if returns_closure != ImplFn::No && can_be_nested(function) {
        let call = nested(function, &parameters);
        quote!(#checks #start let #value = #call; #finish)
    } else if returns_closure == ImplFn::Itself && !is_async {
        let body = parameters.inline(body);
        quote!(#checks #start #body)
    } else {
        quote!(#checks #start let #value = #call; #finish)
    };
    let (block, Parameters { outer, attribute, .. }) = (braces(block, body.span()), &parameters);
    quote!(#(#attributes)* #attribute #visibility #outer #block)
}

/// The body as a future. Its first statement, never run, tells the compiler the type, so that a wrong value is reported
/// where the user wrote it. (An async closure has a return type to write, but does not pass it on to the body: values of
/// several types that are to be one `Box<dyn Trait>` do not compile in it.)
fn body_future(parameters: &Parameters, output: &ReturnType, body: &Group) -> TokenStream {
    let edge = (!return_type::is_never(output)).then(|| {
        let returned = return_type::of_variable(output);
        let result = private("__result");
        quote!(if false { let #result: #returned = __guard::no_value(); return #result; })
    });
    let content = parameters.inline(body);
    // The user's spans: what is written here is to the compiler part of the body.
    let block = braces(quote!(#edge #content), body.span());
    quote_spanned!(body.span()=> async move #block.await)
}

/// Names of variables that the user's code cannot see. Nor may an item of the user's have them: a pattern would mean it.
fn private(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Whether the whole body is `Box::pin(async …)` or `async … .boxed()`.
fn is_one_future(body: &Group) -> bool {
    let tokens: Vec<TokenTree> = body.stream().into_iter().collect();
    let begins_async = |tokens: &[TokenTree]| matches!(tokens.first(), Some(TokenTree::Ident(word)) if word == "async");
    let is_block = |token: &TokenTree| matches!(token, TokenTree::Group(block) if !block.stream().is_empty());
    let is_path = |tokens: &[TokenTree]| {
        let ends_in_pin = matches!(tokens.last(), Some(TokenTree::Ident(last)) if last == "pin");
        let part = |token: &TokenTree| match token {
            TokenTree::Ident(_) => true,
            TokenTree::Punct(punct) => punct.as_char() == ':',
            _ => false,
        };
        ends_in_pin && tokens.iter().all(part)
    };
    match &tokens[..] {
        [path @ .., TokenTree::Group(arguments)] if is_path(path) => {
            let inner: Vec<TokenTree> = arguments.stream().into_iter().collect();
            let words = inner.len() - usize::from(matches!(inner.last(), Some(TokenTree::Punct(_))));
            begins_async(&inner) && words <= 3
        }
        [.., block, TokenTree::Punct(dot), TokenTree::Ident(_), TokenTree::Group(_)] if tokens.len() <= 6 => {
            begins_async(&tokens) && is_block(block) && dot.as_char() == '.'
        }
        _ => false,
    }
}

/// A function in a function sees neither `self` nor `Self`, and an unsafe one needs a block to be called.
fn can_be_nested(function: &Function) -> bool {
    let Function { signature, body, .. } = function;
    let is_method = signature.inputs.iter().any(|input| matches!(input, FnArg::Receiver(_)));
    let names_self = |tokens: &TokenStream| return_type::mentions(tokens, &["Self", "self"]);
    !matches!(signature.safety, syn::Safety::Unsafe(_))
        && !is_method
        && !names_self(&signature.to_token_stream())
        && !names_self(&body.stream())
}

/// The body as a function in the function, whose `return` knows the type as written.
fn nested(function: &Function, parameters: &Parameters) -> TokenStream {
    let (name, arguments) = (private("__body"), parameters.names());
    let inner = Signature { ident: name.clone(), ..function.signature.clone() };
    let generics = inner.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    let (body, wait) = (&function.body, inner.asyncness.map(|_| quote!(.await)));
    let call = quote!(#name::<#(#generics),*>(#(#arguments),*) #wait);
    quote!({ #inner #body #call })
}

fn runtime(args: &Args) -> TokenStream {
    args.get("crate").map_or_else(|| quote!(::guard_runtime), |argument| argument.value.to_token_stream())
}

/// The arguments in the expansion.
struct Settings {
    /// Constants, so that a mistake in a value is a compile error on the value.
    checks: TokenStream,
    /// The checked values.
    values: Vec<TokenStream>,
    /// The builder's calls.
    config: TokenStream,
}

impl Settings {
    fn of(args: &Args, function: &Function) -> Self {
        let runtime = runtime(args);
        // The one place that names the runtime: where it is not to be found, there is one error.
        let mut checks = quote!(use #runtime::__private as __guard;);
        let (mut values, mut calls) = (Vec::new(), TokenStream::new());
        let (mut lock, mut log) = (TokenStream::new(), TokenStream::new());
        let mut are_constants = true;
        for argument in args.given.iter().filter(|argument| argument.kind != Kind::Crate) {
            let (of_type, checked) = checked(argument);
            let name = format_ident!("__GUARD_{}", argument.key.to_string().to_uppercase(), span = Span::mixed_site());
            let span = located(Span::mixed_site(), argument.value.span());
            let value = if may_be_generic(&argument.value, function) {
                are_constants &= argument.kind != Kind::Template;
                quote_spanned!(span=> const { #checked })
            } else {
                checks.extend(quote_spanned!(span=> const #name: #of_type = #checked;));
                name.to_token_stream()
            };
            match argument.key.to_string().as_str() {
                "lock" => lock.clone_from(&value),
                "log" => log.clone_from(&value),
                _ => {
                    let method = &argument.key;
                    calls.extend(quote!(.#method(#value)));
                }
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
        Self { checks, values, config: quote!(__guard::Config::new(#lock, #log) #calls) }
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
    let check = |checker: &str| {
        let checker = Ident::new(checker, span);
        quote_spanned!(span=> __guard::#checker(#value))
    };
    match kind {
        Kind::Template => (quote!(&::core::primitive::str), check("path")),
        Kind::Size => {
            let number = matches!(args::bare(value), Expr::Lit(ExprLit { lit: Lit::Int(_), .. }));
            let of_number = number.then(|| quote_spanned!(span=> ::<::core::primitive::u64>));
            (quote!(::core::primitive::u64), quote_spanned!(span=> __guard::size #of_number(#value)))
        }
        Kind::Integer if key == "backups" => (quote!(::core::primitive::u16), check("backups")),
        Kind::Integer => (quote!(::core::primitive::u8), value.to_token_stream()),
        Kind::Level => (quote!(__guard::LevelFilter), check("level")),
        Kind::Choice => (quote!(__guard::Tee), check("tee")),
        Kind::Duration => (quote!(__guard::Duration), check("duration")),
        Kind::Boolean => (quote!(::core::primitive::bool), value.to_token_stream()),
        Kind::Crate => (quote!(()), quote!(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pretty(tokens: TokenStream) -> String {
        prettyplease::unparse(&syn::parse2(tokens).expect("the expansion is Rust"))
    }

    /// The same text stands in the docs of `guard_runtime::locked_pipeline`.
    #[test]
    fn the_expansion_in_the_docs_is_what_comes_out() {
        let arguments = quote!(lock = "a.lock", log = "a.log", backups = 30);
        let expansion = pretty(expand(
            arguments,
            &quote!(
                fn main() -> Result<(), String> {
                    work()?;
                    Ok(())
                }
            ),
        ));
        let docs = include_str!("../../guard-runtime/src/attribute.md");
        let documented = docs.split("```rust,ignore\n").nth(1).and_then(|rest| rest.split("```").next());
        assert_eq!(documented, Some(expansion.as_str()), "put this into attribute.md:\n{expansion}");
    }

    #[test]
    fn half_typed_code_expands() {
        let body: TokenStream = quote!({ let x = ; foo. });
        let item = quote!(fn main() #body);
        let expansion = expand(quote!(lock = "a", log = "b"), &item).to_string();
        assert!(expansion.contains("let x = ; foo ."), "{expansion}");
        assert!(!expansion.contains("compile_error"), "{expansion}");
    }

    #[test]
    fn with_a_mistake_the_function_is_still_there() {
        let expansion = expand(
            quote!(lock = 1),
            &quote!(
                pub fn job(a: u8) -> u8 {
                    a
                }
            ),
        )
        .to_string();
        assert!(expansion.starts_with("pub fn job (a : u8) -> u8 {"), "{expansion}");
        assert_eq!(expansion.matches("compile_error").count(), 2, "the number, and no log: {expansion}");
    }

    #[test]
    fn the_guard_is_outside_the_runtime() {
        let item = quote!(
            #[tokio::main]
            async fn main() {
                work().await
            }
        );
        let expansion = pretty(expand(quote!(lock = "a", log = "b"), &item));
        let position = |text: &str| expansion.find(text).unwrap_or_else(|| panic!("no {text} in {expansion}"));
        assert!(position("fn main()") < position("::start(") && position("::start(") < position("#[tokio::main]"));
        assert!(position("#[tokio::main]") < position("async fn main()"));
    }
}
