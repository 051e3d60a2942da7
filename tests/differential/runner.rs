//! Compiles and runs every program of `cases/` twice, with the attribute and without, and compares: the compiler's
//! messages (level, code, text, place), the exit code, both outputs. What may differ stands in `differences.txt`.
//!
//! In a case, `#[guard]` (or `#[guard(more = "arguments")]`) is the attribute; in the bare program there is a comment in
//! its place, so that lines and columns are the same. Without a `main` the case is a library that clippy looks at.
//! `//@ edition: 2018` is another edition than 2024. Of what a program prints, lines that begin with `in ` must stand in
//! the run's log, those that begin with `out ` must not.
//!
//! `CASES=types/,async cargo test -p differential -- --ignored` runs those whose path contains one of the texts.
#![allow(missing_docs, clippy::format_push_string)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No more differences than that may be listed.
const MOST_DIFFERENCES: usize = 12;
/// Two compilers at a time.
const JOBS: usize = 2;
/// What a program may take; none of them needs a second.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "minutes: every case is compiled twice"]
fn what_compiles_bare_compiles_annotated_and_says_the_same() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let filter = std::env::var("CASES").unwrap_or_default();
    let mut cases = Vec::new();
    find_cases(&here.join("cases"), &mut cases);
    cases.sort();
    let name = |case: &Path| case.strip_prefix(here.join("cases")).unwrap().display().to_string();
    let is_wanted = |name: &str| filter.split(',').any(|part| name.contains(part));
    cases.retain(|case| is_wanted(&name(case)));
    let allowed = allowed_differences(&here.join("differences.txt"));
    assert!(allowed.len() <= MOST_DIFFERENCES, "{} differences are listed", allowed.len());

    let compilers = Compilers::find();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let differences = compare(case, &compilers);
                    if !differences.is_empty() {
                        found.lock().unwrap().insert(name(case), differences);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let mut wrong = false;
    for (case, differences) in &found {
        let reason = allowed.get(case);
        wrong |= reason.is_none();
        println!("\n=== {case} differs; {}", reason.map_or("NOT LISTED", String::as_str));
        for difference in differences {
            println!("{difference}");
        }
    }
    for case in allowed.keys().filter(|case| is_wanted(case) && !found.contains_key(*case)) {
        wrong = true;
        println!("=== {case} is listed, and does not differ");
    }
    println!("\n{} cases, {} differ, {} of those are listed", cases.len(), found.len(), allowed.len());
    assert!(!cases.is_empty() && !wrong);
}

fn find_cases(directory: &Path, cases: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_cases(&path, cases);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            cases.push(path);
        }
    }
}

/// Lines of `case: reason`; `#` begins a comment.
fn allowed_differences(list: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(list).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).map(|(case, why)| (case.into(), why.into())).collect()
}

/// rustc and clippy, with the libraries that cargo has built for this test.
struct Compilers {
    rustc: PathBuf,
    clippy: PathBuf,
    libraries: Vec<String>,
}

