//! `{argument}` in a template: which arguments of the function it names, and what is wrong with it.
//!
//! The grammar is the runtime's (`{{` and `}}` are braces, `${…}` is a variable's), which fills the templates in; here the
//! names are compared with the function's.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Error, Index, Pat, Token};

use crate::args::{self, Args, Argument, Kind};
use crate::near::nearest;
use crate::span::located;

/// What a template can name: a name in the function's parameters, and where its value is before the body has it.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) place: TokenStream,
}

/// What is wrong with the names in the templates. Such an argument is taken away: it needs no further message.
pub(crate) fn check(args: &mut Args, sources: &[Source]) -> Vec<Error> {
    let wrong = |argument: &Argument| -> Option<Error> {
        let text = args::text(&argument.value)?;
        let wrong = match argument.kind {
            Kind::Template | Kind::Connection => match names(&text.value()) {
                Ok(names) => {
                    let is_known = |name: &String| sources.iter().any(|source| source.name == *name);
                    unknown(names.iter().find(|name| !is_known(name))?, sources)
                }
                Err(wrong) => wrong,
            },
            Kind::Command => in_a_command(&text.value(), sources)?,
            _ => return None,
        };
        Some(Error::new(text.span(), wrong))
    };
    let mut errors = Vec::new();
    args.given.retain(|argument| {
        let wrong = wrong(argument);
        let is_right = wrong.is_none();
        errors.extend(wrong);
        is_right
    });
    errors
}

