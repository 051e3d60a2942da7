//! The attribute's arguments: parsed, checked for their form, every mistake reported at once.
//!
//! What a text or a number means is not decided here: the expansion hands it to a `const fn` of `guard-runtime`, the one
//! place that reads sizes, levels and path templates, and a mistake there is a compile error on the same token.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
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
    /// Which streams are captured.
    Choice,
    /// When the console gets what is printed.
    ConsoleMode,
    /// What becomes of a dead run's processes.
    Survivors,
    /// A duration with a unit.
    Duration,
    /// A shell command.
    Command,
    /// A template of a URL.
    Connection,
    /// What a lost cluster lock does.
    LockLoss,
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
            Self::ConsoleMode => "\"always\" or \"on_failure\"",
            Self::Survivors => "\"hold\", \"kill\" or \"ignore\"",
            Self::Duration => "a duration, as in \"30s\", \"5m\" or \"1h30m\"",
            Self::Command => "a shell command, as in \"curl -fsS https://example.org/ping\"",
            Self::Connection => "a URL, as in \"${DATABASE_URL}\"",
            Self::LockLoss => "\"stop\" or \"tell\"",
            Self::Boolean => "`true` or `false`",
            Self::Crate => "the path of the runtime, as in ::guard_runtime",
        }
    }

    /// Literals of the wrong sort are known here; an expression's type is the compiler's to check.
    fn takes(self, literal: &Lit) -> bool {
        match self {
            Self::Template
            | Self::Level
            | Self::Choice
            | Self::Survivors
            | Self::ConsoleMode
            | Self::Duration
            | Self::Command
            | Self::Connection
            | Self::LockLoss => matches!(literal, Lit::Str(_)),
            Self::Size => matches!(literal, Lit::Str(_) | Lit::Int(_)),
            Self::Integer => matches!(literal, Lit::Int(_)),
            Self::Boolean => matches!(literal, Lit::Bool(_)),
            Self::Crate => false,
        }
    }
}

/// Every argument there is. Its name is also the builder's method, but for `lock`, `log` and `crate`.
const KNOWN: [(&str, Kind); 22] = [
    ("lock", Kind::Template),
    ("log", Kind::Template),
    ("max_size", Kind::Size),
    ("backups", Kind::Integer),
    ("level", Kind::Level),
    ("console_level", Kind::Level),
    ("logger", Kind::Boolean),
    ("tee", Kind::Choice),
    ("console", Kind::ConsoleMode),
    ("wait", Kind::Duration),
    ("conflict_exit_code", Kind::Integer),
    ("stuck_after", Kind::Duration),
    ("timeout", Kind::Duration),
    ("kill_after", Kind::Duration),
    ("survivors", Kind::Survivors),
    ("status", Kind::Template),
    ("metrics", Kind::Template),
    ("on_end", Kind::Command),
    ("cluster_lock", Kind::Connection),
    ("cluster_timeout", Kind::Duration),
    ("on_lock_lost", Kind::LockLoss),
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
    /// The attribute has let the others of its function expand first, and is the last of them.
    pub(crate) is_last: bool,
    /// Given, if in vain.
    mentioned: Vec<String>,
    /// Probably meant by something that has its own message, and so not missing too.
    excused: Vec<&'static str>,
}

/// What the expansion writes in front of its own arguments where it puts itself last. No argument begins like that.
pub(crate) fn last_mark() -> TokenStream {
    quote!(@last,)
}

impl Args {
    /// What could be read, and every mistake, once.
    pub(crate) fn parse(tokens: TokenStream) -> (Self, Vec<Error>) {
        let mut args = Self::default();
        let mut errors = Vec::new();
        let parser = |input: ParseStream<'_>| {
            if input.peek(Token![@]) {
                let _: (Token![@], Ident, Token![,]) = (input.parse()?, input.parse()?, input.parse()?);
                args.is_last = true;
            }
            while !input.is_empty() {
                if let Err(error) = args.parse_one(input) {
                    errors.push(error);
                    skip_to_the_next(input)?;
                } else if !input.is_empty() && !input.peek(Token![,]) {
                    errors.push(Error::new(input.span(), "expected a comma between two arguments"));
                    skip_to_the_next(input)?;
                }
                input.parse::<Option<Token![,]>>()?;
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        for required in ["lock", "log"] {
            if !args.mentioned.iter().any(|key| key == required) && !args.excused.contains(&required) {
                let message =
                    format!("missing argument `{required}`: write #[locked_pipeline(lock = \"…\", log = \"…\")]");
                errors.push(Error::new(Span::call_site(), message));
            }
        }
        errors.extend(args.unused_grace());
        (args, errors)
    }

    /// `kill_after`, where nothing is ever ended. What another expression than a text says is looked at when the run starts.
    fn unused_grace(&self) -> Option<Error> {
        let kills = |argument: &Argument| match bare(&argument.value) {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value() == "kill",
            _ => true,
        };
        let is_used = self.mentioned.iter().any(|key| key == "timeout") || self.get("survivors").is_some_and(kills);
        let grace = self.get("kill_after").filter(|_| !is_used)?;
        let message = "`kill_after` says how long processes have after SIGTERM: give it with `timeout` or with \
                       survivors = \"kill\"";
        Some(Error::new(grace.key.span(), message))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Argument> {
        self.given.iter().find(|argument| argument.key == key)
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let Ok(raw) = Ident::parse_any(input) else {
            self.excused.extend(["lock", "log"]);
            return Err(input.error("an argument has a name: write lock = \"…\", log = \"…\""));
        };
        let key = raw.unraw();
        let Some(&(_, kind)) = KNOWN.iter().find(|(name, _)| key == name) else {
            let name = key.to_string();
            self.excused.extend(near(&name));
            return Err(Error::new(key.span(), unknown(&name)));
        };
        let is_second = self.mentioned.iter().any(|name| key == name);
        self.mentioned.push(key.to_string());
        let wants = kind.wants();
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(key.span(), format!("`{key}` needs a value: write `{key} = ` and {wants}")));
        }
        if !input.peek(Token![=]) || input.peek(Token![==]) {
            return Err(input.error(format!("expected `=`: write `{key} = ` and {wants}")));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(key.span(), format!("`{key}` needs a value: write `{key} = ` and {wants}")));
        }
        let start = input.span();
        let Ok(value) = input.parse::<Expr>() else {
            return Err(Error::new(start, format!("`{key}` is {wants}")));
        };
        if is_second {
            return Err(Error::new(key.span(), format!("`{key}` is given twice: keep one")));
        }
        if !is_acceptable(kind, &value) {
            return Err(Error::new_spanned(&value, format!("`{key}` is {wants}")));
        }
        self.given.push(Argument { key, kind, value });
        Ok(())
    }
}

