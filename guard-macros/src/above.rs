//! `#[test]` above the attribute. It has expanded by then, and left nothing on the function; so it is looked for in the
//! source, and only where the compiler builds tests.

use proc_macro::Span;
use syn::Attribute;
use syn::parse::Parser;

use crate::function::is_test;

/// Whether the attribute that is expanding stands below one that makes a test of its function.
pub(crate) fn is_a_test() -> bool {
    let builds_tests = std::env::args().any(|argument| argument == "--test");
    builds_tests && text_above(Span::call_site()).is_some_and(|text| ends_in_a_test(&text))
}

fn text_above(attribute: Span) -> Option<String> {
    let text = std::fs::read_to_string(attribute.local_file()?).ok()?;
    let mut lines = text.lines();
    let mut above: Vec<&str> = lines.by_ref().take(attribute.line() - 1).collect();
    above.push(lines.next()?.get(..attribute.column() - 1)?);
    Some(above.join("\n"))
}

/// Goes up through attributes and comments, a line each.
fn ends_in_a_test(text: &str) -> bool {
    for line in text.lines().rev().map(str::trim) {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let Ok(attributes) = Attribute::parse_outer.parse_str(line) else { return false };
        if attributes.iter().any(is_test) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::ends_in_a_test;

    #[test]
    fn attributes_above() {
        for (text, is_a_test) in [
            ("#[test]\n", true),
            (
                "fn other() {}\n\n    #[tokio::test(flavor = \"multi_thread\")]\n    // Why.\n\n    #[ignore]\n    ",
                true,
            ),
            ("#[test] ", true),
            ("#[rstest]\n#[case(1)]\n", true),
            ("#[test]\nfn other() {}\n\n", false),
            ("#[inline]\n", false),
            ("", false),
        ] {
            assert_eq!(ends_in_a_test(text), is_a_test, "{text}");
        }
    }
}
