#!/usr/bin/env python3
"""Makes month.log: starts a job 31 times, 8 s apart, then multiplies every time and duration of its log, so that 8 s are a day.

    examples/data/month.py        # four minutes; writes month.log beside itself

So the log says of each run what happened to it. A run takes seconds here and hours there; processor time and memory are
left as they were.
"""
import datetime as dt, os, pathlib, re, signal, subprocess, tempfile, time

here = pathlib.Path(__file__).resolve().parent
work = pathlib.Path(tempfile.mkdtemp(prefix="month-"))
NIGHT = 8.0
FIRST = dt.datetime(2026, 10, 1, 3, tzinfo=dt.timezone.utc)

(work / "src").mkdir()
(work / "Cargo.toml").write_text(f"""[package]
name = "nightly"
edition = "2024"
[workspace]
[dependencies]
guard-runtime = {{ path = "{here.parent.parent / 'guard-runtime'}" }}
""")
(work / "src/main.rs").write_text("""use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "nightly.lock", log = "nightly.log")]
fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().collect();
    println!("loading");
    std::thread::sleep(std::time::Duration::from_secs_f64(arguments[2].parse().unwrap()));
    match &*arguments[1] {
        "fail" => Err("connection refused".to_owned()),
        "panic" => panic!("no such table"),
        "abort" => std::process::abort(),
        _ => Ok(()),
    }
}
""")
target = work / "target"
subprocess.run(["cargo", "build", "--quiet", "--target-dir", target], cwd=work, check=True)
job = str(target / "debug/nightly")


def helpers_too():
    """The run and its helpers, as when the machine loses its power."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{process}/exe") == job:
                os.kill(int(process), signal.SIGKILL)
        except OSError:
            pass


# Hours of a night, and what happens; all others end well, and take a little longer each night.
special = {4: ("fail", 0.6), 9: ("kill", 2.2), 12: ("fail", 1.9), 16: ("power", 1.5), 19: ("abort", 3.1), 24: ("well", 26.1),
           28: ("panic", 0.9), 29: ("fail", 0.3)}
start, running = time.monotonic() + 0.5, []
for night in range(1, 32):
    how, hours = special.get(night, ("well", 3.0 + night * 0.08 + night * 37 % 11 * 0.06))
    time.sleep(max(0.0, start + (night - 1) * NIGHT - time.monotonic()))
    seconds = hours / 24 * NIGHT
    run = subprocess.Popen([job, how, str(100 if how in ("kill", "power") else seconds)], cwd=work)
    running.append(run)
    if how in ("kill", "power"):
        time.sleep(seconds)
        run.kill() if how == "kill" else helpers_too()
for run in running:
    run.wait()
time.sleep(0.5)

first = None
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
DURATION = re.compile(r"(?<![\d(])(\d+\.\d{3})s")


def moved(match):
    global first
    moment = dt.datetime.fromisoformat(match[0])
    first = first or moment
    return (FIRST + (moment - first) * (86400 / NIGHT)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


lines = (work / "nightly.log").read_text().splitlines(keepends=True)
multiplied = [DURATION.sub(lambda match: f"{float(match[1]) * 86400 / NIGHT:.3f}s", STAMP.sub(moved, line)) for line in lines]
(here / "month.log").write_text("".join(multiplied).replace(str(work), "/srv/jobs"))