/// To the comma in front of the next argument, to that argument (`name =`), or to the end.
fn skip_to_the_next(input: ParseStream<'_>) -> syn::Result<()> {
    let is_argument = || input.peek(Ident::peek_any) && input.peek2(Token![=]);
    while !input.is_empty() && !input.peek(Token![,]) && !is_argument() {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// Without the invisible groups of `macro_rules!` fragments (`$lock:expr`), and parentheses.
pub(crate) fn bare(value: &Expr) -> &Expr {
    match value {
        Expr::Group(group) => bare(&group.expr),
        Expr::Paren(paren) => bare(&paren.expr),
        other => other,
    }
}

fn is_acceptable(kind: Kind, value: &Expr) -> bool {
    match bare(value) {
        Expr::Lit(ExprLit { lit, .. }) => kind.takes(lit),
        Expr::Path(path) if kind == Kind::Crate => syn::parse2::<Path>(path.to_token_stream()).is_ok(),
        _ => kind != Kind::Crate,
    }
}

fn unknown(key: &str) -> String {
    let known = KNOWN.map(|(name, _)| format!("`{name}`")).join(", ");
    let suggestion = near(key).map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
    format!("unknown argument `{key}`.{suggestion} Known: {known}")
}

fn near(key: &str) -> Option<&'static str> {
    KNOWN.iter().map(|(name, _)| *name).filter(|name| is_near(key, name)).max_by_key(|name| name.len())
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

    fn messages(tokens: TokenStream) -> Vec<String> {
        Args::parse(tokens).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_at_once() {
        let messages = messages(quote!(lock = 5, lockfile = "a", backups = "7", backups = 1, level));
        assert_eq!(messages.len(), 6, "{messages:#?}");
        assert_eq!(messages[0], "`lock` is a path, as in \"logs/nightly.log\"");
        assert!(messages[1].starts_with("unknown argument `lockfile`. Did you mean `lock`? Known: `lock`, `log`,"));
        assert_eq!(messages[2], "`backups` is a whole number");
        assert_eq!(messages[3], "`backups` is given twice: keep one");
        assert!(messages[4].starts_with("`level` needs a value: write `level = ` and a level: \"off\""));
        assert!(messages[5].starts_with("missing argument `log`"));
    }

    /// A slip of syntax costs no other argument, and one mistake has one message.
    #[test]
    fn one_message_for_each_mistake() {
        for (tokens, start) in [
            (quote!(lock = , log = "a"), "`lock` needs a value"),
            (quote!(log = "a", lock =), "`lock` needs a value"),
            (quote!(lock: "a", log = "b"), "expected `=`: write `lock = ` and a path"),
            (quote!(lock("a"), log = "b"), "expected `=`"),
            (quote!(lock == "a", log = "b"), "expected `=`"),
            (quote!(lock = "a" log = "b"), "expected a comma"),
            (quote!(lock = "a"; log = "b"), "expected a comma"),
            (quote!(lock = ? "a", log = "b"), "`lock` is a path"),
            (quote!(lockfile = "a", log = "b"), "unknown argument `lockfile`. Did you mean `lock`?"),
            (quote!("a.lock", log = "b"), "an argument has a name"),
            (quote!(lock = "a", , log = "b"), "an argument has a name"),
            (quote!(lock = "a", log = "b", colour), "unknown argument `colour`. Known"),
        ] {
            let (tokens, messages) = (tokens.to_string(), messages(tokens));
            assert!(messages.len() == 1 && messages[0].starts_with(start), "{tokens}: {messages:#?}");
        }
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