/// The builder's calls that give the templates their values: each of them stands at the first template that has the name.
pub(crate) fn calls(args: &Args, sources: &[Source]) -> TokenStream {
    let (mut done, mut calls) = (Vec::new(), TokenStream::new());
    for argument in args.given.iter().filter(|argument| matches!(argument.kind, Kind::Template | Kind::Connection)) {
        let Some(text) = args::text(&argument.value) else { continue };
        for name in names(&text.value()).unwrap_or_default() {
            let Some(source) = sources.iter().find(|source| source.name == name).filter(|_| !done.contains(&name))
            else {
                continue;
            };
            let (place, span) = (at(&source.place, text.span()), located(Span::mixed_site(), text.span()));
            calls.extend(quote_spanned!(span=> .argument(#name, &#place)));
            done.push(name);
        }
    }
    calls
}

/// The same names at another place: an error of their type is one of the template.
fn at(tokens: &TokenStream, span: Span) -> TokenStream {
    let moved = |token: TokenTree| match token {
        TokenTree::Group(group) => {
            let mut moved = Group::new(group.delimiter(), at(&group.stream(), span));
            moved.set_span(located(group.span(), span));
            TokenTree::Group(moved)
        }
        mut token => {
            token.set_span(located(token.span(), span));
            token
        }
    };
    tokens.clone().into_iter().map(moved).collect()
}

/// A shell has its own use of braces: what looks like an argument of this function's is no argument there.
fn in_a_command(command: &str, sources: &[Source]) -> Option<String> {
    let source = sources.iter().find(|source| {
        let name = format!("{{{}}}", source.name);
        command.match_indices(&name).any(|(at, _)| !command[..at].ends_with('$'))
    })?;
    let name = &source.name;
    Some(format!(
        "`{{{name}}}` is not filled in there: a command is told of its run by the variables GUARD_LOCK, GUARD_LOG and others"
    ))
}

fn unknown(name: &str, sources: &[Source]) -> String {
    if name == "self" {
        return "`{self}` cannot name a file: pass what tells the runs apart as an argument".into();
    }
    if sources.is_empty() {
        return format!("`{{{name}}}` names an argument, and the function has none; write `{{{{` for a brace");
    }
    let near = nearest(name, sources.iter().map(|source| source.name.as_str()));
    let suggestion = near.map(|near| format!(" Did you mean `{{{near}}}`?")).unwrap_or_default();
    let all: Vec<_> = sources.iter().map(|source| format!("`{{{}}}`", source.name)).collect();
    format!("`{{{name}}}` is no argument of the function.{suggestion} There are: {}", all.join(", "))
}

/// The names in a template, in order.
fn names(template: &str) -> Result<Vec<String>, String> {
    let (mut names, mut rest) = (Vec::new(), template);
    while let Some(at) = rest.find(['{', '}', '$']) {
        let found = &rest[at..];
        rest = match found.as_bytes() {
            [b'{', b'{', ..] | [b'}', b'}', ..] | [b'$', b'$', ..] => &found[2..],
            // A variable, whose form the runtime checks.
            [b'$', b'{', ..] => &found[end_of_variable(found)..],
            [b'$', ..] => &found[1..],
            [b'}', ..] => return Err("`}` without a `{` in front of it: write `}}` for a brace".into()),
            _ => {
                let (name, rest) =
                    found[1..].split_once('}').ok_or("`{` is not closed: write `{argument}`, or `{{` for a brace")?;
                names.push(checked(name)?);
                rest
            }
        };
    }
    Ok(names)
}

/// Behind the brace that closes the one of `${`; a default can have variables in it.
fn end_of_variable(text: &str) -> usize {
    let mut open = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => open += 1,
            '}' if open == 1 => return at + 1,
            '}' => open -= 1,
            _ => {}
        }
    }
    text.len()
}

fn checked(name: &str) -> Result<String, String> {
    if let Some((name, spec)) = name.split_once(':') {
        return Err(format!(
            "`{{{name}:{spec}}}`: a value is filled in by its `Display`, without a format: write `{{{name}}}`"
        ));
    }
    let is_letter = |byte: char| byte == '_' || byte.is_alphanumeric();
    match name.chars().next() {
        None => Err("`{}` needs the name of an argument in it; write `{{}}` for braces".into()),
        Some(first) if !first.is_numeric() && name.chars().all(is_letter) => Ok(name.into()),
        Some(_) => Err(format!("`{{{name}}}`: only the name of an argument can stand there; write `{{{{` for a brace")),
    }
}

/// The names that a pattern binds, as parts of `whole`; those that are bound in another way than by a field are left out.
pub(crate) fn sources(pattern: &Pat, whole: &TokenStream) -> Vec<Source> {
    let parts = |fields: &mut dyn Iterator<Item = (TokenStream, &Pat)>| {
        fields.flat_map(|(field, pattern)| sources(pattern, &quote!(#whole.#field))).collect::<Vec<_>>()
    };
    let numbered = |patterns: &Punctuated<Pat, Token![,]>| {
        // Behind `..` the fields are counted from the end.
        let known = patterns.iter().take_while(|pattern| !matches!(pattern, Pat::Rest(_))).cloned().collect::<Vec<_>>();
        let fields = known.iter().enumerate().map(|(number, pattern)| (Index::from(number).to_token_stream(), pattern));
        parts(&mut fields.collect::<Vec<_>>().into_iter())
    };
    match pattern {
        Pat::Ident(name) => {
            let mut all = vec![Source { name: name.ident.unraw().to_string(), place: whole.clone() }];
            if let Some((_, inner)) = &name.subpat {
                all.extend(sources(inner, whole));
            }
            all
        }
        Pat::Tuple(tuple) => numbered(&tuple.elems),
        Pat::TupleStruct(tuple) => numbered(&tuple.elems),
        Pat::Struct(fields) => {
            parts(&mut fields.fields.iter().map(|field| (field.member.to_token_stream(), &*field.pat)))
        }
        Pat::Reference(reference) => sources(&reference.pat, &quote!((*#whole))),
        Pat::Paren(inner) => sources(&inner.pat, whole),
        Pat::Type(typed) => sources(&typed.pat, whole),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for (template, expected) in [
            ("a/{b}-{c_1}.lock", vec!["b", "c_1"]),
            ("{{a}} ${B} ${C:-{d}} $E $$ {größe}", vec!["größe"]),
            ("${A:-${B}}/{c}", vec!["c"]),
            ("a", vec![]),
        ] {
            assert_eq!(names(template).unwrap(), expected, "{template}");
        }
        for (template, wrong) in [
            ("a{b", "`{` is not closed"),
            ("a}b", "`}` without a `{`"),
            ("{}", "`{}` needs the name"),
            ("{b:?}", "`{b:?}`: a value is filled in by its `Display`"),
            ("{b.c}", "`{b.c}`: only the name"),
            ("{0}", "`{0}`: only the name"),
        ] {
            assert!(names(template).unwrap_err().starts_with(wrong), "{template}: {:?}", names(template));
        }
    }

    #[test]
    fn patterns() {
        let pattern = |text: &str| syn::parse::Parser::parse_str(Pat::parse_single, text).unwrap();
        for (text, expected) in [
            ("Args { tenant, full: (a, _), .. }", "tenant = x . tenant, a = x . full . 0"),
            ("&(ref a, mut b)", "a = (* x) . 0, b = (* x) . 1"),
            ("whole @ Wrapped(inner)", "whole = x, inner = x . 0"),
            ("(a, .., z)", "a = x . 0"),
            ("_", ""),
        ] {
            let found = sources(&pattern(text), &quote!(x));
            let found: Vec<_> = found.iter().map(|source| format!("{} = {}", source.name, source.place)).collect();
            assert_eq!(found.join(", "), expected, "{text}");
        }
    }
}
