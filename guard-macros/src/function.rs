//! The annotated function: its parts, its parameters as the closure of the body takes them, and what cannot be a run.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Error, FnArg, Pat, PatType, Signature, Visibility};

use crate::placeholder::{self, Source};
use crate::return_type;

/// A function whose body is left as it was written: half-typed code still expands, and an editor goes on completing.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let (visibility, signature) = (input.parse()?, input.parse()?);
        let whole = block(input.parse()?)?;
        // Inner attributes go in front of the function, for the body moves into a closure, which takes none.
        let split = |input: ParseStream<'_>| Ok((Attribute::parse_inner(input)?, input.parse::<TokenStream>()?));
        let body = match split.parse2(whole.stream()) {
            Ok((inner, rest)) if !inner.is_empty() => {
                attributes.extend(inner.into_iter().map(|inner| Attribute { style: syn::AttrStyle::Outer, ..inner }));
                braces(rest, whole.span())
            }
            _ => whole,
        };
        Ok(Self { attributes, visibility, signature, body })
    }
}

/// A block, also where a fragment of `macro_rules!` (`$body:block`) hands it on in a group without delimiters.
fn block(token: TokenTree) -> syn::Result<Group> {
    if let TokenTree::Group(group) = token {
        let mut content = group.stream().into_iter();
        match (group.delimiter(), content.next(), content.next()) {
            (Delimiter::Brace, ..) => return Ok(group),
            (Delimiter::None, Some(only), None) => return block(only),
            _ => return Err(Error::new(group.span(), "expected a block")),
        }
    }
    Err(Error::new(token.span(), "expected a block"))
}

/// A block with the span of the user's: lints and errors then stand where they would without the attribute.
pub(crate) fn braces(content: TokenStream, span: Span) -> Group {
    let mut block = Group::new(Delimiter::Brace, content);
    block.set_span(span);
    block
}

const NO_TEST: &str = "a skipped run ends the process with 0, and a test binary that ends with 0 has passed: \
                       use the builder, guard_runtime::Config, in a test";

impl Function {
    /// Functions that cannot be a run.
    pub(crate) fn check(&self, is_below_a_test: bool) -> Option<Error> {
        let Signature { constness, abi, asyncness, output, .. } = &self.signature;
        let refused = |token: &dyn ToTokens, message: &str| Some(Error::new_spanned(token.to_token_stream(), message));
        if let Some(token) = constness {
            return refused(token, "a run takes a lock and writes a log: it cannot be a `const fn`");
        }
        if let Some(abi) = abi
            && !abi.name.as_ref().is_some_and(|name| name.value() == "Rust" || name.value().ends_with("-unwind"))
        {
            return refused(
                abi,
                "a run may end in a panic, which must not cross a foreign caller: guard a Rust function",
            );
        }
        if let Some(test) = self.attributes.iter().find(|attribute| is_test(attribute)) {
            return refused(test, NO_TEST);
        }
        if is_below_a_test {
            return refused(&self.signature.ident, NO_TEST);
        }
        if let Some(second) = self.attributes.iter().find(|attribute| is_named(attribute, &["locked_pipeline"])) {
            return refused(second, "the function is guarded already: keep one #[locked_pipeline]");
        }
        if let Some(caller) = self.attributes.iter().find(|attribute| is_named(attribute, &["track_caller"])) {
            let message = "the guard calls the body: `Location::caller()` in it would not be the caller of this \
                           function. Take the location as an argument, or guard the caller";
            return refused(caller, message);
        }
        if asyncness.is_none() && return_type::is_impl_future(output) {
            let message = "the run would end when the future is made, not when it has run: write an `async fn`, \
                           or return `Pin<Box<dyn Future<Output = …>>>`";
            return refused(output, message);
        }
        None
    }

    /// Whether another attribute has still to expand, which may make an async function a sync one: the attribute of a
    /// runtime, under whatever name. `#[instrument]` does not.
    pub(crate) fn has_attribute_macros(&self) -> bool {
        self.attributes.iter().any(|attribute| !is_inert(attribute) && !is_named(attribute, &["instrument"]))
    }
}

fn is_named(attribute: &Attribute, names: &[&str]) -> bool {
    attribute.path().segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}

/// The attributes that make a test of a function.
pub(crate) fn is_test(attribute: &Attribute) -> bool {
    const NAMES: [&str; 8] =
        ["test", "bench", "rstest", "test_case", "test_matrix", "quickcheck", "wasm_bindgen_test", "gtest"];
    is_named(attribute, &NAMES)
}

