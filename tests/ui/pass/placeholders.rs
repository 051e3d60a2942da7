//! Arguments of the function in its templates: each kind of parameter, sync and async, still the body's to move.
#![deny(warnings)]

use std::fmt::Display;
use std::path::Path;

use guard_runtime::locked_pipeline;

struct Args {
    tenant: String,
    full: bool,
    more: Vec<u8>,
}

#[locked_pipeline(lock = "placeholders/{tenant}-{full}.lock", log = "placeholders/{{{tenant}}}.log")]
fn plain(tenant: &str, full: bool) -> usize {
    tenant.len() + usize::from(full)
}

#[locked_pipeline(lock = "placeholders/{tenant}.lock", log = "placeholders/{tenant}.log", status = "placeholders/{r}.json")]
fn moved(mut tenant: String, r#r: impl Display) -> String {
    tenant.push_str(&r.to_string());
    let taken = tenant;
    taken
}

#[locked_pipeline(lock = "placeholders/{tenant}.lock", log = "placeholders/{a}-{n}.log")]
fn patterns(Args { tenant, full: _, .. }: Args, (a, _): (u8, Vec<u8>), &n: &u8) -> String {
    format!("{tenant}{a}{n}")
}

#[locked_pipeline(lock = "placeholders/{tenant}.lock", log = "placeholders/async-{tenant}.log")]
async fn later(Args { tenant, full, more }: Args) -> (String, bool, Vec<u8>) {
    (tenant, full, more)
}

struct Job;

impl Job {
    #[locked_pipeline(lock = "placeholders/{_0}{id}.lock", log = "placeholders/{id}.log")]
    fn run<T: Display>(self, id: T, _0: u8) -> T {
        id
    }
}

fn args(tenant: &str) -> Args {
    Args { tenant: tenant.into(), full: true, more: vec![1] }
}

#[tokio::main]
async fn main() {
    let there = |name: &str| assert!(Path::new("placeholders").join(name).exists(), "{name}");
    assert_eq!(plain("north", true), 6);
    there("north-true.lock");
    there("{north}.log");
    assert_eq!(moved("../a b".into(), 7), "../a b7");
    there("..%2Fa%20b.log");
    there("7.json");
    assert_eq!(patterns(args("é"), (3, vec![]), &4), "é34");
    there("%C3%A9.lock");
    there("3-4.log");
    assert_eq!(later(args("south")).await, ("south".into(), true, vec![1]));
    there("async-south.log");
    assert_eq!(Job.run("x", 1), "x");
    there("x.log");
}
