//! Who is compared with whom: shell commands that run a job. `$BENCH` is this program, `$DISCARD` a reader that does nothing
//! else; the working directory is a fresh one.

/// One way to run a job.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) command: &'static str,
    /// The program that must be on PATH for it.
    pub(crate) needs: &'static str,
}

/// A job under several peers; the first is the one that the others are compared with.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// For the jobs (see job.rs).
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// What one time is divided by: so many lines, records.
    pub(crate) count: u64,
    pub(crate) peers: &'static [Peer],
}

const fn peer(name: &'static str, command: &'static str, needs: &'static str) -> Peer {
    Peer { name, command, needs }
}

const GUARD: Peer = peer("guard", "$BENCH lines-guarded >/dev/null", "");
const TEE: Peer = peer("tee -a", "$BENCH lines | tee -a file >/dev/null", "tee");
const S6_LOG: Peer = peer("s6-log T", "$BENCH lines | s6-log T s5000000 n6 ./s6 >/dev/null", "s6-log");

const LINES: [Peer; 9] = [
    GUARD,
    peer("bare, to /dev/null", "$BENCH lines >/dev/null", ""),
    peer("bare, to a file", "$BENCH lines >file", ""),
    peer("floor: read in batches", "$BENCH lines | $DISCARD >/dev/null", ""),
    TEE,
    peer("rotatelogs", "$BENCH lines | rotatelogs -n 6 file 5M", "rotatelogs"),
    S6_LOG,
    peer("multilog t", "$BENCH lines | multilog t s5000000 n6 ./multi >/dev/null", "multilog"),
    peer("svlogd -tt", "$BENCH lines | svlogd -tt ./sv >/dev/null", "svlogd"),
];

const THREADS: [Peer; 3] = [GUARD, TEE, S6_LOG];

pub(crate) const TABLES: [Table; 9] = [
    Table {
        title: "println!, lines of 90 bytes",
        environment: &[("COUNT", "1000000"), ("SIZE", "90")],
        count: 1_000_000,
        peers: &LINES,
    },
    Table {
        title: "println!, lines of 20 bytes",
        environment: &[("COUNT", "500000"), ("SIZE", "20")],
        count: 500_000,
        peers: &LINES,
    },
    Table {
        title: "println!, lines of 1,000 bytes",
        environment: &[("COUNT", "200000"), ("SIZE", "1000")],
        count: 200_000,
        peers: &LINES,
    },
    Table {
        title: "the Python original: RotatingFileHandler under a TeeStream",
        environment: &[("COUNT", "30000"), ("SIZE", "90")],
        count: 30_000,
        peers: &[GUARD, peer("Python", "python3 $ORIGINAL 30000 >/dev/null", "python3")],
    },
    Table {
        title: "println! from 2 threads",
        environment: &[("COUNT", "500000"), ("THREADS", "2")],
        count: 500_000,
        peers: &THREADS,
    },
    Table {
        title: "println! from 4 threads",
        environment: &[("COUNT", "500000"), ("THREADS", "4")],
        count: 500_000,
        peers: &THREADS,
    },
    Table {
        title: "println! from 8 threads",
        environment: &[("COUNT", "500000"), ("THREADS", "8")],
        count: 500_000,
        peers: &THREADS,
    },
    Table {
        title: "a child at full speed: cat of 700 MB in lines of 90 bytes",
        environment: &[("INPUT", "7700000")],
        count: 7_700_000,
        peers: &[
            peer("guard", "$BENCH child-guarded >/dev/null", ""),
            peer("tee -a", "cat input | tee -a file >/dev/null", "tee"),
            peer("rotatelogs", "cat input | rotatelogs -n 6 file 5M", "rotatelogs"),
            peer("s6-log T", "cat input | s6-log T s5000000 n6 ./s6 >/dev/null", "s6-log"),
        ],
    },
    Table {
        title: "log::info!, to a file",
        environment: &[("COUNT", "300000")],
        count: 300_000,
        peers: &[
            peer("guard", "$BENCH records-guarded >/dev/null", ""),
            peer("fern", "$BENCH records-fern", ""),
            peer("simplelog", "$BENCH records-simplelog", ""),
            peer("spdlog-rs", "$BENCH records-spdlog", ""),
            peer("log4rs", "$BENCH records-log4rs", ""),
            peer("flexi_logger, direct", "$BENCH records-flexi-direct", ""),
            peer("flexi_logger, buffered", "$BENCH records-flexi-buffered", ""),
            peer("tracing-appender", "$BENCH records-tracing-appender", ""),
        ],
    },
];

/// Started without a shell, which would cost more than they do: program and arguments.
pub(crate) const STARTS: [(&str, &[&str]); 6] = [
    ("guard", &["$BENCH", "nothing-guarded"]),
    ("guard, status, metrics", &["$BENCH", "nothing-told"]),
    ("guard, and a hook", &["$BENCH", "nothing-hooked"]),
    ("bare", &["$BENCH", "nothing"]),
    ("flock -n in front", &["flock", "-n", "lock", "$BENCH", "nothing"]),
    ("sh with tee behind", &["sh", "-c", "$BENCH nothing | tee -a file"]),
];

/// The loggers of the table above that are killed, to see what survives.
pub(crate) const KILLED: [&str; 8] =
    ["guarded", "fern", "simplelog", "spdlog", "log4rs", "flexi-direct", "flexi-buffered", "tracing-appender"];