impl Compilers {
    fn find() -> Self {
        let cargo = std::env::var("CARGO").unwrap();
        let build = ["test", "--package", "differential", "--no-run", "--message-format", "json", "--quiet"];
        let output = Command::new(cargo).args(build).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        let mut libraries: BTreeSet<String> = BTreeSet::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
            if message["reason"] != "compiler-artifact" || !["lib", "rlib", "proc-macro"].contains(&kind) {
                continue;
            }
            let mut files = message["filenames"].as_array().unwrap().iter().filter_map(Value::as_str);
            let is_library = |file: &str| Path::new(file).extension().is_some_and(|end| end == "rlib" || end == "so");
            let built = files.rfind(|file| is_library(file));
            let name = message["target"]["name"].as_str().unwrap().replace('-', "_");
            if let Some(file) = built
                && is_direct(&name)
            {
                libraries.insert(format!("{name}={file}"));
            }
        }
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap().stdout;
        let programs = Path::new(std::str::from_utf8(&sysroot).unwrap().trim()).join("bin");
        let (rustc, clippy) = (programs.join("rustc"), programs.join("clippy-driver"));
        Self { rustc, clippy, libraries: libraries.into_iter().collect() }
    }

    fn compile(&self, directory: &Path, edition: &str, is_program: bool) -> (bool, Vec<Value>) {
        let mut command = Command::new(if is_program { &self.rustc } else { &self.clippy });
        command.current_dir(directory).args(["case.rs", "--error-format=json", "--edition", edition]);
        command.args(["--out-dir", ".", "--crate-name", "case", "-C", "debuginfo=0"]);
        command.args(if is_program {
            &["--crate-type", "bin"][..]
        } else {
            &["--crate-type", "lib", "--emit=metadata"]
        });
        let dependencies = Path::new(self.libraries[0].split_once('=').unwrap().1).parent().unwrap();
        command.arg("-L").arg(format!("dependency={}", dependencies.display()));
        for library in &self.libraries {
            command.args(["--extern", library]);
        }
        let output = command.env_remove("CARGO_MANIFEST_DIR").output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.into()));
        (output.status.success(), messages.lines().map(read).collect())
    }
}

/// Whether the manifest of this package names it.
fn is_direct(library: &str) -> bool {
    let manifest = include_str!("Cargo.toml").split_once("[dev-dependencies]").unwrap().1;
    manifest.lines().any(|line| {
        line.split([' ', '.']).next().is_some_and(|name| !name.is_empty() && name.replace('-', "_") == library)
    })
}

/// What one of the two did.
struct Behaviour {
    compiled: bool,
    messages: Vec<String>,
    exit: String,
    stdout: String,
    stderr: String,
    log: String,
}

fn compare(case: &Path, compilers: &Compilers) -> Vec<String> {
    let source = fs::read_to_string(case).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [bare, annotated] = [false, true].map(|annotated| {
        let directory = directory.path().join(if annotated { "annotated" } else { "bare" });
        fs::create_dir(&directory).unwrap();
        behaviour(&directory, &variant(&source, annotated), compilers)
    });
    let mut differences = Vec::new();
    let mut differ = |what: &str, bare: &str, annotated: &str| {
        if bare != annotated {
            differences.push(format!("--- {what}, bare:\n{bare}\n--- {what}, annotated:\n{annotated}"));
        }
    };
    differ("messages", &bare.messages.join("\n"), &annotated.messages.join("\n"));
    differ("compiled", &bare.compiled.to_string(), &annotated.compiled.to_string());
    differ("exit code", &bare.exit, &annotated.exit);
    differ("stdout", &bare.stdout, &annotated.stdout);
    differ("stderr", &bare.stderr, &annotated.stderr);
    if annotated.compiled {
        differ("the run's log", "", &amiss_in_log(&annotated));
    }
    differences
}

/// The program with the attribute, or with a comment in its place.
fn variant(source: &str, annotated: bool) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("#[guard") {
        let (given, after) = match after.strip_prefix('(') {
            Some(after) => after.split_once(")]").unwrap(),
            None => ("", after.strip_prefix(']').unwrap()),
        };
        let mut arguments = vec![];
        let is_given = |name: &str| given.split(',').any(|one| one.trim_start().starts_with(name));
        arguments.extend((!is_given("lock ")).then_some("lock = \"run.lock\""));
        arguments.extend((!is_given("log ")).then_some("log = \"run.log\""));
        arguments.extend((!given.is_empty()).then_some(given));
        let attribute = format!("#[::guard_runtime::locked_pipeline({})]", arguments.join(", "));
        text.push_str(before);
        // A comment, for clippy does not like an empty line behind an attribute.
        text.push_str(&if annotated { attribute } else { format!("/*{}*/", " ".repeat(attribute.len() - 4)) });
        rest = after;
    }
    text + rest
}

