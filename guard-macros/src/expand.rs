//! The guarded function: start the run, call the body, say how it ended.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Lit, PathArguments, ReturnType, Signature, Type,
    TypeParamBound, Visibility,
};

use crate::args::{Args, Argument, Kind};

/// A function whose body is left as it was written: half-typed code still expands, and an editor goes on completing.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let (visibility, signature, whole) = (input.parse()?, input.parse()?, input.parse::<Group>()?);
        // Inner attributes go in front of the function, for the body moves into a closure, which takes none.
        let mut body = Group::new(whole.delimiter(), whole.stream());
        let split = |input: ParseStream<'_>| Ok((Attribute::parse_inner(input)?, input.parse::<TokenStream>()?));
        if let Ok((inner, rest)) = split.parse2(whole.stream()) {
            attributes.extend(inner.into_iter().map(|inner| Attribute { style: syn::AttrStyle::Outer, ..inner }));
            body = Group::new(whole.delimiter(), rest);
        }
        body.set_span(whole.span());
        Ok(Self { attributes, visibility, signature, body })
    }
}

/// On a mistake the function is given back as it stood, so that no second wave of errors hides the first.
pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let (args, mut errors) = Args::parse(arguments);
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message = "#[locked_pipeline] goes on a function with a body, such as `fn main() { … }`";
            errors.push(Error::new(error.span(), message));
            return with_errors(item, &errors);
        }
    };
    errors.extend(check(&function));
    if errors.is_empty() { guarded(&args, &function) } else { with_errors(&unguarded(&args, &function), &errors) }
}

fn with_errors(item: &TokenStream, errors: &[Error]) -> TokenStream {
    let errors = errors.iter().map(Error::to_compile_error);
    quote!(#item #(#errors)*)
}

/// Functions that cannot be a run.
fn check(function: &Function) -> Option<Error> {
    let Signature { constness, abi, asyncness, inputs, output, .. } = &function.signature;
    let named = |name: &str| {
        let is_named = |attribute: &&Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name);
        function.attributes.iter().find(is_named)
    };
    if let Some(token) = constness {
        return Some(Error::new_spanned(token, "a run takes a lock and writes a log: it cannot be a `const fn`"));
    }
    if let Some(abi) = abi {
        let message = "a run may end in a panic, which must not cross a foreign caller: guard a Rust function";
        return Some(Error::new_spanned(abi, message));
    }
    if let Some(test) = named("test") {
        let message = "a skipped run ends the process with 0, and a test binary that ends with 0 has passed: \
                       use the builder, guard_runtime::Config, in a test";
        return Some(Error::new_spanned(test, message));
    }
    if let Some(second) = named("locked_pipeline") {
        return Some(Error::new_spanned(second, "the function is guarded already: keep one #[locked_pipeline]"));
    }
    if is_bare_async_main(function) {
        let message = "`main` cannot be async by itself: add #[tokio::main], above or below, or block on a future";
        return Some(Error::new_spanned(asyncness, message));
    }
    let receiver = |input: &FnArg| matches!(input, FnArg::Receiver(_));
    if runtime_attribute(function).is_some() && inputs.iter().any(receiver) {
        return Some(Error::new_spanned(&inputs[0], "a method cannot start an async runtime: guard the caller"));
    }
    if asyncness.is_none() && returns_future(output) && boxed_future(&function.body).is_none() {
        let message = "the run would end when the future is made, not when it has run: write an `async fn`";
        return Some(Error::new_spanned(output, message));
    }
    None
}

/// The attribute of a runtime (`tokio::main` and its like) that comes after ours and makes an async function sync.
fn runtime_attribute(function: &Function) -> Option<&Attribute> {
    let is_runtime = |attribute: &&Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "main");
    function.attributes.iter().find(is_runtime).filter(|_| function.signature.asyncness.is_some())
}

fn is_bare_async_main(function: &Function) -> bool {
    let signature = &function.signature;
    signature.asyncness.is_some() && signature.ident == "main" && runtime_attribute(function).is_none()
}

fn returns_future(output: &ReturnType) -> bool {
    let ReturnType::Type(_, returned) = output else { return false };
    let Type::ImplTrait(returned) = &**returned else { return false };
    let is_future = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(bound) if bound.path.segments.last().is_some_and(|last| last.ident == "Future"));
    returned.bounds.iter().any(is_future)
}

