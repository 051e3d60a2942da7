//! The runs as a picture: a bar for each, as high as it took long.

use std::path::Path;

use anyhow::Result;
use chrono::{DateTime, Local};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::runs::{How, Run};

const WIDTH: u32 = 960;
const LEGEND: u32 = 36;
const PANEL: u32 = 300;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One diagram a job, and above them what the colours and marks mean.
pub(crate) fn draw(runs: &[Run], path: &Path) -> Result<()> {
    let mut jobs: Vec<String> = runs.iter().map(Run::job).collect();
    jobs.sort();
    jobs.dedup();
    let root = SVGBackend::new(path, (WIDTH, LEGEND + PANEL * jobs.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let (legend, panels) = root.split_vertically(LEGEND);
    draw_legend(&legend, runs)?;
    for (panel, job) in panels.split_evenly((jobs.len(), 1)).iter().zip(&jobs) {
        let runs: Vec<&Run> = runs.iter().filter(|run| run.job() == *job).collect();
        draw_job(panel, job, &runs)?;
    }
    root.present()?;
    Ok(())
}

fn draw_legend(area: &Area<'_>, runs: &[Run]) -> Result<()> {
    let mut x = 70;
    for how in How::ALL {
        let count = runs.iter().filter(|run| run.how == how).count();
        if count == 0 {
            continue;
        }
        let (word, mark, _, color) = how.look();
        if how.has_bar() {
            area.draw(&Rectangle::new([(x, 14), (x + 14, 28)], color.filled()))?;
            x += 20;
        }
        let text = format!("{mark} {word} ({count})");
        area.draw(&Text::new(text.trim_start().to_owned(), (x, 14), ("sans-serif", 18).into_font().color(&color)))?;
        x += 34 + 9 * text.chars().count() as i32;
    }
    Ok(())
}

fn draw_job(area: &Area<'_>, job: &str, runs: &[&Run]) -> Result<()> {
    let begun = |run: &Run| run.begun.timestamp();
    let (first, last) = (begun(runs[0]), begun(runs[runs.len() - 1]));
    // Most runs are as far apart as their schedule says.
    let mut gaps: Vec<i64> =
        runs.windows(2).map(|pair| begun(pair[1]) - begun(pair[0])).filter(|gap| *gap > 0).collect();
    gaps.sort_unstable();
    let gap = gaps.get(gaps.len() / 2).copied().unwrap_or(3600);
    let longest = runs.iter().filter_map(|run| run.seconds).fold(0.001, f64::max);
    let (unit, unit_name) = match longest {
        ..180.0 => (1.0, "seconds"),
        180.0..10800.0 => (60.0, "minutes"),
        _ => (3600.0, "hours"),
    };
    let local = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap_or_default().with_timezone(&Local);
    let format = match (gap, last - first) {
        (72_000.., _) => "%-d %b",
        (_, ..72_000) => "%H:%M",
        _ => "%-d %b %H:%M",
    };
    let each = runs.len().div_ceil(if format.len() > 6 { 8 } else { 16 });
    let ticks = runs.iter().step_by(each).map(|run| begun(run)).collect();
    let days = [first, last].map(|seconds| local(seconds).format("%F").to_string());
    let days = if days[0] == days[1] { days[0].clone() } else { format!("{} to {}", days[0], days[1]) };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{job}, {days}"), ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(56)
        .build_cartesian_2d((first - gap..last + gap).with_key_points(ticks), 0.0..longest / unit * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 16))
        .y_labels(7)
        .x_label_formatter(&|seconds| local(*seconds).format(format).to_string())
        .y_label_formatter(&|value| format!("{value}"))
        .y_desc(unit_name)
        .draw()?;
    for run in runs {
        let (_, mark, _, color) = run.how.look();
        let (x, y) = (begun(run), run.seconds.unwrap_or_default() / unit);
        if run.seconds.is_some() {
            let half = (gap * 35 / 100).max(1);
            chart.plotting_area().draw(&Rectangle::new([(x - half, 0.0), (x + half, y)], color.filled()))?;
        }
        let style = ("sans-serif", 22).into_font().color(&color).pos(Pos::new(HPos::Center, VPos::Bottom));
        chart.plotting_area().draw(&Text::new(mark, (x, y), style))?;
    }
    Ok(())
}
