//! The guarded function.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, GenericArgument, Lit, PathArguments, ReturnType, Signature, Type, Visibility,
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
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

/// On a mistake the function is given back as it stood, so that no second wave of errors hides the first.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = syn::parse2::<Function>(item.clone()).map_err(|error| {
        Error::new(error.span(), "#[locked_pipeline] goes on a function with a body, such as `fn main() { … }`")
    });
    let args = Args::parse(arguments);
    match (args, function) {
        (Ok(args), Ok(function)) => match check(&function) {
            Ok(()) => guarded(&args, &function),
            Err(error) => with_errors(&item, &[error]),
        },
        (args, function) => {
            let errors: Vec<Error> = args.err().into_iter().chain(function.err()).collect();
            with_errors(&item, &errors)
        }
    }
}

fn with_errors(item: &TokenStream, errors: &[Error]) -> TokenStream {
    let errors = errors.iter().map(Error::to_compile_error);
    quote!(#item #(#errors)*)
}

/// Functions that cannot be a run.
fn check(function: &Function) -> Result<(), Error> {
    let Signature { constness, asyncness, abi, .. } = &function.signature;
    if let Some(token) = constness {
        return Err(Error::new_spanned(token, "a run takes a lock and writes a log: it cannot be a `const fn`"));
    }
    if let Some(abi) = abi {
        return Err(Error::new_spanned(
            abi,
            "a run may end in a panic, which must not cross a foreign caller: guard a Rust function",
        ));
    }
    if let Some(token) = asyncness {
        return Err(Error::new_spanned(
            token,
            "async functions are not guarded yet: guard a function that blocks on this one",
        ));
    }
    let is_test = |attribute: &&Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "test");
    if let Some(test) = function.attributes.iter().find(is_test) {
        let message = "a skipped run ends the process with 0, and a test binary that ends with 0 has passed: \
                       use the builder, guard_runtime::Config, in a test";
        return Err(Error::new_spanned(test, message));
    }
    Ok(())
}

fn guarded(args: &Args, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let runtime = runtime(args);
    let config = config(args, &runtime);
    // Names that the user's code cannot see.
    let guard = Ident::new("guard", Span::mixed_site());
    let value = Ident::new("value", Span::mixed_site());
    let start = quote!(let #guard = #runtime::__private::start(&#config););
    let content = body.stream();
    let output = match &signature.output {
        ReturnType::Default => quote!(-> ()),
        // It never returns: there is no value to look at, and nothing to do after it.
        ReturnType::Type(_, returned) if matches!(**returned, Type::Never(_)) => {
            return quote! {
                #(#attributes)* #visibility #signature {
                    #start
                    #content
                }
            };
        }
        ReturnType::Type(arrow, returned) => {
            let returned = nameable(returned);
            quote!(#arrow #returned)
        }
    };
    // The body keeps its own span, so that a wrong value in it is reported there.
    let block = quote_spanned!(body.span()=> { #content });
    quote! {
        #(#attributes)* #visibility #signature {
            #start
            #[allow(clippy::redundant_closure_call, clippy::unused_unit)]
            let #value = (move || #output #block)();
            #guard.finish({
                use #runtime::__private::{AnyValue as _, Code as _, HiddenError as _, ShownError as _};
                (&&&&#runtime::__private::Returned(&#value)).outcome()
            });
            #value
        }
    }
}

fn runtime(args: &Args) -> TokenStream {
    args.get("crate").map_or_else(|| quote!(::guard_runtime), |argument| argument.value.to_token_stream())
}

/// The builder's calls. Each value is a constant, so that a mistake in it is a compile error on the value.
fn config(args: &Args, runtime: &TokenStream) -> TokenStream {
    let template = |key| args.get(key).map(|argument| constant(argument, runtime));
    let (lock, log) = (template("lock"), template("log"));
    let differ = match (args.get("lock"), args.get("log")) {
        (Some(lock), Some(log)) => {
            let (lock, log) = (&lock.value, &log.value);
            quote_spanned!(lock.span()=> const _: () = #runtime::__private::differ(#lock, #log);)
        }
        _ => TokenStream::new(),
    };
    let settings = args.given.iter().filter(|argument| !matches!(argument.kind, Kind::Template | Kind::Crate));
    let calls = settings.map(|argument| {
        let (method, value) = (&argument.key, constant(argument, runtime));
        quote!(.#method(#value))
    });
    quote!({ #differ #runtime::Config::new(#lock, #log) #(#calls)* })
}

fn constant(argument: &Argument, runtime: &TokenStream) -> TokenStream {
    let Argument { key, kind, value } = argument;
    let span = value.span();
    let check = |checker: &str| {
        let checker = format_ident!("{checker}", span = span);
        quote_spanned!(span=> #runtime::__private::#checker(#value))
    };
    let (of_type, checked) = match kind {
        Kind::Template => (quote!(&'static str), check("path")),
        Kind::Size => {
            let number = matches!(value, Expr::Lit(ExprLit { lit: Lit::Int(_), .. }));
            let of_number = number.then(|| quote_spanned!(span=> ::<u64>));
            (quote!(u64), quote_spanned!(span=> #runtime::__private::Size #of_number(#value).bytes()))
        }
        Kind::Integer if key == "backups" => (quote!(u16), check("backups")),
        Kind::Integer => (quote!(u8), value.to_token_stream()),
        Kind::Level => (quote!(#runtime::__private::LevelFilter), check("level")),
        Kind::Choice => (quote!(#runtime::Tee), check("tee")),
        Kind::Boolean => (quote!(bool), value.to_token_stream()),
        Kind::Crate => return TokenStream::new(),
    };
    quote_spanned!(span=> { const __GUARD_ARGUMENT: #of_type = #checked; __GUARD_ARGUMENT })
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
