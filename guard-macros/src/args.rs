//! The attribute's arguments: parsed, checked for their form, every mistake reported at once.
//!
//! What a text or a number means is not decided here: the expansion hands it to a `const fn` of `guard-runtime`, the one
//! place that reads sizes, levels and path templates, and a mistake there is a compile error on the same token.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

use crate::near::nearest;

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
    /// One of a few names, which stand here.
    Choice(&'static str),
    /// A duration with a unit.
    Duration,
    /// The template of a connection.
    Connection,
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
            Self::Choice(names) => names,
            Self::Duration => "a duration, as in \"30s\", \"5m\" or \"1h30m\"",
            Self::Connection => "a connection, as in \"${DATABASE_URL}\"",
            Self::Command => "a shell command, as in \"curl -fsS https://example.org/ping\"",
            Self::Boolean => "`true` or `false`",
            Self::Crate => "the path of the runtime, as in ::guard_runtime",
        }
    }

    /// Literals of the wrong sort are known here; an expression's type is the compiler's to check.
    fn takes(self, literal: &Lit) -> bool {
        match self {
            Self::Size => matches!(literal, Lit::Str(_) | Lit::Int(_)),
            Self::Integer => matches!(literal, Lit::Int(_)),
            Self::Boolean => matches!(literal, Lit::Bool(_)),
            Self::Crate => false,
            _ => matches!(literal, Lit::Str(_)),
        }
    }
}

/// Every argument there is. Its name is also the builder's method, but for `lock`, `log`, `crate` and those of the cluster.
const KNOWN: [(&str, Kind); 22] = [
    ("lock", Kind::Template),
    ("log", Kind::Template),
    ("max_size", Kind::Size),
    ("backups", Kind::Integer),
    ("level", Kind::Level),
    ("console_level", Kind::Level),
    ("logger", Kind::Boolean),
    ("tee", Kind::Choice("\"both\", \"stdout\" or \"none\"")),
    ("console", Kind::Choice("\"always\" or \"on_failure\"")),
    ("wait", Kind::Duration),
    ("conflict_exit_code", Kind::Integer),
    ("stuck_after", Kind::Duration),
    ("timeout", Kind::Duration),
    ("kill_after", Kind::Duration),
    ("survivors", Kind::Choice("\"hold\", \"kill\" or \"ignore\"")),
    ("status", Kind::Template),
    ("metrics", Kind::Template),
    ("on_end", Kind::Command),
    ("cluster_lock", Kind::Connection),
    ("cluster_timeout", Kind::Duration),
    ("on_lock_lost", Kind::Choice("\"stop\" or \"tell\"")),
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
        errors.extend(args.check_alone());
        (args, errors)
    }

    /// Arguments that mean nothing by themselves are taken away.
    fn check_alone(&mut self) -> Vec<Error> {
        let is_given = |key: &str| self.mentioned.iter().any(|given| given == key);
        // Whatever is no literal may be "kill".
        let is_kill = |survivors: &Argument| text(&survivors.value).is_none_or(|text| text.value() == "kill");
        let has_end = is_given("timeout") || self.get("survivors").is_some_and(is_kill);
        let has_cluster = is_given("cluster_lock");
        let mut errors = Vec::new();
        self.given.retain(|Argument { key, .. }| {
            let message = match key.to_string().as_str() {
                "kill_after" if !has_end => {
                    "`kill_after` is the time from SIGTERM to SIGKILL: give `timeout` or survivors = \"kill\" too"
                }
                "cluster_timeout" | "on_lock_lost" if !has_cluster => {
                    "it is said of a cluster lock: give `cluster_lock` too"
                }
                _ => return true,
            };
            errors.push(Error::new(key.span(), message));
            false
        });
        errors
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

/// The text of a literal.
pub(crate) fn text(value: &Expr) -> Option<&LitStr> {
    match bare(value) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

fn is_acceptable(kind: Kind, value: &Expr) -> bool {
    match bare(value) {
        Expr::Lit(ExprLit { lit, .. }) => kind.takes(lit),
        Expr::Path(path) if kind == Kind::Crate => syn::parse2::<Path>(path.to_token_stream()).is_ok(),
        _ => kind != Kind::Crate,
    }
}

fn near(key: &str) -> Option<&'static str> {
    nearest(key, KNOWN.iter().map(|(name, _)| *name))
}

fn unknown(key: &str) -> String {
    let known = KNOWN.map(|(name, _)| format!("`{name}`")).join(", ");
    let suggestion = near(key).map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
    format!("unknown argument `{key}`.{suggestion} Known: {known}")
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
            (quote!(lock = "a", log = "b", kill_after = "3s"), "`kill_after` is the time from SIGTERM"),
            (quote!(lock = "a", log = "b", kill_after = "3s", survivors = "hold"), "`kill_after` is the time"),
            (quote!(lock = "a", log = "b", on_lock_lost = "tell"), "it is said of a cluster lock"),
            (quote!(lock = "a", log = "b", survivors = true), "`survivors` is \"hold\", \"kill\" or \"ignore\""),
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
