//! Lines over a common axis as SVG.
//!
//! The colours are those of the light page, written in full in the SVG, so that a chart that is cut
//! out of the page is still right; the style sheet of the page replaces each for dark readers.

use crate::console;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use recurve_train::error::{Error, Result};
use std::ops::Range;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// What was observed: ink.
    Truth,
    /// What the model did: the colour of the model.
    Model,
    /// What is compared with it: the second colour, dashed.
    Second,
    /// What else is measured: the second colour.
    Line,
    /// What is only for orientation: grey, dotted.
    Third,
    /// One of several that are compared: a colour of [`CURVES`].
    Curve(usize),
    /// The same as dots that are not joined.
    Dots(usize),
}

impl Look {
    /// The class of its mark in a legend.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Truth => "truth",
            Self::Model => "model",
            Self::Second => "second",
            Self::Line => "line",
            Self::Third => "third",
            Self::Curve(at) | Self::Dots(at) => CURVES[at % CURVES.len()].0,
        }
    }

    fn style(self) -> ShapeStyle {
        let (colour, width) = match self {
            Self::Truth => (INK, 2),
            Self::Model => (MODEL, 2),
            Self::Second | Self::Line => (SECOND, 2),
            Self::Third => (THIRD, 1),
            Self::Curve(at) | Self::Dots(at) => (CURVES[at % CURVES.len()].1, 2),
        };
        colour.stroke_width(width)
    }
}

const INK: RGBColor = RGBColor(0x1a, 0x1f, 0x29);
const SOFT: RGBColor = RGBColor(0x5b, 0x64, 0x72);
const MODEL: RGBColor = RGBColor(0x16, 0x68, 0xc7);
const SECOND: RGBColor = RGBColor(0xd9, 0x73, 0x0d);
const THIRD: RGBColor = RGBColor(0x7a, 0x84, 0x94);
const GRID: RGBColor = RGBColor(0xe2, 0xe5, 0xea);
const HELD: RGBColor = RGBColor(0xee, 0xf3, 0xfb);

/// Colours that readers with any colour vision tell apart (Okabe & Ito 2008), on light and dark paper,
/// each with its class in a legend.
pub(crate) const CURVES: [(&str, RGBColor); 7] = [
    ("curve-0", RGBColor(0x00, 0x72, 0xb2)),
    ("curve-1", RGBColor(0xd5, 0x5e, 0x00)),
    ("curve-2", RGBColor(0x00, 0x9e, 0x73)),
    ("curve-3", RGBColor(0xcc, 0x79, 0xa7)),
    ("curve-4", RGBColor(0xe6, 0x9f, 0x00)),
    ("curve-5", RGBColor(0x56, 0xb4, 0xe9)),
    ("curve-6", RGBColor(0x8c, 0x8c, 0x8c)),
];

/// A line: points from left to right.
pub(crate) struct Line {
    /// How it looks.
    pub(crate) look: Look,
    /// Its points `(x, y)`, all finite.
    pub(crate) points: Vec<(f64, f64)>,
}

/// From where to where values at one place lie.
pub(crate) struct Bar {
    /// How it looks: as the line it belongs to.
    pub(crate) look: Look,
    /// Where it stands.
    pub(crate) x: f64,
    /// The lowest value.
    pub(crate) low: f64,
    /// The highest value.
    pub(crate) high: f64,
}

/// A chart of lines.
#[derive(Default)]
pub(crate) struct Chart {
    /// Width and height, in the units of the labels' size.
    pub(crate) size: (u32, u32),
    /// The lines, drawn in this order.
    pub(crate) lines: Vec<Line>,
    /// Bars over the lines.
    pub(crate) bars: Vec<Bar>,
    /// What the axis to the right counts.
    pub(crate) x_name: String,
    /// What the axis upward measures.
    pub(crate) y_name: String,
    /// Where the axis to the right has a label, and which; round numbers if empty.
    pub(crate) x_labels: Vec<(f64, String)>,
    /// Whether the axis upward is logarithmic; values above zero only.
    pub(crate) logarithmic: bool,
    /// Whether the axis upward begins at zero.
    pub(crate) from_zero: bool,
    /// A part of the axis to the right that is shaded.
    pub(crate) shaded: Option<Range<f64>>,
    /// A point that is marked, such as the best epoch.
    pub(crate) marked: Option<(f64, f64)>,
}

