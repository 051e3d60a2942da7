//! The guarded function: start the run, call the body, say how it ended.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericParam, Pat, ReturnType, Signature};

use crate::args::{self, Args};
use crate::function::{Function, Parameters, braces};
use crate::manifest;
use crate::placeholder;
use crate::return_type::{self, ImplFn};
use crate::settings::{Settings, runtime};
use crate::span::located;

/// On a mistake the function is given back as it stood, so that no second wave of errors hides the first.
pub(crate) fn expand(arguments: &TokenStream, item: &TokenStream, is_below_a_test: bool) -> TokenStream {
    let (mut args, mut errors) = Args::parse(arguments.clone());
    let function = match syn::parse2::<Function>(visible(item)) {
        Ok(function) => function,
        Err(error) => {
            let message = "#[locked_pipeline] goes on a function with a body, such as `fn main() { … }`";
            errors.push(Error::new(error.span(), message));
            return with_errors(item, &errors);
        }
    };
    errors.extend(function.check(is_below_a_test));
    errors.extend(placeholder::check(&mut args, &Parameters::of(&function.signature).sources()));
    if args.get("crate").is_none()
        && let Some(name) = manifest::renamed_runtime()
    {
        let message =
            format!("Cargo.toml has guard-runtime under the name `{name}`: add the argument crate = ::{name}");
        errors.push(Error::new(Span::call_site(), message));
        return with_errors(item, &errors);
    }
    if !errors.is_empty() {
        return with_errors(&unguarded(&args, &function), &errors);
    }
    if function.signature.asyncness.is_some() && !args.is_last && function.has_attribute_macros() {
        return after_the_others(&args, arguments, &function);
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
    let Settings { checks, values, .. } = Settings::of(args, function, &[]);
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
    let Settings { checks, config, .. } = Settings::of(args, function, &parameters.sources());
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
            // What it is told of the arguments is read while they are still here.
            let settings = private("__config");
            let start = quote!(let #guard = __guard::start(&#settings).of_future(););
            quote! {
                #checks
                let #settings = #config;
                let #future = #call;
                __guard::Box::pin(async move { #start #ends })
            }
        } else {
            quote!(#checks #start_future let #future = #call; __guard::Box::pin(async move { #ends }))
        }
    } else if returns_closure != ImplFn::No && can_be_nested(function, &parameters) {
        let call = nested(function, &parameters);
        quote!(#checks #start let #value = #call; #finish)
    } else if returns_closure == ImplFn::Itself && !is_async {
        // Not in a closure: the run ends when the guard is dropped, after the variables.
        let (variables, content) = (parameters.variables(), body.stream());
        quote!(#checks #start #variables #content)
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
    // In the arm of a `match`, what the last expression borrows does not outlive the variables, whatever the edition is.
    let variables = parameters.variables();
    let content = braces(quote!(#variables match () { () => #body }), located(Span::mixed_site(), body.span()));
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
fn can_be_nested(function: &Function, parameters: &Parameters) -> bool {
    let Function { signature, body, .. } = function;
    let is_name = |input: &FnArg| matches!(input, FnArg::Typed(typed) if matches!(*typed.pat, Pat::Ident(_)));
    let names_self = |tokens: &TokenStream| return_type::mentions(tokens, &["Self", "self"]);
    !matches!(signature.safety, syn::Safety::Unsafe(_))
        && signature.inputs.iter().all(is_name)
        && parameters.names().count() == signature.inputs.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &TokenStream, item: &TokenStream) -> TokenStream {
        expand(arguments, item, false)
    }

    fn pretty(tokens: TokenStream) -> String {
        prettyplease::unparse(&syn::parse2(tokens).expect("the expansion is Rust"))
    }

    /// The same text stands in the docs of `guard_runtime::locked_pipeline`.
    #[test]
    fn the_expansion_in_the_docs_is_what_comes_out() {
        let arguments = quote!(lock = "a.lock", log = "a.log", backups = 30);
        let expansion = pretty(expanded(
            &arguments,
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
        let expansion = expanded(&quote!(lock = "a", log = "b"), &item).to_string();
        assert!(expansion.contains("let x = ; foo ."), "{expansion}");
        assert!(!expansion.contains("compile_error"), "{expansion}");
    }

    #[test]
    fn with_a_mistake_the_function_is_still_there() {
        let expansion = expanded(
            &quote!(lock = 1),
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
        let expansion = pretty(expanded(&quote!(lock = "a", log = "b"), &item));
        let expected = "#[tokio::main]\n\
                        #[::guard_runtime::locked_pipeline(@last, lock = \"a\", log = \"b\")]\n\
                        async fn main() {\n    work().await\n}\n";
        assert_eq!(expansion, expected);
        let last = expanded(
            &quote!(@last, lock = "a", log = "b"),
            &quote!(
                fn main() {
                    runtime()
                }
            ),
        );
        assert!(pretty(last).contains("__guard::start("));
    }
}