/// The function as it stood, with nothing but the checks of the arguments that could be read.
fn unguarded(args: &Args, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let runtime = runtime(args);
    let checks = args.given.iter().map(|argument| constant(argument, &runtime));
    let checks = quote!(#(let _ = #checks;)*);
    let content = body.stream();
    if is_bare_async_main(function) {
        // Were it left async, the compiler would say the same in other words.
        let signature = Signature { asyncness: None, ..signature.clone() };
        let body = future(&signature.output, body);
        return quote!(#(#attributes)* #visibility #signature { #checks let _ = #body; ::core::unreachable!() });
    }
    let block = quote_spanned!(body.span()=> { #checks #content });
    quote!(#(#attributes)* #visibility #signature #block)
}

/// Names that the user's code cannot see.
fn private(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

fn guarded(args: &Args, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let runtime = runtime(args);
    let config = config(args, &runtime);
    let (guard, value) = (private("guard"), private("value"));
    let start = quote!(let #guard = #runtime::__private::start(&#config););
    let start_future = quote!(#start let #guard = #guard.of_future(););
    let finish = quote! {
        #guard.finish({
            use #runtime::__private::{AnyValue as _, Code as _, HiddenError as _, ShownError as _};
            (&&&&#runtime::__private::Returned(&#value)).outcome()
        });
        #value
    };
    if let Some(attribute) = runtime_attribute(function) {
        return around_runtime(function, attribute, &start, &finish, &runtime);
    }
    if signature.asyncness.is_some() {
        let body = future(&signature.output, body);
        return quote!(#(#attributes)* #visibility #signature { #start_future let #value = #body.await; #finish });
    }
    if let Some(boxed) = boxed_future(body) {
        // As #[async_trait] leaves a method: the run is what happens inside the future.
        let BoxedFuture { before, pin, head, inner } = boxed;
        let inside = quote!({ #start_future let #value = async move #inner.await; #finish });
        return quote!(#(#attributes)* #visibility #signature { #before #pin(#head #inside) });
    }
    let content = body.stream();
    if matches!(&signature.output, ReturnType::Type(_, returned) if matches!(**returned, Type::Never(_))) {
        // It never returns: there is no value to look at, and nothing to do after it.
        return quote!(#(#attributes)* #visibility #signature { #start #content });
    }
    let call = call(&signature.output, &quote_spanned!(body.span()=> { #content }), &runtime);
    quote!(#(#attributes)* #visibility #signature { #start let #value = #call; #finish })
}

/// Calls the body, with the function's return type, as a closure: `return` and `?` end the body, not the run.
fn call(output: &ReturnType, block: &TokenStream, runtime: &TokenStream) -> TokenStream {
    let output = match output {
        ReturnType::Default => quote!(-> ()),
        ReturnType::Type(arrow, returned) => {
            let returned = nameable(returned);
            quote!(#arrow #returned)
        }
    };
    quote!(#runtime::__private::call(move || #output #block))
}

/// The body as a future. Its first statement, never run, tells the compiler its type, so that a wrong value is reported
/// where the user wrote it.
fn future(output: &ReturnType, body: &Group) -> TokenStream {
    let returned = match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, returned) => nameable(returned).into_token_stream(),
    };
    let (content, result) = (body.stream(), private("result"));
    let span = match output {
        ReturnType::Default => body.span(),
        ReturnType::Type(_, returned) => returned.span(),
    };
    let edge = quote_spanned! {span=>
        #[allow(unreachable_code, unused, clippy::all, clippy::pedantic)]
        if false {
            let #result: #returned = loop {};
            return #result;
        }
    };
    let block = quote_spanned!(body.span()=> { #edge #content });
    quote!(async move #block)
}

/// The guard outside the runtime: the async function moves inside, with the attribute that makes it sync.
fn around_runtime(
    function: &Function,
    attribute: &Attribute,
    start: &TokenStream,
    finish: &TokenStream,
    runtime: &TokenStream,
) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let outer_attributes = attributes.iter().filter(|other| !std::ptr::eq(*other, attribute));
    let mut outer = Signature { asyncness: None, ..signature.clone() };
    let mut arguments = Vec::new();
    for (number, input) in outer.inputs.iter_mut().enumerate() {
        if let FnArg::Typed(typed) = input {
            let name = format_ident!("argument_{number}", span = Span::mixed_site());
            *typed.pat = syn::Pat::Verbatim(name.to_token_stream());
            arguments.push(name);
        }
    }
    let (name, value) = (&signature.ident, private("value"));
    let inner = quote!({ #attribute #signature #body #name(#(#arguments),*) });
    let call = call(&signature.output, &inner, runtime);
    quote!(#(#outer_attributes)* #visibility #outer { #start let #value = #call; #finish })
}

/// `Box::pin(async move { … })` at the end of a body, in its parts.
struct BoxedFuture {
    before: TokenStream,
    pin: TokenStream,
    head: TokenStream,
    inner: Group,
}

fn boxed_future(body: &Group) -> Option<BoxedFuture> {
    let mut tokens: Vec<TokenTree> = body.stream().into_iter().collect();
    let TokenTree::Group(arguments) = tokens.pop()? else { return None };
    let pin = tokens.split_off(tokens.len().checked_sub(4)?);
    let [TokenTree::Ident(first), .., TokenTree::Ident(last)] = &pin[..] else { return None };
    let mut head: Vec<TokenTree> = arguments.stream().into_iter().collect();
    let TokenTree::Group(inner) = head.pop()? else { return None };
    let is_async = matches!(head.first(), Some(TokenTree::Ident(word)) if word == "async");
    (first == "Box" && last == "pin" && is_async).then(|| BoxedFuture {
        before: tokens.into_iter().collect(),
        pin: pin.into_iter().collect(),
        head: head.into_iter().collect(),
        inner,
    })
}

fn runtime(args: &Args) -> TokenStream {
    args.get("crate").map_or_else(|| quote!(::guard_runtime), |argument| argument.value.to_token_stream())
}

/// The builder's calls. Each value is a constant, so that a mistake in it is a compile error on the value.
fn config(args: &Args, runtime: &TokenStream) -> TokenStream {
    let template = |key| args.get(key).map(|argument| (&argument.value, constant(argument, runtime)));
    let Some(((lock, lock_checked), (log, log_checked))) = template("lock").zip(template("log")) else {
        return TokenStream::new();
    };
    let at_lock = respanned(runtime, lock.span());
    let differ = quote_spanned!(lock.span()=> const _: () = #at_lock::__private::differ(#lock, #log););
    let is_setting = |argument: &&Argument| !["lock", "log", "crate"].iter().any(|key| argument.key == key);
    let settings = args.given.iter().filter(is_setting);
    let calls = settings.map(|argument| {
        let (method, value) = (&argument.key, constant(argument, runtime));
        quote!(.#method(#value))
    });
    quote!({ #differ #runtime::Config::new(#lock_checked, #log_checked) #(#calls)* })
}

fn constant(argument: &Argument, runtime: &TokenStream) -> TokenStream {
    let Argument { key, kind, value } = argument;
    let span = value.span();
    // A mistake is reported at the first token of the expression that finds it.
    let runtime = respanned(runtime, span);
    let check = |checker: &str| {
        let checker = format_ident!("{checker}", span = span);
        quote_spanned!(span=> #runtime::__private::#checker(#value))
    };
    let (of_type, checked) = match kind {
        Kind::Template if key == "metrics" => (quote!(&::core::primitive::str), check("metrics")),
        Kind::Template => (quote!(&::core::primitive::str), check("path")),
        Kind::Command => (quote!(&::core::primitive::str), check("command")),
        Kind::Size => {
            let number = matches!(value, Expr::Lit(ExprLit { lit: Lit::Int(_), .. }));
            let of_number = number.then(|| quote_spanned!(span=> ::<::core::primitive::u64>));
            let size = quote_spanned!(span=> #runtime::__private::Size #of_number(#value).bytes());
            (quote!(::core::primitive::u64), size)
        }
        Kind::Integer if key == "backups" => (quote!(::core::primitive::u16), check("backups")),
        Kind::Integer => (quote!(::core::primitive::u8), value.to_token_stream()),
        Kind::Level => (quote!(#runtime::__private::LevelFilter), check("level")),
        Kind::Choice => (quote!(#runtime::Tee), check("tee")),
        Kind::Duration => (quote!(#runtime::__private::Duration), check("duration")),
        Kind::Boolean => (quote!(::core::primitive::bool), value.to_token_stream()),
        Kind::Crate => return quote!(()),
    };
    quote_spanned!(span=> { const __GUARD_ARGUMENT: #of_type = #checked; __GUARD_ARGUMENT })
}

fn respanned(tokens: &TokenStream, span: Span) -> TokenStream {
    let at = |mut token: TokenTree| {
        token.set_span(span.resolved_at(token.span()));
        token
    };
    tokens.clone().into_iter().map(at).collect()
}

/// The type with `_` in the place of every `impl Trait`, which a closure cannot return by name.
fn nameable(of_type: &Type) -> Type {
    let mut named = of_type.clone();
    replace_impl(&mut named);
    named
}

fn replace_impl(of_type: &mut Type) {
    match of_type {
        Type::ImplTrait(_) => *of_type = Type::Verbatim(quote_spanned!(of_type.span()=> _)),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let GenericArgument::Type(inner) = argument {
                            replace_impl(inner);
                        }
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(replace_impl),
        Type::Reference(reference) => replace_impl(&mut reference.elem),
        _ => {}
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
