use std::fs::{self, File};
use std::path::Path;

use super::*;

fn identity(run: u64) -> Identity<'static> {
    Identity {
        run,
        pid: 4711,
        host: b"db1",
        program: b"/usr/bin/nightly",
        lock: b"/run/lock/nightly.lock",
        log: b"/var/log/nightly.log",
        task: b"nightly",
        started: Moment(run * 1_000_000),
    }
}

/// A report, and what it has carried over.
struct Night {
    report: Report<'static>,
    carried: Carried,
}

fn report(directory: &Path, run: u64) -> Night {
    let target = |name: &'static CStr| Some(Target::new(File::open(directory).unwrap().into(), name, name.to_bytes()));
    let report = Report::new(identity(run), target(c"s.json"), target(c"m.prom"));
    Night { report, carried: Carried::default() }
}

fn ending(run: u64, state: RunState) -> Ending<'static> {
    Ending {
        state,
        detail: b"why",
        exit: Ended::Exited(3),
        ended: Moment(run * 1_000_000 + 500_000),
        elapsed: Seconds(500_000),
        usage: Some(Usage { processor: 100_000, max_memory: 4096 }),
    }
}

fn start(night: &mut Night) -> (Option<u64>, Vec<String>) {
    let mut told = Vec::new();
    let (carried, lost) = night.report.start(&mut vec![0; ROOM], &mut |trouble| told.push(trouble.to_string()));
    night.carried = carried;
    (lost.map(|previous| previous.run), told)
}

fn end(night: &mut Night, ending: &Ending<'_>) -> Vec<String> {
    let mut told = Vec::new();
    night.report.end(&night.carried, ending, &mut vec![0; ROOM], &mut |trouble| told.push(trouble.to_string()));
    told
}

fn status(directory: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(directory.join("s.json")).unwrap()).unwrap()
}

fn sample(directory: &Path, name: &str) -> Option<f64> {
    let text = fs::read_to_string(directory.join("m.prom")).unwrap();
    let prefix = "guard_run_".to_string() + name + "{task=\"nightly\"} ";
    text.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.parse().unwrap())
}

#[test]
fn four_nights() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut first = report(path, 1);
    assert_eq!(start(&mut first), (None, vec![]));
    assert_eq!((status(path)["state"].as_str(), sample(path, "running")), (Some("running"), Some(1.0)));
    assert!(status(path)["ended"].is_null() && status(path)["exit_code"].is_null());
    assert!(end(&mut first, &ending(1, RunState::Succeeded)).is_empty());
    assert_eq!(status(path)["last_success"]["ended"], "1970-01-01T00:00:01.500000Z");
    assert_eq!(
        (sample(path, "last_success_timestamp_seconds"), sample(path, "last_succeeded")),
        (Some(1.5), Some(1.0))
    );

    let mut second = report(path, 2);
    assert_eq!(start(&mut second), (None, vec![]));
    assert_eq!(status(path)["last_success"]["ended"], "1970-01-01T00:00:01.500000Z");
    end(&mut second, &ending(2, RunState::Failed));
    let now = status(path);
    assert_eq!(
        (now["state"].as_str(), now["detail"].as_str(), now["seconds"].as_f64()),
        (Some("failed"), Some("why"), Some(0.5))
    );
    assert_eq!((now["exit_code"].as_i64(), now["processor_seconds"].as_f64()), (Some(3), Some(0.1)));
    assert_eq!((now["failures_in_a_row"].as_u64(), sample(path, "failures_in_a_row")), (Some(1), Some(1.0)));
    assert_eq!(sample(path, "last_success_timestamp_seconds"), Some(1.5));

    // Its helpers go with it.
    let mut third = report(path, 3);
    start(&mut third);
    drop(third);
    let mut fourth = report(path, 4);
    assert_eq!(start(&mut fourth), (Some(3), vec![]), "the third vanished");
    assert_eq!((status(path)["failures_in_a_row"].as_u64(), sample(path, "failures_in_a_row")), (Some(2), Some(2.0)));
    assert_eq!((sample(path, "last_succeeded"), sample(path, "running")), (Some(0.0), Some(1.0)));
    end(&mut fourth, &ending(4, RunState::Succeeded));
    assert_eq!((status(path)["failures_in_a_row"].as_u64(), sample(path, "failures_in_a_row")), (Some(0), Some(0.0)));
    assert_eq!(fs::read_dir(path).unwrap().count(), 2);
}