fn behaviour(directory: &Path, source: &str, compilers: &Compilers) -> Behaviour {
    fs::write(directory.join("case.rs"), source).unwrap();
    let edition = source.split("//@ edition: ").nth(1).map_or("2024", |rest| &rest[..4]);
    let is_program = source.contains("fn main") || source.contains("//@ program");
    let (compiled, messages) = compilers.compile(directory, edition, is_program);
    let mut messages: Vec<String> = messages.iter().filter_map(message).collect();
    messages.sort();
    let (exit, stdout, stderr) = if compiled && is_program { run(directory) } else { Default::default() };
    let log = fs::read_to_string(directory.join("run.log")).unwrap_or_default();
    Behaviour { compiled, messages, exit, stdout, stderr, log }
}

/// Level, code, text and primary places of one of the compiler's messages.
fn message(message: &Value) -> Option<String> {
    let Value::Object(_) = message else { return Some(message.to_string()) };
    let text = message["message"].as_str().unwrap_or_default();
    let is_sum = text.starts_with("aborting due to") || text.contains(" emitted") || message["level"] == "failure-note";
    if is_sum || message["$message_type"] != "diagnostic" {
        return None;
    }
    let primary = |span: &&Value| span["is_primary"] == true;
    let places = message["spans"].as_array().into_iter().flatten().filter(primary).map(place).collect::<Vec<_>>();
    let code = message["code"]["code"].as_str().unwrap_or("-");
    Some(format!("{} {code} {}: {text}", message["level"].as_str().unwrap_or_default(), places.join(" ")))
}

/// As seen in the file: where a macro wrote it, the place of the macro's call.
fn place(span: &Value) -> String {
    let mut span = span;
    while !span["expansion"].is_null() && span["file_name"] != "case.rs" {
        span = &span["expansion"]["span"];
    }
    let number = |name: &str| span[name].as_u64().unwrap_or_default();
    let (from, to) = ((number("line_start"), number("column_start")), (number("line_end"), number("column_end")));
    format!("{}:{}-{}:{}", from.0, from.1, to.0, to.1)
}

fn run(directory: &Path) -> (String, String, String) {
    let file = |name: &str| File::create(directory.join(name)).unwrap();
    let mut command = Command::new(directory.join("case"));
    command.current_dir(directory).env("RUST_BACKTRACE", "0").env_remove("RUST_LOG").stdin(Stdio::null());
    let mut child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
    let start = Instant::now();
    let exit = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.to_string(),
            None if start.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                break "it hangs".into();
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let read = |name: &str| String::from_utf8_lossy(&fs::read(directory.join(name)).unwrap()).into_owned();
    (exit, read("stdout"), without_numbers_of_threads(&read("stderr")))
}

/// `thread 'main' (4711) panicked at …` has the thread's number.
fn without_numbers_of_threads(text: &str) -> String {
    let mut clean = String::new();
    for line in text.lines() {
        match line.split_once("' (").filter(|_| line.starts_with("thread '")) {
            Some((before, after)) => clean += &format!("{before}'{}", after.split_once(')').unwrap().1),
            None => clean += line,
        }
        clean.push('\n');
    }
    clean
}

/// Lines that should be there, or should not; runs that are not closed.
fn amiss_in_log(annotated: &Behaviour) -> String {
    let mut amiss = String::new();
    let logged = |line: &str| annotated.log.matches(&format!("] {line}\n")).count();
    let printed = |line: &str| annotated.stdout.lines().filter(|other| *other == line).count();
    for line in annotated.stdout.lines() {
        if line.starts_with("in ") && logged(line) != printed(line) {
            amiss += &format!("not logged: {line}\n");
        }
        if line.starts_with("out ") && logged(line) > 0 {
            amiss += &format!("logged: {line}\n");
        }
    }
    let started = annotated.log.matches("guard_runtime: run started").count();
    let closed = ["finished in ", "failed in ", "panicked in ", "dropped after ", "ended "];
    let ended: usize =
        closed.iter().map(|end| annotated.log.matches(&format!("guard_runtime: run {end}")).count()).sum();
    if started != ended {
        amiss += &format!("{started} runs started, {ended} ended\n");
    }
    if !amiss.is_empty() {
        amiss += &annotated.log;
    }
    amiss
}
