use guard_runtime::locked_pipeline;

struct Job;

impl Job {
    const BACKUPS: u16 = 1000;

    #[locked_pipeline(lock = "a.lock", log = "a.log", backups = Self::BACKUPS)]
    fn run(&self) {}
}

fn main() {
    Job.run();
}
