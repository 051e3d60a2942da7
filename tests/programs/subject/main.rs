//! The annotated program under test: one mode a behaviour. Lock, log and everything else lie in `$SUBJECT_DIR`.
#![allow(unsafe_code, reason = "shared memory, raw fork and signals are what is tested here")]

mod allocator;
mod console;
mod exits;
mod hung;
mod input;
mod lock_hardness;
mod lock_holder;
mod locking;
mod log_file;
mod order;
mod processes;
mod shared_log;
mod show;
mod support;
mod surroundings;
mod survival;
mod systemd;
mod tenants;
mod terminals;
mod verdict;

use std::process::{ExitCode, Termination};
use std::str::FromStr;

/// Lists the modes by their modules, which are named after the tests. A mode is the function of that name, called with the
/// program's second argument where it takes one.
macro_rules! modes {
    ($($module:ident { $($mode:ident $(($argument:ty))?),* $(,)? })*) => {
        /// Runs the mode of that name.
        fn run(mode: &str) -> ExitCode {
            match mode {
                $($(stringify!($mode) => Termination::report($module::$mode($(argument::<$argument>())?)),)*)*
                _ => ExitCode::from(64),
            }
        }
    };
}

modes! {
    console {
        beside_a_non_blocking_child(u64), child_on_one_stream(u64), few_lines_then_go(u64), non_blocking_child_after_go(u64),
        flood_background(u64), flooding_child, set_non_blocking,
    }
    exits {
        close_from_and_return, daemonize, exec, exit_beside_a_start(u64), exit_in_handler_amid_lines,
        exit_in_handler_amid_records, exit_in_handler_amid_the_end(u64), exit_under_own_lock, exit_without_threads,
        finish_under_own_lock, underscore_exit(i32), unfinished_without_threads,
    }
    hung { guarded }
    input { blocks(u64), copy, prompt, writers(u64) }
    lock_hardness {
        acquire_after_close_from, acquire_in_the_daemon, eat_memory, forked_child_hold,
        hold_after_close_from, lock_only, race(u64), signal_storm, strict,
    }
    lock_holder { stuck, stuck_in_an_hour, wait }
    locking { background, hold(u64), nested, twice }
    log_file {
        flood(u64), flood_and_record(u64), flood_on(u64), flood_on_in_one_file(u64), rotations(u64), rotations_until_go, slow_flood(u64),
    }
    order {
        coloured_record, display_logs, few_records(u64), long_records(u64), mixed(u64), mixed_stderr(u64), no_tee,
        own_logger, tee_stdout,
    }
    processes {
        child_descriptors, close, close_from, close_from_fork, first_child_is_pid_1, forked_child,
        hold_with_child, lingering, many(u64), on_small_stack, records_among_own_files, redirect, secrets,
        unshared_inside, wait_loop,
    }
    shared_log {
        lingering_log(u64), lingering_log_until_go(u64), shared_log(u64), shared_log_until_go(u64),
        shared_log_with_child(u64), small_shared_log(u64), wide_shared_log(u64),
    }
    show { all(String), built, later, unset }
    surroundings {
        c_reader, c_stdio(u64), default_with_tilde, default_with_variable, pipes_used_up(u64), stdout_held,
    }
    survival {
        abort(u64), code, count(u64), crowd(u64), exit(u64), exit_beside_the_end(u64), fail, fail_long, panic(u64),
        segfault(u64), two_exits,
    }
    systemd { service(u64), short }
    tenants { sync(String), sync_at_go(String) }
    terminals { records, script, show, show_bare, signalled_records(u64), sizes, sizes_bare, sizes_of_child }
    verdict {
        end_all(String), end_quiet(String), end_told(String), find_stuck, flood_then_wait(u64), hold_with_status,
        quiet_flood(u64),
    }
}

fn argument<T: FromStr + Default>() -> T {
    std::env::args().nth(2).and_then(|argument| argument.parse().ok()).unwrap_or_default()
}

fn main() -> ExitCode {
    // A test that fails leaves nobody behind who prints indefinitely.
    #[cfg(target_os = "linux")]
    // SAFETY: a system call on this process alone.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    };
    allocator::watch(&support::directory());
    run(&std::env::args().nth(1).unwrap_or_default())
}
