//! The verdict and those who listen to it: promtool, `node_exporter`, an HTTP server.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use support::{TestEnv, kill, text, wait_for};

fn promtool(metrics: &str) -> (bool, String) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool (Debian: prometheus)");
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

#[test]
#[ignore = "needs promtool and node_exporter (Debian: prometheus, prometheus-node-exporter)"]
fn node_exporter_serves_it_and_promtool_is_silent() {
    let env = TestEnv::new();
    fs::write(env.path("hook.sh"), "true").unwrap();
    fs::create_dir(env.path("metrics")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut exporter = Command::new("prometheus-node-exporter");
    exporter.args(["--collector.disable-defaults", "--collector.textfile"]);
    exporter.arg(format!("--collector.textfile.directory={}", env.path("metrics").display()));
    exporter.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut exporter = exporter.spawn().unwrap();
    wait_for("node_exporter", || page(port).is_some());

    let mut child = env.subject(&["end_told", "SIGKILL"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let metrics = env.path("metrics/run.prom");
    wait_for("the metrics", || metrics.exists());
    let running = page(port).unwrap();
    assert!(running.contains("\nguard_run_running{task=\"run\"} 1\n"), "{running}");
    assert_eq!(promtool(&fs::read_to_string(&metrics).unwrap()), (true, String::new()));
    kill(child.id(), libc::SIGKILL);
    child.wait().unwrap();
    env.closing_line();
    wait_for("the end", || page(port).unwrap().contains("\nguard_run_running{task=\"run\"} 0\n"));
    assert!(env.run(&["end_told", "well"]).status.success());

    let served = page(port).unwrap();
    let text = fs::read_to_string(&metrics).unwrap();
    assert_eq!(promtool(&text), (true, String::new()));
    let names: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('{').next().unwrap()).collect();
    assert_eq!(names.len(), 9, "{text}");
    for name in names {
        assert!(served.contains(&format!("\n# TYPE {name} gauge\n{name}{{task=\"run\"}} ")), "{name}: {served}");
    }
    assert!(served.contains("node_textfile_scrape_error 0"), "{served}");
    println!("{}", served.lines().filter(|line| line.contains("guard_run_")).collect::<Vec<_>>().join("\n"));
    exporter.kill().unwrap();
    exporter.wait().unwrap();
}

/// As a dead man's switch wants it: a ping with the exit code in its path.
#[test]
#[ignore = "needs curl"]
fn a_server_is_pinged_with_the_code_however_the_run_ends() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let (pings, pinged) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1000];
            let length = stream.read(&mut request).unwrap();
            pings.send(text(&request[..length]).lines().next().unwrap().to_owned()).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nOK").unwrap();
        }
    });
    for (how, code) in
        [("well", 0), ("error", 1), ("panic", 101), ("exit_3", 3), ("segfault", 139), ("sigkill_self", 137)]
    {
        let env = TestEnv::new();
        fs::write(env.path("hook.sh"), format!("curl -fsS http://127.0.0.1:{port}/ping/$GUARD_EXIT_CODE")).unwrap();
        env.run(&["end_told", how]);
        let ping = pinged.recv_timeout(support::DEADLINE).unwrap();
        assert_eq!(ping, format!("GET /ping/{code} HTTP/1.1"), "{how}");
        wait_for("its answer", || env.log_text().contains("[HOOK ] OK\n"));
    }
}
