//! A systemd of the tests' own, booted in a container (systemd-nspawn, as root).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{DEADLINE, TestEnv, before_exec, text, wait_for};

/// Its root is this machine's, read through an overlay that is gone with it.
pub struct Machine {
    container: Child,
    systemd: u32,
    pub env: TestEnv,
    _one_at_a_time: MutexGuard<'static, ()>,
}

/// In control groups of its own (systemd's hierarchies, whichever there are), with mounts of its own and no network.
const BOOT: &str = r#"
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e $hierarchy/cgroup.procs ] && mkdir -p $hierarchy/$1 && echo $$ >$hierarchy/$1/cgroup.procs
done
mount --bind / "$2/root"
exec systemd-nspawn --quiet --directory "$2/root" --volatile=overlay --register=no --keep-unit --private-network \
    --bind "$2/units:/etc/systemd/system" --bind "$2" --bind-ro "$3" \
    --bind-ro "$3/examples/nightly:/usr/local/bin/nightly" --bind-ro "$4/examples/data:/usr/local/share/nightly" \
    --bind-ro "$3/examples/sync:/usr/local/lib/jobs/sync" --bind "$2/tenants:/srv/tenants" \
    --boot systemd.unit=test.target
"#;

const TARGET: &str = "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n";

impl Machine {
    pub fn boot() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let env = TestEnv::new();
        for directory in ["root", "units", "tenants"] {
            fs::create_dir(env.path(directory)).unwrap();
        }
        fs::write(env.path("units/test.target"), TARGET).unwrap();
        for unit in units() {
            fs::copy(&unit, env.path("units").join(unit.file_name().unwrap())).unwrap();
        }
        let programs = Path::new(env!("CARGO_BIN_EXE_subject")).parent().unwrap();
        assert!(programs.join("examples/sync").exists(), "`cargo build --examples` makes it");
        let console = fs::File::create(env.path("console")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-c", BOOT, "sh", &group()]);
        command.arg(env.path("")).arg(programs).arg(env!("CARGO_MANIFEST_DIR"));
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        command.stdin(Stdio::null()).stdout(console.try_clone().unwrap()).stderr(console);
        // SAFETY: a system call on the process alone.
        #[allow(unsafe_code)]
        let end_with_test = || unsafe { assert!(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0) };
        let container = before_exec(&mut command, end_with_test).spawn().unwrap();
        let mut machine = Self { container, systemd: 0, env, _one_at_a_time: one_at_a_time };
        wait_for("systemd to be up", || {
            assert!(machine.container.try_wait().unwrap().is_none(), "{}", machine.console());
            // unshare, nspawn, systemd.
            machine.systemd = child_of(child_of(machine.container.id()));
            machine.systemd != 0 && machine.says(&["systemctl", "is-active", "test.target"]) == "active"
        });
        machine
    }

    fn console(&self) -> String {
        text(&fs::read(self.env.path("console")).unwrap())
    }

    /// What a command that runs in there prints.
    pub fn says(&self, command: &[&str]) -> String {
        let mut inside = Command::new("nsenter");
        let output = inside.args(["--all", "--target", &self.systemd.to_string()]).args(command).output().unwrap();
        text(&[output.stdout, output.stderr].concat()).trim_end().to_owned()
    }

    pub fn property(&self, unit: &str, name: &str) -> String {
        self.says(&["systemctl", "show", "--property", name, "--value", unit])
    }

    pub fn wait_for_state(&self, unit: &str, states: &[&str]) {
        wait_for(unit, || states.contains(&&*self.property(unit, "ActiveState")));
    }

    /// A service that is the subject in that mode, and whose lines journald does not leave out.
    pub fn install(&self, name: &str, mode: &str, settings: &str) {
        let (program, directory) = (env!("CARGO_BIN_EXE_subject"), self.env.path(""));
        let service = format!(
            "[Service]\nExecStart={program} {mode}\nEnvironment=CHILD=1 SUBJECT_DIR={}\n\
             LogRateLimitIntervalSec=1s\nLogRateLimitBurst=100000000\n{settings}\n",
            directory.display()
        );
        fs::write(self.env.path("units").join(format!("{name}.service")), service).unwrap();
        assert_eq!(self.says(&["systemctl", "daemon-reload"]), "");
    }

    /// Starts the program that prints without end, its child too, and waits until both have. Returns the run's id in the
    /// journal.
    pub fn start_printing(&self, settings: &str) -> String {
        let _ = fs::remove_dir_all(self.env.path("logs"));
        self.env.make_counters();
        self.install("printing", "service 100", settings);
        assert_eq!(self.says(&["systemctl", "start", "printing"]), "");
        wait_for("both to print", || self.env.counters()[..2].iter().all(|printed| *printed > 1000));
        self.property("printing", "InvocationID")
    }

    pub fn journal(&self, of: &str) -> String {
        self.says(&["journalctl", "--sync"]);
        self.says(&["journalctl", "--output=cat", "--no-pager", of])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.console());
        }
        // unshare's child is the first of a namespace of processes: with it, the kernel ends all of them. The mounts go with
        // theirs, and the control groups once they are empty.
        let _ = self.container.kill();
        let _ = self.container.wait();
        for hierarchy in ["", "systemd", "unified"] {
            let group = Path::new("/sys/fs/cgroup").join(hierarchy).join(group());
            // Without wait_for, which may panic.
            let start = Instant::now();
            while !remove_groups(&group) && start.elapsed() < DEADLINE {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The first; 0 where there is none.
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

fn group() -> String {
    format!("guard-test-{}", std::process::id())
}

/// The deepest first. Says whether there is none left.
fn remove_groups(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
    !group.exists()
}

/// The unit files of examples/deploy.
pub fn units() -> Vec<PathBuf> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy");
    let is_unit = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "service" || ending == "timer");
    let units: Vec<_> = fs::read_dir(deploy).unwrap().map(|entry| entry.unwrap().path()).filter(is_unit).collect();
    assert_eq!(units.len(), 5);
    units
}
