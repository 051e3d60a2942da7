//! A nightly job: loads daily weather observations into `SQLite` and prints a summary.
//!
//! `cargo run --example nightly`, a second time while it runs (`-- --slow` makes that easy), and the second says who
//! holds the lock and leaves. The log is `logs/nightly.log`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use guard_runtime::locked_pipeline;
use indicatif::ProgressBar;
use rusqlite::Connection;

// systemd sets these variables (examples/deploy/nightly.service); by hand, the defaults hold. The hook tells a service such as
// healthchecks.io of each end, where somebody has set PING_URL.
#[locked_pipeline(
    lock = "${RUNTIME_DIRECTORY:-logs}/nightly.lock",
    log = "${LOGS_DIRECTORY:-logs}/nightly.log",
    status = "${STATE_DIRECTORY:-logs}/nightly.json",
    metrics = "${METRICS_DIRECTORY:-logs}/nightly.prom",
    timeout = "5h",
    on_end = r#"[ -z "$PING_URL" ] || curl -fsS -m 8 --retry 2 "$PING_URL/$GUARD_EXIT_CODE""#
)]
fn main() -> Result<()> {
    let slow = std::env::args().any(|argument| argument == "--slow");
    // Installed, its data is elsewhere.
    let data = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let data = data.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data"), Into::into);
    let directory = std::env::var_os("STATE_DIRECTORY").unwrap_or_else(|| "logs".into());
    let path = Path::new(&directory).join("weather.sqlite3");
    let mut database = Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    database.execute_batch(
        "CREATE TABLE IF NOT EXISTS weather (
            date TEXT PRIMARY KEY, precipitation REAL, temp_max REAL, temp_min REAL, wind REAL, kind TEXT)",
    )?;
    for file in ["seattle-weather.csv", "spoilt-rows.csv"] {
        let (loaded, rejected) = load(&mut database, &data.join(file), slow)?;
        log::info!("{file}: {loaded} rows loaded, {rejected} rejected");
    }
    print_summary(&database)?;
    // A child process prints too, and is captured like everything else.
    let status = Command::new("du").arg("-h").arg(&path).status().context("cannot run du")?;
    ensure!(status.success(), "du: {status}");
    let directory = std::env::var_os("LOGS_DIRECTORY").unwrap_or_else(|| "logs".into());
    println!("the log is {}", Path::new(&directory).join("nightly.log").canonicalize()?.display());
    Ok(())
}

/// Loads one file in one transaction: all of its good rows or, should anything break, none.
fn load(database: &mut Connection, path: &Path, slow: bool) -> Result<(u64, u64)> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let rows = reader.records().collect::<Result<Vec<_>, _>>()?;
    // Shown on stderr, and only where that is a terminal.
    let progress = ProgressBar::new(rows.len() as u64);
    let (mut loaded, mut rejected) = (0, 0);
    let transaction = database.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT OR REPLACE INTO weather VALUES (?, ?, ?, ?, ?, ?)")?;
        for row in &rows {
            match Observation::parse(row) {
                Ok(day) => {
                    insert.execute((&day.date, day.precipitation, day.temp_max, day.temp_min, day.wind, &day.kind))?;
                    loaded += 1;
                }
                Err(why) => {
                    let line = row.position().map_or(0, csv::Position::line);
                    progress.suspend(|| log::warn!("{}, line {line}: {why:#}; row left out", path.display()));
                    rejected += 1;
                }
            }
            if slow {
                std::thread::sleep(Duration::from_millis(10));
            }
            progress.inc(1);
        }
    }
    transaction.commit()?;
    progress.finish_and_clear();
    Ok((loaded, rejected))
}

struct Observation {
    date: String,
    precipitation: f64,
    temp_max: f64,
    temp_min: f64,
    wind: f64,
    kind: String,
}

impl Observation {
    fn parse(row: &csv::StringRecord) -> Result<Self> {
        let field = |index: usize, name: &str| row.get(index).with_context(|| format!("{name} is missing"));
        let number = |index, name: &str| -> Result<f64> {
            let text = field(index, name)?;
            text.parse().with_context(|| format!("{name} is `{text}`, not a number"))
        };
        let day = Self {
            date: iso_date(field(0, "date")?)?,
            precipitation: number(1, "precipitation")?,
            temp_max: number(2, "temp_max")?,
            temp_min: number(3, "temp_min")?,
            wind: number(4, "wind")?,
            kind: field(5, "weather")?.to_owned(),
        };
        ensure!(day.precipitation >= 0.0, "precipitation is {}, less than none", day.precipitation);
        ensure!(day.temp_min <= day.temp_max, "temp_min {} is above temp_max {}", day.temp_min, day.temp_max);
        Ok(day)
    }
}

/// `2012/02/29` as `2012-02-29`, if there was such a day.
fn iso_date(text: &str) -> Result<String> {
    let parts: Vec<u32> = text.split('/').map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
    let [year, month, day] = parts[..] else { bail!("date is `{text}`, not year/month/day") };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    ensure!((1..=days).contains(&day), "there is no day `{text}`");
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

fn print_summary(database: &Connection) -> Result<()> {
    let mut months = database.prepare(
        "SELECT strftime('%m', date), count(*), avg(temp_max), avg(temp_min), sum(precipitation) / count(DISTINCT
         strftime('%Y', date)), max(wind) FROM weather GROUP BY 1 ORDER BY 1",
    )?;
    println!("month  days  mean high  mean low  rain a month  strongest wind");
    let mut rows = months.query(())?;
    while let Some(row) = rows.next()? {
        let month: String = row.get(0)?;
        let days: u32 = row.get(1)?;
        let (high, low): (f64, f64) = (row.get(2)?, row.get(3)?);
        let (rain, wind): (f64, f64) = (row.get(4)?, row.get(5)?);
        println!("{month:>5}  {days:>4}  {high:>7.1} C  {low:>6.1} C  {rain:>9.1} mm  {wind:>10.1} m/s");
    }
    Ok(())
}
