//! A terminal for the program under test: this is the emulator.
#![allow(unsafe_code, reason = "terminals are system calls")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;

/// A pseudo-terminal of 30 lines and 100 columns.
pub struct Terminal {
    pub emulator: File,
    pub path: PathBuf,
}

impl Terminal {
    pub fn new() -> Self {
        let mut number: libc::c_uint = 0;
        // SAFETY: the descriptor is ours once it is made, and the number is written. Closed on exec from the start, or a
        // program that another test starts meanwhile would keep it open.
        let emulator = unsafe {
            let emulator = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
            assert!(emulator != -1 && libc::grantpt(emulator) == 0 && libc::unlockpt(emulator) == 0);
            assert_eq!(libc::ioctl(emulator, libc::TIOCGPTN, &raw mut number), 0);
            File::from_raw_fd(emulator)
        };
        let terminal = Self { emulator, path: PathBuf::from(format!("/dev/pts/{number}")) };
        terminal.resize(30, 100);
        terminal
    }

    /// The program's end.
    pub fn open(&self) -> File {
        use std::os::unix::fs::OpenOptionsExt;
        File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&self.path).unwrap()
    }

    pub fn stdout<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.stdout(self.open())
    }

    /// All three standard descriptors, and the terminal of a session of its own, as a login has it.
    pub fn login<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.stdin(self.open()).stdout(self.open()).stderr(self.open());
        // SAFETY: system calls alone.
        unsafe {
            command.pre_exec(|| {
                assert!(libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0);
                // A shell has the jobs in its background ignore Ctrl-C, nohup has it ignore hang-ups, and we may be one of
                // those.
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                Ok(())
            })
        }
    }

    /// Starts to read what programs print.
    pub fn capture(&self) -> Capture {
        let keeps_open = self.open();
        let mut emulator = self.emulator.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
            while let Ok(count) = emulator.read(&mut buffer) {
                all.extend_from_slice(&buffer[..count]);
            }
            all
        });
        Capture { thread, keeps_open }
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the size is read.
        assert_eq!(unsafe { libc::ioctl(self.emulator.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    }

    /// Every flag, as stty(1) tells them.
    pub fn flags(&self) -> String {
        let output = Command::new("stty").arg("-a").arg("-F").arg(&self.path).output().unwrap();
        super::text(&output.stdout)
    }
}

pub struct Capture {
    thread: JoinHandle<Vec<u8>>,
    /// A terminal that no program has open is at its end.
    keeps_open: File,
}

impl Capture {
    /// What was printed, once the last program has closed the terminal.
    pub fn finish(self) -> String {
        drop(self.keeps_open);
        super::text(&self.thread.join().unwrap())
    }
}
