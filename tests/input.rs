//! Printed bytes of every shape: long lines, no newline, no text at all, torn by other writers.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use support::log_line::TEXT;
use support::{TestEnv, random, text, wait_for};

/// What `copy` printed: on the console, and in the log as the text of its lines, put together again.
fn copied(env: &TestEnv, input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut child = env.subject(&["copy"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut console = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            stdin.write_all(input).unwrap();
            drop(stdin);
        });
        stdout.read_to_end(&mut console).unwrap();
    });
    assert!(child.wait().unwrap().success());
    let log = fs::read(env.log()).unwrap();
    let mut logged = Vec::new();
    for line in log.split_inclusive(|byte| *byte == b'\n').filter(|line| !line[TEXT..].starts_with(b"guard_runtime: "))
    {
        match &line[TEXT - 8..TEXT - 1] {
            b"[OUT  ]" => {}
            b"[OUT +]" => assert_eq!(logged.pop(), Some(b'\n'), "goes on with the line before"),
            tag => panic!("{}", text(tag)),
        }
        logged.extend_from_slice(&line[TEXT..]);
    }
    (console, logged)
}

#[test]
fn a_line_of_fifty_megabytes() {
    let env = TestEnv::new();
    let mut input: Vec<u8> = (0..50_000_000_u32).map(|number| b'a' + (number % 23) as u8).collect();
    input.extend_from_slice(b"\nnext\n");
    let (console, logged) = copied(&env, &input);
    assert!(console == input && logged == input);
    let pieces = fs::read(env.log()).unwrap().split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert_eq!(pieces, TEXT + 256 * 1024);
}

/// NUL bytes, broken UTF-8, bytes that look like the start of a frame.
#[test]
fn bytes_that_are_no_text() {
    let env = TestEnv::new();
    let mut input = Vec::new();
    for _ in 0..200_000 {
        let byte = random(256) as u8;
        // Escapes, carriage returns and backspaces have rules of their own.
        let common: &[u8] = if matches!(byte, b'\r' | 0x08 | 0x1B) { b"?" } else { &[byte] };
        input.extend_from_slice(match random(10) {
            0 => b"\n",
            1 => b"\xFF\x00",
            2 => &[0xFF; 40],
            _ => common,
        });
    }
    input.push(b'\n');
    let (console, logged) = copied(&env, &input);
    assert!(console == input && logged == input);
}

/// A prompt: on the console at once, in the log once its line is whole, or at the end.
#[test]
fn no_newline() {
    for is_killed in [false, true] {
        let env = TestEnv::new();
        let mut child = env.subject(&["prompt"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut shown = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut shown).unwrap();
        assert_eq!(&shown, b"name? ");
        wait_for("the record behind it", || !env.entries().is_empty());
        assert_eq!(env.entries(), ["subject::input: asked"], "its line is not whole");
        if is_killed {
            child.kill().unwrap();
        } else {
            env.go();
        }
        assert_eq!(child.wait().unwrap().success(), !is_killed);
        let closing = env.closing_line();
        assert_eq!(env.log_text().lines().last(), Some(&*closing), "nothing stands behind it");
        assert_eq!(env.entries(), ["subject::input: asked", if is_killed { "name? " } else { "name? thank you" }]);
    }
}

/// Writes above `PIPE_BUF`, which the kernel mixes as it likes: no byte lost, and no record torn by them.
#[test]
fn writes_torn_by_other_writers() {
    const ROUNDS: usize = 300;
    let env = TestEnv::new();
    let output = env.run(&["writers", &ROUNDS.to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(output.stdout.len(), 3 * ROUNDS * 65_536);
    assert!(output.stdout.iter().all(|byte| *byte == b'b'));
    wait_for("the end", || env.log_text().contains("run finished in"));
    let log = env.log_text();
    assert_eq!(log.bytes().filter(|byte| *byte == b'b').count(), 3 * ROUNDS * 65_536 + our_own(&log));
    let records: Vec<String> =
        log.lines().filter_map(|line| Some(line.split_once("subject::input: ")?.1.to_owned())).collect();
    let whole = |number| format!("{number} {}", "r".repeat(4000));
    assert_eq!(records, (0..ROUNDS).map(whole).collect::<Vec<_>>());
}

/// The letter b in lines that are not printed.
fn our_own(log: &str) -> usize {
    log.lines().filter(|line| !line.contains("] b")).flat_map(str::bytes).filter(|byte| *byte == b'b').count()
}

/// Backspaces move to the left, as carriage returns do; what stands there is overwritten.
#[test]
fn a_spinner_of_backspaces() {
    for (input, shown) in [
        ("spin -\x08\\\x08|\x08/\x08done\n", "spin done"),
        ("50%\x08\x08\x08100%\n", "100%"),
        ("abc\x08\x08X\n", "aXc"),
        ("é\x08e\n", "e"),
    ] {
        let env = TestEnv::new();
        let (console, logged) = copied(&env, input.as_bytes());
        assert_eq!(text(&console), input, "the console gets every byte");
        assert_eq!(text(&logged), format!("{shown}\n"));
    }
}