impl Chart {
    /// The chart as an `<svg>` element.
    ///
    /// # Errors
    /// The drawing fails, which is a mistake of the program.
    pub(crate) fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        let drawn = if self.logarithmic {
            let (low, high) = self.y_range();
            self.draw(&mut svg, (low..high).log_scale())
        } else {
            let (low, high) = self.y_range();
            self.draw(&mut svg, low..high)
        };
        drawn.map_err(|error| Error::failed(format!("cannot draw a chart: {error}")))?;
        Ok(svg)
    }

    fn draw<Y>(
        &self,
        svg: &mut String,
        y_range: Y,
    ) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    {
        let area = SVGBackend::with_string(svg, self.size).into_drawing_area();
        let keys: Vec<f64> = self.x_labels.iter().map(|(at, _)| *at).collect();
        let (left, right) = self.x_range();
        let low = self.y_range().0;
        let high = self.y_range().1;
        let mut builder = ChartBuilder::on(&area);
        builder
            .margin_top(10)
            .margin_right(14)
            .margin_bottom(2)
            .margin_left(2)
            .x_label_area_size(if self.x_name.is_empty() { 28 } else { 48 })
            .y_label_area_size(68);
        let mut chart = builder.build_cartesian_2d(Axis { left, right, keys }, y_range)?;
        if let Some(shaded) = &self.shaded {
            let corners = [(shaded.start.max(left), high), (shaded.end.min(right), low)];
            chart.draw_series([Rectangle::new(corners, HELD.filled())])?;
        }
        let text = |size: i32, colour: &RGBColor| {
            ("sans-serif", size).into_font().color(colour).into_text_style(&area)
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(SOFT)
            .label_style(text(14, &SOFT))
            .axis_desc_style(text(15, &SOFT))
            .x_desc(self.x_name.as_str())
            .y_desc(self.y_name.as_str())
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|x| self.x_label(*x))
            .y_label_formatter(&|y| console::number(round_off(*y)))
            .draw()?;
        for line in &self.lines {
            let style = line.look.style();
            let points = line.points.iter().copied();
            match line.look {
                Look::Second => {
                    chart.draw_series(DashedLineSeries::new(points, 7, 4, style))?;
                }
                Look::Third => {
                    chart.draw_series(DashedLineSeries::new(points, 2, 3, style))?;
                }
                Look::Dots(_) => {
                    chart.draw_series(points.map(|at| Circle::new(at, 4, style.filled())))?;
                }
                _ => {
                    chart.draw_series(LineSeries::new(points, style))?;
                }
            }
            if let [only] = line.points[..] {
                chart.draw_series([Circle::new(only, 3, style.filled())])?;
            }
        }
        for Bar { look, x, low, high } in &self.bars {
            let ends = [(*x, *low), (*x, *high)];
            chart.draw_series([PathElement::new(ends, look.style())])?;
        }
        if let Some(at) = self.marked {
            chart.draw_series([Circle::new(at, 5, INK.stroke_width(2))])?;
        }
        area.present()
    }

    fn x_label(&self, x: f64) -> String {
        match self.x_labels.iter().find(|(at, _)| *at == x) {
            Some((_, label)) => label.clone(),
            None => console::number(round_off(x)),
        }
    }

    fn x_range(&self) -> (f64, f64) {
        let (low, high) = extent(self.lines.iter().flat_map(|line| &line.points).map(|p| p.0));
        if low < high { (low, high) } else { (low - 1.0, high + 1.0) }
    }

    /// The values with some room; from zero where that is asked for and they are not below.
    fn y_range(&self) -> (f64, f64) {
        let bars = self.bars.iter().flat_map(|bar| [bar.low, bar.high]);
        let points = self.lines.iter().flat_map(|line| &line.points).map(|p| p.1);
        let (low, high) = extent(points.chain(bars));
        if self.logarithmic {
            return (low / 1.15, high * 1.15);
        }
        let room = if low < high { 0.06 * (high - low) } else { 0.5 * high.abs().max(1e-6) };
        let bottom = if self.from_zero && low >= 0.0 { 0.0 } else { low - room };
        (bottom, high + room)
    }
}

