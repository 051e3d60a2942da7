//! The name that somebody may have meant.

/// The longest of those that are near.
pub(crate) fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.filter(|name| is_near(key, name)).max_by_key(|name| name.len())
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
