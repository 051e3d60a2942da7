//! The user's manifest: under which name it has the runtime. Without this, a dependency that was renamed would be an error
//! that does not say what to write.

/// The new name of `guard-runtime`, where the manifest of the crate that is compiled renames it.
pub(crate) fn renamed_runtime() -> Option<String> {
    let directory = std::env::var_os("CARGO_MANIFEST_DIR")?;
    renamed(&std::fs::read_to_string(std::path::Path::new(&directory).join("Cargo.toml")).ok()?)
}

/// `name = { package = "guard-runtime", … }`, or `package = "guard-runtime"` under `[dependencies.name]`.
fn renamed(manifest: &str) -> Option<String> {
    let (mut table, mut name) = ("", None);
    for line in manifest.lines().map(str::trim) {
        let compact: String = line.split_whitespace().collect();
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).rsplit('.').next().unwrap_or_default();
        }
        if table == "guard-runtime" || ["guard-runtime=", "guard-runtime."].iter().any(|own| compact.starts_with(own)) {
            return None;
        }
        if !compact.starts_with('#') && compact.contains("package=\"guard-runtime\"") {
            let key = compact.split('=').next().unwrap_or_default();
            name = Some(if key == "package" { table } else { key }.replace('-', "_"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn a_renamed_dependency_is_found() {
        for (manifest, name) in [
            ("[dependencies]\nguard = { package = \"guard-runtime\", path = \"x\" }\n", Some("guard")),
            ("[dependencies]\nthe-guard={version=\"1\",package=\"guard-runtime\"}\n", Some("the_guard")),
            ("[dependencies.guard]\nversion = \"1\"\npackage = \"guard-runtime\"\n", Some("guard")),
            ("[target.'cfg(unix)'.dependencies.guard]\npackage = \"guard-runtime\"\n", Some("guard")),
            ("[dependencies]\nguard-runtime = \"1\"\n[dev-dependencies]\ng = { package = \"guard-runtime\" }\n", None),
            ("[dependencies]\nguard-runtime.workspace = true\n", None),
            ("[dependencies]\n# guard = { package = \"guard-runtime\" }\n", None),
            ("", None),
        ] {
            assert_eq!(renamed(manifest).as_deref(), name, "{manifest}");
        }
    }
}