/// Whole numbers from `first` to `last` as labels, at most about `most`.
pub(crate) fn whole(first: u64, last: u64, most: u64) -> Vec<(f64, String)> {
    let room = (last.saturating_sub(first) / most.max(1)).max(1);
    let power = 10_u64.pow(room.ilog10());
    let step = [1, 2, 5, 10].map(|n| n * power).into_iter().find(|step| *step >= room);
    let step = step.unwrap_or(10 * power);
    (first.next_multiple_of(step)..=last)
        .step_by(step as usize)
        .map(|at| (at as f64, at.to_string()))
        .collect()
}

/// The axis to the right, with labels at given places.
struct Axis {
    left: f64,
    right: f64,
    keys: Vec<f64>,
}

impl AsRangedCoord for Axis {
    type CoordDescType = WithKeys;
    type Value = f64;
}

/// The coordinates of [`Axis`].
struct WithKeys {
    range: plotters::coord::types::RangedCoordf64,
    keys: Vec<f64>,
}

impl From<Axis> for WithKeys {
    fn from(axis: Axis) -> Self {
        Self { range: (axis.left..axis.right).into(), keys: axis.keys }
    }
}

impl Ranged for WithKeys {
    type FormatOption = plotters::coord::ranged1d::DefaultFormatting;
    type ValueType = f64;

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }
    fn key_points<H: plotters::coord::ranged1d::KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if self.keys.is_empty() { self.range.key_points(hint) } else { self.keys.clone() }
    }
}

/// The smallest and the largest of some values, 0 and 1 for none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let range = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if range.0.is_finite() && range.1.is_finite() { range } else { (0.0, 1.0) }
}

/// Without the last digits, where the places of labels have their rounding errors.
fn round_off(value: f64) -> f64 {
    if value.abs() < 1e-12 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_of_data_are_drawn() {
        let lines: [Vec<(f64, f64)>; 4] = [
            vec![],
            vec![(1.0, 5.0)],
            vec![(0.0, 0.0), (1.0, 0.0)],
            vec![(0.0, 1e-9), (1.0, 1e12)],
        ];
        for points in lines {
            for look in [Look::Truth, Look::Second, Look::Third, Look::Curve(9)] {
                let logarithmic = points.iter().all(|(_, y)| *y > 0.0) && !points.is_empty();
                let chart = Chart {
                    size: (400, 200),
                    lines: vec![Line { look, points: points.clone() }],
                    bars: points
                        .iter()
                        .map(|(x, y)| Bar { look, x: *x, low: *y, high: y * 2.0 })
                        .collect(),
                    logarithmic,
                    ..Chart::default()
                };
                let svg = chart.svg().expect("a drawing");
                assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
                assert!(!svg.contains("NaN"), "{svg}");
            }
        }
    }

    #[test]
    fn every_colour_has_a_place_in_the_style_sheet() {
        let style = include_str!("style.css");
        for colour in [INK, SOFT, MODEL, SECOND, THIRD, GRID, HELD] {
            let name = format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2);
            assert!(style.contains(&format!("fill=\"{name}\"")), "{name}");
            assert!(style.contains(&format!("stroke=\"{name}\"")), "{name}");
        }
    }
}
