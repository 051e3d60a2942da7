//! A lock for each tenant: an argument of the function in the templates.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};

use support::{TestEnv, text, wait_for};

/// Of each tenant's two processes one runs, and the other says whose lock it did not get.
#[test]
fn twenty_tenants_in_forty_processes() {
    let env = TestEnv::new();
    let tenants: Vec<String> = (1..=20).map(|number| format!("tenant-{number:02}")).collect();
    let start = |tenant: &String| {
        let mut command = env.subject(&["sync_at_go", tenant]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut pairs: Vec<[Child; 2]> = tenants.iter().map(|tenant| [start(tenant), start(tenant)]).collect();
    env.go();
    let has_ended = |child: &mut Child| child.try_wait().unwrap().is_some();
    wait_for("one of each two to end", || pairs.iter_mut().all(|pair| pair.iter_mut().any(has_ended)));
    for (tenant, pair) in tenants.iter().zip(&mut pairs) {
        if pair[1].try_wait().unwrap().is_some() {
            pair.swap(0, 1);
        }
        let [loser, winner] = pair;
        assert!(winner.try_wait().unwrap().is_none(), "{tenant}: both have ended");
        let (mut out, mut said) = (String::new(), String::new());
        loser.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        loser.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((loser.wait().unwrap().code(), out.as_str()), (Some(0), ""), "{said}");
        let skipped =
            format!("subject: run skipped: {} is held by ", env.path(&format!("locks/{tenant}.lock")).display());
        let holder = said.strip_prefix(&skipped).unwrap_or_else(|| panic!("{said}"));
        assert!(holder.starts_with(&format!("pid {} (", winner.id())), "{said}");
        println!("{}", said.trim_end());
    }
    for pair in &mut pairs {
        let winner = &mut pair[1];
        drop(winner.stdin.take());
        let mut out = String::new();
        winner.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(winner.wait().unwrap().success());
        assert_eq!(out, "ran\n");
    }
    println!("20 ran, 20 were skipped");
    for tenant in tenants {
        let log = std::fs::read_to_string(env.path(&format!("logs/{tenant}.log"))).unwrap();
        assert!(log.contains("] guard_runtime: run finished in") && log.contains("run skipped: "), "{log}");
    }
}

/// Every file below a directory, by its name from there.
fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.insert(name);
        }
    }
    found
}

/// Values that try to leave their place, or to be another's: a file of their own each, or an error and no file.
#[test]
fn no_value_leaves_its_place() {
    let name_no_file = "`{tenant}`: an empty value, `.` and `..` name no file\n";
    let too_long = "the file's name would have 305 bytes, and at most 255 are possible\n";
    let cases: [(&str, Result<&str, &str>); 10] = [
        ("../x", Ok("..%2Fx")),
        ("a/b", Ok("a%2Fb")),
        ("..", Err(name_no_file)),
        ("", Err(name_no_file)),
        (&"x".repeat(300), Err(too_long)),
        ("a\0b", Ok("a%00b")),
        ("a\nb", Ok("a%0Ab")),
        ("a%2Fb", Ok("a%252Fb")),
        ("größe", Ok("gr%C3%B6%C3%9Fe")),
        ("-rf", Ok("-rf")),
    ];
    // A directory inside of another: what leaves it is seen.
    let (outer, mut expected) = (TestEnv::new(), BTreeSet::new());
    let inner = outer.path("inner/most");
    std::fs::create_dir_all(&inner).unwrap();
    for (value, outcome) in cases {
        let mut command = outer.subject(&["sync", &value.replace('\0', "\\0")]);
        let output = command.env("SUBJECT_DIR", &inner).output().unwrap();
        let said = text(&output.stderr);
        let shown =
            if value.len() < 20 { format!("{value:?}") } else { format!("{:?}… ({})", &value[..3], value.len()) };
        match outcome {
            Ok(name) => {
                println!("{shown:<16} locks/{name}.lock, logs/{name}.log");
                assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "ran\n"), "{said}");
                let is_new = expected.insert(format!("inner/most/locks/{name}.lock"));
                assert!(is_new && expected.insert(format!("inner/most/logs/{name}.log")), "{value:?} is another's");
            }
            Err(error) => {
                println!("{shown:<16} exit 73: {}", error.trim_end());
                assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(73), ""), "{said}");
                assert!(said.lines().count() == 1 && said.ends_with(error), "{said}");
            }
        }
        assert_eq!(files(&outer.path("")), expected, "{value:?}");
    }
    assert_eq!(expected.len(), 14);
}
