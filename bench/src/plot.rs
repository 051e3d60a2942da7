//! The figures as a picture: bars, the guard's in a colour of its own.

use std::fmt::Write;

/// A row of the plot: whose, and how long its bar is.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// One group of bars under a title.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) bars: Vec<Bar>,
}

const ROW: usize = 20;
const LEFT: f64 = 190.0;
const WIDTH: f64 = 420.0;

/// An SVG that reads on a light and on a dark page.
pub(crate) fn svg(groups: &[Group]) -> String {
    let mut body = String::new();
    let mut y = 10;
    for group in groups {
        let longest = group.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        y += ROW;
        let _ = writeln!(body, r#"<text class="title" x="10" y="{y}">{}</text>"#, group.title);
        for bar in &group.bars {
            y += ROW;
            let class = if bar.name == "guard" { "guard" } else { "peer" };
            let width = (bar.value / longest * WIDTH).max(1.0);
            let _ = writeln!(
                body,
                r#"<text x="{:.0}" y="{y}" text-anchor="end">{}</text><rect class="{class}" x="{LEFT}" y="{}" width="{width:.0}" height="13"/><text x="{:.0}" y="{y}">{:.0} {}</text>"#,
                LEFT - 8.0,
                bar.name,
                y - 11,
                LEFT + width + 6.0,
                bar.value,
                group.unit,
            );
        }
        y += ROW / 2;
    }
    let height = y + 10;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" viewBox="0 0 720 {height}">
<style>text {{ font: 12px sans-serif; fill: #333 }} .title {{ font-weight: bold }} .guard {{ fill: #2a7de1 }} .peer {{ fill: #9aa5b1 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} .peer {{ fill: #6b7785 }} }}</style>
{body}</svg>
"#
    )
}