/// Whether an attribute of the compiler or of a tool: it expands to nothing.
fn is_inert(attribute: &Attribute) -> bool {
    const NAMES: [&str; 28] = [
        "allow",
        "automatically_derived",
        "cfg",
        "cold",
        "coverage",
        "deny",
        "deprecated",
        "doc",
        "expect",
        "export_name",
        "forbid",
        "ignore",
        "inline",
        "instruction_set",
        "link_section",
        "macro_use",
        "must_use",
        "no_mangle",
        "optimize",
        "path",
        "should_panic",
        "stable",
        "target_feature",
        "track_caller",
        "unsafe",
        "unstable",
        "used",
        "warn",
    ];
    const TOOLS: [&str; 5] = ["clippy", "diagnostic", "miri", "rust_analyzer", "rustfmt"];
    let first = &attribute.path().segments[0].ident;
    let is_single = attribute.path().segments.len() == 1;
    if is_single { NAMES.iter().any(|name| first == name) } else { TOOLS.iter().any(|name| first == name) }
}

/// The function's parameters, twice: as the guarded function takes them, and as the body does. The body gets all of
/// them, used or not, so that they are dropped inside the run, in the order they always were.
pub(crate) struct Parameters {
    /// The signature, with a name for every argument.
    pub(crate) outer: Signature,
    /// An attribute of the guarded function, for `mut self`.
    pub(crate) attribute: Option<TokenStream>,
    /// These names, and the patterns as the user wrote them.
    passed: Vec<Passed>,
    /// Statements that make the body take what cannot be passed on: `self`.
    captures: TokenStream,
}

struct Passed {
    attributes: Vec<Attribute>,
    name: Ident,
    pattern: TokenStream,
    /// The pattern again, where it may leave something of the value behind.
    parts: Option<Pat>,
}

