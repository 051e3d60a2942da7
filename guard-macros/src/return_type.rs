//! The return type: what it says of the run, and how a closure can name it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypeParamBound};

/// Without the invisible groups of `macro_rules!` fragments and without parentheses.
fn bare(of_type: &Type) -> &Type {
    match of_type {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

fn returned(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, returned) => Some(bare(returned)),
    }
}

pub(crate) fn is_never(output: &ReturnType) -> bool {
    matches!(returned(output), Some(Type::Never(_)))
}

pub(crate) fn is_impl_future(output: &ReturnType) -> bool {
    matches!(returned(output), Some(Type::ImplTrait(returned)) if returned.bounds.iter().any(is_future))
}

/// `Pin<Box<dyn Future<…> + …>>`, or a name that everybody has for it.
pub(crate) fn is_boxed_future(output: &ReturnType) -> bool {
    let Some(Type::Path(path)) = returned(output) else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
        return true;
    }
    let argument = |of_type: &Type, name: &str| -> Option<Type> {
        let Type::Path(path) = bare(of_type) else { return None };
        let last = path.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        match arguments.args.first()? {
            GenericArgument::Type(inner) if last.ident == name => Some(bare(inner).clone()),
            _ => None,
        }
    };
    let boxed = returned(output).and_then(|returned| argument(returned, "Pin")).and_then(|pin| argument(&pin, "Box"));
    matches!(boxed, Some(Type::TraitObject(object)) if object.bounds.iter().any(is_future))
}

fn is_future(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Trait(bound)
        if bound.path.segments.last().is_some_and(|last| last.ident == "Future" || last.ident == "IntoFuture"))
}

/// Whether it is `impl Fn(…)` by itself, or somewhere in it: the closure that the body returns takes the types of its
/// parameters from there, and only the function's own `return` passes them on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImplFn {
    No,
    Itself,
    Inside,
}

pub(crate) fn impl_fn(output: &ReturnType) -> ImplFn {
    let Some(returned) = returned(output) else { return ImplFn::No };
    let is_fn = |bound: &TypeParamBound| {
        matches!(bound, TypeParamBound::Trait(bound) if bound.path.segments.last().is_some_and(|last|
            ["Fn", "FnMut", "FnOnce"].iter().any(|name| last.ident == name)))
    };
    if matches!(returned, Type::ImplTrait(returned) if returned.bounds.iter().any(is_fn)) {
        return ImplFn::Itself;
    }
    let tokens = returned.to_token_stream();
    let inside = mentions(&tokens, &["impl"]) && mentions(&tokens, &["Fn", "FnMut", "FnOnce"]);
    if inside { ImplFn::Inside } else { ImplFn::No }
}

pub(crate) fn mentions(tokens: &TokenStream, words: &[&str]) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word),
        TokenTree::Group(group) => mentions(&group.stream(), words),
        _ => false,
    })
}

/// `-> TYPE` for a closure.
pub(crate) fn of_closure(output: &ReturnType) -> TokenStream {
    let named = of_variable(output);
    match output {
        ReturnType::Default => quote_spanned!(Span::mixed_site()=> -> #named),
        ReturnType::Type(arrow, _) => quote!(#arrow #named),
    }
}

/// The type where an `impl Trait` cannot be named: `_` stands in its place.
pub(crate) fn of_variable(output: &ReturnType) -> TokenStream {
    let ReturnType::Type(_, returned) = output else { return quote_spanned!(Span::mixed_site()=> ()) };
    let mut named = bare(returned).clone();
    replace_impl(&mut named);
    let named = named.to_token_stream();
    // A macro may stand for an `impl Trait`, too.
    let is_hidden = matches!(bare(returned), Type::Macro(_)) || mentions(&named, &["impl"]);
    if is_hidden { quote_spanned!(returned.span()=> _) } else { named }
}

fn placeholder(span: Span) -> Type {
    Type::Verbatim(quote_spanned!(span=> _))
}

fn replace_impl(of_type: &mut Type) {
    match of_type {
        Type::ImplTrait(_) => *of_type = placeholder(of_type.span()),
        Type::Array(array) => replace_impl(&mut array.elem),
        Type::Slice(slice) => replace_impl(&mut slice.elem),
        Type::Group(group) => replace_impl(&mut group.elem),
        Type::Paren(paren) => replace_impl(&mut paren.elem),
        Type::Reference(reference) => replace_impl(&mut reference.elem),
        Type::Ptr(pointer) => replace_impl(&mut pointer.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(replace_impl),
        Type::Path(path) => path.path.segments.iter_mut().for_each(|segment| replace_in(&mut segment.arguments)),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    bound.path.segments.iter_mut().for_each(|segment| replace_in(&mut segment.arguments));
                }
            }
        }
        _ => {}
    }
}

fn replace_in(arguments: &mut PathArguments) {
    match arguments {
        PathArguments::AngleBracketed(arguments) => {
            for argument in &mut arguments.args {
                match argument {
                    GenericArgument::Type(inner) => replace_impl(inner),
                    GenericArgument::AssocType(inner) => replace_impl(&mut inner.ty),
                    _ => {}
                }
            }
        }
        PathArguments::Parenthesized(arguments) => {
            if let ReturnType::Type(_, returned) = &mut arguments.output {
                replace_impl(returned);
            }
        }
        PathArguments::None => {}
    }
}