#[test]
fn a_helper_that_is_late_is_waited_for_and_one_that_is_later_still_writes_over_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut late = report(path, 1);
    start(&mut late);
    let other = path.to_path_buf();
    let next = std::thread::spawn(move || {
        let mut next = report(&other, 2);
        assert_eq!(start(&mut next), (None, vec![]));
        next
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    end(&mut late, &ending(1, RunState::Killed));
    let mut next = next.join().unwrap();
    assert_eq!(
        (status(path)["run"].as_str(), status(path)["failures_in_a_row"].as_u64()),
        (Some("0000000000000002"), Some(1))
    );

    let before = std::time::Instant::now();
    let mut third = report(path, 3);
    assert_eq!(start(&mut third), (None, vec![]), "late, not lost");
    assert!((900..20_000).contains(&before.elapsed().as_millis()), "{:?}", before.elapsed());
    assert!(end(&mut next, &ending(2, RunState::Killed)).is_empty());
    assert_eq!(
        (status(path)["run"].as_str(), status(path)["state"].as_str()),
        (Some("0000000000000003"), Some("running"))
    );
    assert_eq!((sample(path, "running"), sample(path, "failures_in_a_row")), (Some(1.0), Some(2.0)));
}

#[test]
fn a_second_helper_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut collector = report(path, 1);
    start(&mut collector);
    // A fork's copy.
    let mut standby = report(path, 1);
    standby.carried = collector.carried;
    end(&mut collector, &ending(1, RunState::Failed));
    let before = (fs::read(path.join("s.json")).unwrap(), fs::read(path.join("m.prom")).unwrap());
    end(&mut standby, &ending(1, RunState::Failed));
    assert_eq!((fs::read(path.join("s.json")).unwrap(), fs::read(path.join("m.prom")).unwrap()), before);
}

#[test]
fn each_trouble_is_told_once_and_the_other_file_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir(path.join("s.json")).unwrap();
    let mut first = report(path, 1);
    let (lost, told) = start(&mut first);
    assert_eq!((lost, told.len()), (None, 2), "{told:?}");
    assert!(told[0].starts_with("s.json cannot be read back: it is not a regular file"), "{told:?}");
    assert!(told[1].starts_with("s.json cannot be written (os error 21)"), "{told:?}");
    assert_eq!(end(&mut first, &ending(1, RunState::Failed)), Vec::<String>::new());
    assert_eq!(sample(path, "failures_in_a_row"), Some(1.0));

    fs::remove_dir(path.join("s.json")).unwrap();
    fs::write(path.join("s.json"), "{\"version\": 1, \"state\": \"fail").unwrap();
    let (_, told) = start(&mut report(path, 2));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("cut short"), "{told:?}");
    assert_eq!(status(path)["state"], "running");
}

#[test]
fn metrics_alone_carry_their_own_history() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (run, state) in [(1, RunState::Succeeded), (2, RunState::Killed), (3, RunState::Failed)] {
        let mut report = report(path, run);
        report.report.status = None;
        assert_eq!(start(&mut report), (None, vec![]));
        end(&mut report, &ending(run, state));
    }
    assert_eq!(
        (sample(path, "failures_in_a_row"), sample(path, "last_success_timestamp_seconds")),
        (Some(2.0), Some(1.5))
    );
    let text = fs::read_to_string(path.join("m.prom")).unwrap();
    let missing = Metrics::parse(&text).unwrap().ended(RunState::Killed, None, None, None);
    assert_eq!((missing.last_processor, missing.last_duration), (None, None));
}

/// As at each boot, where it is in /run: an alert on the last success must not fall silent.
#[test]
fn a_lost_status_file_costs_the_metrics_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (run, state) in [(1, RunState::Succeeded), (2, RunState::Failed), (3, RunState::Failed), (4, RunState::Failed)]
    {
        let mut night = report(path, run);
        start(&mut night);
        end(&mut night, &ending(run, state));
        assert_eq!(
            (sample(path, "failures_in_a_row"), sample(path, "last_success_timestamp_seconds")),
            (Some(run as f64 - 1.0), Some(1.5)),
            "run {run}"
        );
        if run == 2 {
            fs::remove_file(path.join("s.json")).unwrap();
        }
    }
    assert_eq!(status(path)["failures_in_a_row"], 2);
}

#[test]
fn a_start_and_an_end_cost_little() {
    let directory = tempfile::tempdir().unwrap();
    let mut scratch = vec![0; ROOM];
    let mut spent = [std::time::Duration::ZERO; 4];
    for run in 1..=100 {
        let Night { mut report, .. } = report(directory.path(), run);
        let mut clock = std::time::Instant::now();
        let mut lap = |index: usize| {
            spent[index] += clock.elapsed();
            clock = std::time::Instant::now();
        };
        let (carried, _) = report.start(&mut scratch, &mut |_| {});
        lap(0);
        report.prepare();
        lap(1);
        report.end(&carried, &ending(run, RunState::Failed), &mut scratch, &mut |_| {});
        lap(2);
        report.release();
        lap(3);
    }
    let [start, prepare, end, release] = spent.map(|spent| spent / 100);
    std::eprintln!("both files: start {start:?}, prepare {prepare:?}, end {end:?}, release {release:?}");
    assert!(end < std::time::Duration::from_millis(50), "{end:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}