impl Parameters {
    pub(crate) fn of(signature: &Signature) -> Self {
        let mut parameters =
            Self { outer: signature.clone(), attribute: None, passed: Vec::new(), captures: TokenStream::new() };
        // An argument that may not be there cannot be counted.
        let counts = !signature.inputs.iter().any(|input| input_attributes(input).iter().any(is_conditional));
        for (number, (input, outer)) in signature.inputs.iter().zip(&mut parameters.outer.inputs).enumerate() {
            match (input, outer) {
                (FnArg::Receiver(receiver), _) => {
                    let token = &receiver.self_token;
                    parameters.captures = quote_spanned!(Span::mixed_site()=> let _ = &#token;);
                    // The compiler takes a field that is set last for one that nobody reads, in a closure.
                    parameters.attribute = receiver.mutability.map(|_| quote!(#[allow(unused_assignments)]));
                }
                (FnArg::Typed(typed), _) if !counts => {
                    if let Pat::Ident(name) = &*typed.pat {
                        let (attributes, name) = (&typed.attrs, &name.ident);
                        parameters.captures.extend(quote!(#(#attributes)* let _ = &#name;));
                    }
                }
                (FnArg::Typed(_), FnArg::Typed(outer)) => parameters.passed.extend(pass(number, outer)),
                (FnArg::Typed(_), FnArg::Receiver(_)) => unreachable!("a clone of the same"),
            }
        }
        parameters
    }

    /// Their names, as the arguments of a call.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.passed.iter().map(|passed| &passed.name)
    }

    /// What a template can name.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let of_passed = |passed: &Passed| {
            let whole = passed.name.to_token_stream();
            match &passed.parts {
                Some(pattern) => placeholder::sources(pattern, &whole),
                None => vec![Source { name: passed.name.unraw().to_string(), place: whole }],
            }
        };
        self.passed.iter().flat_map(of_passed).collect()
    }

    /// The call of a closure with the function's body.
    pub(crate) fn call(&self, output: &TokenStream, body: &Group) -> TokenStream {
        /// Up to here every argument is one of its own; more stand together in the last.
        const MOST: usize = 12;
        let mut arguments: Vec<_> = self.names().map(ToTokens::to_token_stream).collect();
        let pattern = |Passed { attributes, pattern, .. }: &Passed| quote!(#(#attributes)* #pattern);
        let mut patterns: Vec<_> = self.passed.iter().map(pattern).collect();
        if arguments.len() > MOST {
            let (rest, rest_patterns) = (arguments.split_off(MOST - 1), patterns.split_off(MOST - 1));
            arguments.push(quote!((#(#rest),*)));
            patterns.push(quote!((#(#rest_patterns),*)));
        }
        let call = format_ident!("call_{}", arguments.len(), span = Span::mixed_site());
        let captures = &self.captures;
        let content = body.stream();
        let body = if captures.is_empty() { body.clone() } else { braces(quote!(#captures #content), body.span()) };
        // The user's spans: what is written here is to the compiler part of the body.
        let head = quote_spanned!(body.span()=> move |#(#patterns),*|);
        quote!(__guard::#call(#(#arguments,)* #head #output #body))
    }

    /// Where no closure is around the body, each argument is a variable of its own there.
    pub(crate) fn variables(&self) -> TokenStream {
        let Self { captures, passed, .. } = self;
        let bind = passed.iter().map(|Passed { attributes, name, pattern, parts }| {
            let whole = parts.as_ref().map(|_| quote!(let #name = #name;));
            quote!(#whole #(#attributes)* let #pattern = #name;)
        });
        quote!(#captures #(#bind)*)
    }
}

/// What is passed of one parameter; in the signature stay the names.
fn pass(number: usize, outer: &mut PatType) -> Vec<Passed> {
    let is_lint = |attribute: &Attribute| is_named(attribute, &["allow", "deny", "expect", "forbid", "warn"]);
    let attributes: Vec<_> = outer.attrs.extract_if(.., |attribute| is_lint(attribute)).collect();
    let pattern = outer.pat.to_token_stream();
    if let Pat::Ident(name) = &mut *outer.pat
        && name.by_ref.is_none()
        && name.subpat.is_none()
    {
        name.mutability = None;
        return vec![Passed { attributes, name: name.ident.clone(), pattern, parts: None }];
    }
    if let Some(names) = bindings(&outer.pat) {
        // Other attributes below find the names they look for (`#[instrument(skip(name))]`).
        let pass =
            |name: Ident| Passed { attributes: attributes.clone(), pattern: name.to_token_stream(), name, parts: None };
        return names.into_iter().map(pass).collect();
    }
    let name = format_ident!("__argument_{number}", span = Span::mixed_site());
    let parts = std::mem::replace(&mut *outer.pat, Pat::Verbatim(name.to_token_stream()));
    vec![Passed { attributes, name, pattern, parts: Some(parts) }]
}

fn input_attributes(input: &FnArg) -> &[Attribute] {
    match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(typed) => &typed.attrs,
    }
}

fn is_conditional(attribute: &Attribute) -> bool {
    is_named(attribute, &["cfg", "cfg_attr"])
}

/// The names of a pattern that leaves nothing of its value behind, such as `(a, b)`; none where something is left, or
/// bound in another way than by its name.
fn bindings(pattern: &Pat) -> Option<Vec<Ident>> {
    let all = |patterns: &mut dyn Iterator<Item = &Pat>| {
        patterns.map(bindings).collect::<Option<Vec<_>>>().map(|names| names.concat())
    };
    match pattern {
        Pat::Ident(name) => {
            let is_plain = name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none();
            // A capital: the name of a constant.
            let is_name = !name.ident.to_string().starts_with(char::is_uppercase);
            (is_plain && is_name).then(|| vec![name.ident.clone()])
        }
        Pat::Tuple(tuple) => all(&mut tuple.elems.iter()),
        Pat::TupleStruct(tuple) => all(&mut tuple.elems.iter()),
        Pat::Struct(fields) if fields.rest.is_none() => all(&mut fields.fields.iter().map(|field| &*field.pat)),
        Pat::Reference(reference) => bindings(&reference.pat),
        Pat::Paren(inner) => bindings(&inner.pat),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(item: TokenStream) -> Option<String> {
        syn::parse2::<Function>(item).expect("a function").check(false).map(|error| error.to_string())
    }

    #[test]
    fn tests_are_refused() {
        for item in [
            quote!(
                #[rstest]
                fn job() {}
            ),
            quote!(
                #[tokio::test(flavor = "multi_thread")]
                async fn job() {}
            ),
            quote!(
                #[::core::prelude::v1::test]
                fn job() {}
            ),
        ] {
            assert!(refusal(item.clone()).is_some_and(|error| error.starts_with("a skipped run ends")), "{item}");
        }
        assert_eq!(
            refusal(quote!(
                #[inline]
                #[doc = "test"]
                fn job() {}
            )),
            None
        );
    }

    #[test]
    fn a_foreign_caller_is_one_that_cannot_unwind() {
        for (item, is_refused) in [
            (
                quote!(
                    extern "C" fn job() {}
                ),
                true,
            ),
            (
                quote!(
                    extern "C" fn job() {}
                ),
                true,
            ),
            (
                quote!(
                    extern "system" fn job() {}
                ),
                true,
            ),
            (
                quote!(
                    extern "Rust" fn job() {}
                ),
                false,
            ),
            (
                quote!(
                    extern "C-unwind" fn job() {}
                ),
                false,
            ),
        ] {
            assert_eq!(refusal(item.clone()).is_some(), is_refused, "{item}");
        }
    }
}
