//! The logging crates that a record is compared with, each as its documentation has it, all writing time, level, target
//! and text to one file.

use std::path::Path;

/// Runs the job under that logger, and has it flush what it holds back.
pub(crate) fn with(logger: &str, directory: &Path, job: fn()) {
    let path = directory.join("peer.log");
    match logger {
        "fern" => {
            // The same line as the guard's.
            let format = |out: fern::FormatCallback<'_>, text: &std::fmt::Arguments<'_>, record: &log::Record<'_>| {
                let stamp = humantime::format_rfc3339_micros(std::time::SystemTime::now());
                out.finish(format_args!("{stamp} [{:<5}] {}: {text}", record.level(), record.target()));
            };
            let file = fern::log_file(path).expect("its file");
            fern::Dispatch::new().format(format).chain(file).apply().expect("the first logger");
            job();
        }
        "simplelog" => {
            let file = std::fs::File::create(path).expect("its file");
            let config = simplelog::ConfigBuilder::new().set_time_format_rfc3339().build();
            simplelog::WriteLogger::init(log::LevelFilter::Info, config, file).expect("the first logger");
            job();
        }
        "flexi-direct" | "flexi-buffered" => {
            let mode = match logger {
                "flexi-direct" => flexi_logger::WriteMode::Direct,
                _ => flexi_logger::WriteMode::BufferAndFlush,
            };
            let file = flexi_logger::FileSpec::default().directory(directory).basename("peer").suppress_timestamp();
            let logger = flexi_logger::Logger::try_with_str("info").expect("a level").log_to_file(file);
            let logger = logger.format(flexi_logger::detailed_format).write_mode(mode).start();
            let handle = logger.expect("the first logger");
            job();
            handle.flush();
        }
        "log4rs" => {
            use log4rs::config::{Appender, Config, Root};
            let encoder = log4rs::encode::pattern::PatternEncoder::new("{d} [{l:<5}] {t}: {m}{n}");
            let file = log4rs::append::file::FileAppender::builder().encoder(Box::new(encoder)).build(path);
            let file = Appender::builder().build("file", Box::new(file.expect("its file")));
            let root = Root::builder().appender("file").build(log::LevelFilter::Info);
            log4rs::init_config(Config::builder().appender(file).build(root).expect("a configuration"))
                .expect("the first logger");
            job();
        }
        "spdlog" => {
            let sink = spdlog::sink::FileSink::builder().path(path).truncate(true).build_arc().expect("its file");
            let logger = spdlog::Logger::builder().sink(sink).build_arc().expect("a logger");
            // As durable as a plain file: each record reaches the kernel.
            logger.set_flush_level_filter(spdlog::LevelFilter::All);
            spdlog::set_default_logger(logger);
            spdlog::init_log_crate_proxy().expect("the first logger");
            log::set_max_level(log::LevelFilter::Info);
            job();
        }
        "tracing-appender" => {
            let file = std::fs::File::create(path).expect("its file");
            let (writer, guard) = tracing_appender::non_blocking(file);
            tracing_subscriber::fmt().with_writer(writer).with_ansi(false).init();
            // Through its own macro, without the bridge from `log`.
            tracing_records();
            drop(guard);
        }
        _ => panic!("there is no logger `{logger}`"),
    }
}

fn tracing_records() {
    crate::job::each_record(|number| {
        tracing::info!("record {number} of a run that logs a good deal, to see what one costs");
    });
}
