//! The attribute's arguments: parsed, checked for their form, every mistake reported at once.
//!
//! What a text or a number means is not decided here: the expansion hands it to a `const fn` of `guard-runtime`, the one
//! place that reads sizes, levels and path templates, and a mistake there is a compile error on the same token.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, ExprLit, Ident, Lit, Path, Token};

/// What an argument takes. A constant expression is welcome everywhere but at `crate`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A path template.
    Template,
    /// A size in bytes: a text with a unit, or an integer.
    Size,
    /// An integer.
    Integer,
    /// A level's name.
    Level,
    /// The name of a choice.
    Choice,
    /// A duration with a unit.
    Duration,
    /// A shell command.
    Command,
    /// `true` or `false`.
    Boolean,
    /// A path of Rust, to the runtime.
    Crate,
}

impl Kind {
    fn wants(self) -> &'static str {
        match self {
            Self::Template => "a path, as in \"logs/nightly.log\"",
            Self::Size => "a size, as in \"5MB\", \"512KiB\" or 5_000_000",
            Self::Integer => "a whole number",
            Self::Level => "a level: \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
            Self::Choice => "\"both\", \"stdout\" or \"none\"",
            Self::Duration => "a duration, as in \"30s\", \"5m\" or \"1h30m\"",
            Self::Command => "a shell command, as in \"curl -fsS https://example.org/ping\"",
            Self::Boolean => "`true` or `false`",
            Self::Crate => "the path of the runtime, as in ::guard_runtime",
        }
    }

    /// Literals of the wrong sort are known here; an expression's type is the compiler's to check.
    fn takes(self, literal: &Lit) -> bool {
        match self {
            Self::Template | Self::Level | Self::Choice | Self::Duration | Self::Command => {
                matches!(literal, Lit::Str(_))
            }
            Self::Size => matches!(literal, Lit::Str(_) | Lit::Int(_)),
            Self::Integer => matches!(literal, Lit::Int(_)),
            Self::Boolean => matches!(literal, Lit::Bool(_)),
            Self::Crate => false,
        }
    }
}

/// Every argument there is. Its name is also the builder's method, but for `lock`, `log` and `crate`.
const KNOWN: [(&str, Kind); 15] = [
    ("lock", Kind::Template),
    ("log", Kind::Template),
    ("max_size", Kind::Size),
    ("backups", Kind::Integer),
    ("level", Kind::Level),
    ("console_level", Kind::Level),
    ("logger", Kind::Boolean),
    ("tee", Kind::Choice),
    ("wait", Kind::Duration),
    ("conflict_exit_code", Kind::Integer),
    ("stuck_after", Kind::Duration),
    ("status", Kind::Template),
    ("metrics", Kind::Template),
    ("on_end", Kind::Command),
    ("crate", Kind::Crate),
];

/// One argument as it was written.
pub(crate) struct Argument {
    pub(crate) key: Ident,
    pub(crate) kind: Kind,
    pub(crate) value: Expr,
}

#[derive(Default)]
pub(crate) struct Args {
    pub(crate) given: Vec<Argument>,
    /// Given, if in vain: such an argument is not missing too.
    mentioned: Vec<Ident>,
}

impl Args {
    /// What could be read, and every mistake.
    pub(crate) fn parse(tokens: TokenStream) -> (Self, Vec<Error>) {
        let mut args = Self::default();
        let mut errors = Vec::new();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                args.parse_one(input, &mut errors)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        for required in ["lock", "log"] {
            if args.get(required).is_none() && !args.mentioned.iter().any(|key| key == required) {
                let message =
                    format!("missing argument `{required}`: write #[locked_pipeline(lock = \"…\", log = \"…\")]");
                errors.push(Error::new(Span::call_site(), message));
            }
        }
        (args, errors)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Argument> {
        self.given.iter().find(|argument| argument.key == key)
    }

    fn parse_one(&mut self, input: ParseStream<'_>, errors: &mut Vec<Error>) -> syn::Result<()> {
        let key = Ident::parse_any(input)?;
        let known = KNOWN.iter().find(|(name, _)| key == name);
        self.mentioned.push(key.clone());
        if input.is_empty() || input.peek(Token![,]) {
            let wants = known.map_or("a value", |(_, kind)| kind.wants());
            errors.push(Error::new(key.span(), format!("`{key}` needs a value: write `{key} = ` and {wants}")));
            return Ok(());
        }
        input.parse::<Token![=]>()?;
        let value: Expr = input.parse()?;
        let Some(&(_, kind)) = known else {
            errors.push(Error::new(key.span(), unknown(&key.to_string())));
            return Ok(());
        };
        if self.get(&key.to_string()).is_some() {
            errors.push(Error::new(key.span(), format!("`{key}` is given twice: keep one")));
        } else if !is_acceptable(kind, &value) {
            errors.push(Error::new_spanned(&value, format!("`{key}` is {}", kind.wants())));
        } else {
            self.given.push(Argument { key, kind, value });
        }
        Ok(())
    }
}

fn is_acceptable(kind: Kind, value: &Expr) -> bool {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => kind.takes(lit),
        Expr::Path(_) if kind == Kind::Crate => syn::parse2::<Path>(value.to_token_stream()).is_ok(),
        _ => kind != Kind::Crate,
    }
}

fn unknown(key: &str) -> String {
    let known = KNOWN.map(|(name, _)| format!("`{name}`")).join(", ");
    let near = KNOWN.iter().map(|(name, _)| *name).filter(|name| is_near(key, name)).max_by_key(|name| name.len());
    let suggestion = near.map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
    format!("unknown argument `{key}`.{suggestion} Known: {known}")
}

/// One contains the other (`lockfile`, `size`, `max_backups`), or they differ by a slip or two (`bakcups`).
fn is_near(key: &str, name: &str) -> bool {
    key.contains(name) || (key.len() > 2 && name.contains(key)) || distance(key, name) <= 2.min(name.len() / 2)
}

/// Levenshtein's: single insertions, deletions and replacements.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn messages(tokens: TokenStream) -> Vec<String> {
        Args::parse(tokens).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_at_once() {
        let messages = messages(quote!(lock = 5, lockfile = "a", backups = "7", backups = 1, level));
        assert_eq!(messages.len(), 5, "{messages:#?}");
        assert_eq!(messages[0], "`lock` is a path, as in \"logs/nightly.log\"");
        assert!(messages[1].starts_with("unknown argument `lockfile`. Did you mean `lock`? Known: `lock`, `log`,"));
        assert_eq!(messages[2], "`backups` is a whole number");
        assert!(messages[3].starts_with("`level` needs a value: write `level = ` and a level: \"off\""));
        assert!(messages[4].starts_with("missing argument `log`"));
    }

    #[test]
    fn near_names() {
        for (key, name) in [
            ("lockfile", "lock"),
            ("logfile", "log"),
            ("size", "max_size"),
            ("max_backups", "backups"),
            ("bakcups", "backups"),
            ("lvel", "level"),
            ("exit_code", "conflict_exit_code"),
            ("lok", "lock"),
        ] {
            assert!(unknown(key).contains(&format!("Did you mean `{name}`?")), "{}", unknown(key));
        }
        assert!(!unknown("colour").contains("Did you mean"));
    }

    #[test]
    fn what_is_right_passes() {
        let args = Args::parse(quote!(lock = LOCK, log = concat!("a", ".log"), max_size = 5_000, crate = ::a::b,));
        assert_eq!((args.0.given.len(), args.1.len()), (4, 0));
    }
}
