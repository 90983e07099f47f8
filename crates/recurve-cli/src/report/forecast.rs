//! What a report says about forecasts: they are drawn beside what came, the naive forecast and the
//! rows before; measured beside all naive forecasts; and continued after the last row.

use super::chart::{Chart, Line, Look};
use super::page::{Block, Figure, Section};
use crate::console;
use recurve_train::data::{Panel, Series};
use recurve_train::error::Result;
use recurve_train::metrics::Scores;
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Forecast, ForecastReport, Forecaster, Prediction, TargetReport};
use std::collections::HashMap;

/// Targets that are drawn; tables name them all.
const DRAWN: usize = 4;
/// Rows that are drawn of the held-out part, at least; more would be a blot.
const ROWS: usize = 240;
/// Width and height of a chart as wide as the page, and of one beside another.
const WIDE: (u32, u32) = (960, 340);

/// The sections of a report, and what was decided about the data.
pub(super) fn whole(
    report: &ForecastReport,
    file: ModelFile,
) -> Result<(Vec<Section>, Vec<String>)> {
    let mut model = Forecaster::of(file)?;
    let table = model.own_table(None)?;
    let panel = Panel::new(&table, model.plan())?;
    let next = match model.plan().known.is_empty() {
        true => model.forecast_all(&table)?,
        // Without rows that say what is known ahead there is nothing to draw.
        false => model.forecast_all(&table).unwrap_or_default(),
    };
    Ok((sections(report, panel.series(), &next)?, model.plan().describe(&table)))
}

/// The sections on forecasts: pictures, measures, and what comes next.
fn sections(report: &ForecastReport, all: &[Series], next: &[Forecast]) -> Result<Vec<Section>> {
    let mut pictures = vec![];
    let mut measures = vec![];
    let targets = report.targets.len().max(1);
    for (at, target) in report.targets.iter().enumerate() {
        // Of several series the first are drawn; the measures are those of all.
        for (which, series) in all.iter().enumerate().take((DRAWN / targets).max(1)) {
            let rows: HashMap<String, usize> =
                (0..series.rows()).filter_map(|row| Some((series.time(row)?, row))).collect();
            let own = report.predictions.iter().filter(|row| row.target == target.target);
            let own = own.filter(|row| row.series.as_deref() == series.name());
            let view = View { target, at, own: own.collect(), rows: &rows, series };
            if at < DRAWN {
                pictures.push(Block::Charts(vec![view.held_out(&report.part)?]));
                if let Some(next) = next.get(which) {
                    pictures.push(Block::Charts(vec![view.next(next)?]));
                }
            }
        }
        let (Some(series), rows) = (all.first(), HashMap::new()) else { continue };
        let own = report.predictions.iter().filter(|row| row.target == target.target);
        let view = View { target, at, own: own.collect(), rows: &rows, series };
        measures.push(view.table());
        measures.extend(view.intervals());
        if at < DRAWN && report.horizon > 1 {
            measures.push(Block::Charts(vec![view.by_step(report.horizon)?]));
        }
    }
    if report.targets.len() > DRAWN {
        let text = format!("The first {DRAWN} of {} targets are drawn.", report.targets.len());
        pictures.push(Block::Text(text));
    }
    if all.len() > 1 {
        let shown = all.len().min((DRAWN / targets).max(1));
        let text = format!("{shown} of {} series are drawn; the measures count all.", all.len());
        pictures.push(Block::Text(text));
    }
    let how = format!(
        "Measured on the {} rows from {} to {}, forecast {} rows ahead from {} origin{}. The naive \
         forecasts start from the same origins and know the same rows. Lower is better everywhere; \
         MASE below 1 means smaller errors than the seasonal naive forecast made in the training part.",
        report.part,
        report.first_time,
        report.last_time,
        report.horizon,
        report.origins,
        if report.origins == 1 { "" } else { "s" }
    );
    measures.insert(0, Block::Text(how));
    Ok(vec![section("Forecasts", pictures), section("How good they are", measures)])
}

fn section(title: &str, blocks: Vec<Block>) -> Section {
    Section { title: title.to_owned(), blocks }
}

/// One target.
struct View<'a> {
    target: &'a TargetReport,
    /// Its place among the targets.
    at: usize,
    own: Vec<&'a Prediction>,
    /// The row of each time.
    rows: &'a HashMap<String, usize>,
    series: &'a Series,
}

impl View<'_> {
    /// The name of what is drawn.
    fn name(&self) -> String {
        match self.series.name() {
            Some(series) => format!("{} of {series}", self.target.target),
            None => self.target.target.clone(),
        }
    }

    /// What intervals should hold and what they held.
    fn intervals(&self) -> Option<Block> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let mut rows = vec![];
        if let Some(probability) = &self.target.probability {
            for coverage in &probability.coverage {
                rows.push(vec![
                    "of the distribution".to_owned(),
                    percent(coverage.nominal),
                    percent(coverage.found),
                    String::new(),
                ]);
            }
        }
        let calibrated = self.target.interval.filter(|interval| interval.calibrated);
        if let Some(interval) = calibrated {
            rows.push(vec![
                "calibrated on the validation part".to_owned(),
                percent(interval.nominal),
                percent(interval.found),
                console::digits(interval.width),
            ]);
        }
        let head = ["interval", "should hold", "held", "mean width"].map(str::to_owned).to_vec();
        (!rows.is_empty()).then_some(Block::Table { head, rows, marked: None })
    }

    /// The naive forecast that is drawn: the seasonal one where there is one.
    fn naive(&self) -> Option<(usize, &str)> {
        let names = self.target.baselines.iter().map(|naive| naive.name.as_str());
        let all: Vec<(usize, &str)> = names.enumerate().collect();
        let seasonal = all.iter().find(|(_, name)| *name == "seasonal naive");
        seasonal.or(all.first()).copied()
    }

    fn row(&self, prediction: &Prediction) -> Option<usize> {
        self.rows.get(&prediction.time).copied()
    }

    /// Observed values of some rows as points.
    fn observed(&self, rows: std::ops::Range<usize>) -> Vec<(f64, f64)> {
        let values = self.series.values(self.at);
        rows.map(|row| (row as f64, values[row])).collect()
    }

    /// Rows before that make a forecast understandable.
    fn before(&self) -> usize {
        let plan = self.series.plan();
        plan.input.max(3 * plan.season).max(2 * plan.horizon).min(ROWS)
    }

    fn held_out(&self, part: &str) -> Result<Figure> {
        let plan = self.series.plan();
        let most = ROWS.max(2 * plan.horizon);
        let origins = (most / plan.horizon).max(1) * plan.horizon;
        let shown = &self.own[self.own.len().saturating_sub(origins)..];
        let found: Vec<(usize, &Prediction)> = shown
            .iter()
            .filter_map(|prediction| Some((self.row(prediction)?, *prediction)))
            .collect();
        let (first, last) = match (found.first(), found.last()) {
            (Some((first, _)), Some((last, _))) => (*first, *last),
            _ => (0, 0),
        };
        let start = first.saturating_sub(self.before());
        let mut lines = vec![];
        let mut legend = vec![(Look::Truth.class(), "observed".to_owned())];
        legend.push((Look::Model.class(), "model".to_owned()));
        if let Some((naive, name)) = self.naive() {
            legend.push((Look::Second.class(), name.to_owned()));
            lines.extend(pieces(&found, plan.horizon, Look::Second, |prediction| {
                prediction.baselines.get(naive).copied()
            }));
        }
        legend.push(("held", format!("{part} part")));
        lines.push(Line {
            look: Look::Truth,
            points: self.observed(start..(last + 1).min(self.series.rows())),
        });
        if found.iter().any(|(_, prediction)| prediction.lower.is_some()) {
            legend.push((Look::Third.class(), "interval".to_owned()));
            for edge in [|row: &Prediction| row.lower, |row: &Prediction| row.upper] {
                lines.extend(pieces(&found, plan.horizon, Look::Third, edge));
            }
        }
        lines.extend(pieces(&found, plan.horizon, Look::Model, |prediction| {
            Some(prediction.forecast)
        }));
        let whole = shown.len() == self.own.len();
        let chart = Chart {
            size: WIDE,
            lines,
            y_name: self.target.target.clone(),
            x_labels: self.labels(start, last),
            shaded: Some(first as f64 - 0.5..last as f64),
            ..Chart::default()
        };
        Ok(Figure {
            title: format!("{}: what was held out", self.name()),
            legend,
            svg: chart.svg()?,
            caption: format!(
                "{} forecast of {} rows, each made without the rows it is for{}.",
                if plan.horizon > 1 { "Every line is one" } else { "Every point is one" },
                plan.horizon,
                if whole { "" } else { "; the last part is drawn, the measures count all" }
            ),
        })
    }

    fn next(&self, next: &Forecast) -> Result<Figure> {
        let rows = self.series.rows();
        let start = rows.saturating_sub(self.before());
        let observed = self.observed(start..rows);
        let forecast = (rows..).map(|row| row as f64).zip(next.target(self.at));
        let points = observed.last().copied().into_iter().chain(forecast);
        let points: Vec<(f64, f64)> = points.collect();
        let last = rows + next.times.len() - 1;
        let mut lines =
            vec![Line { look: Look::Truth, points: observed }, Line { look: Look::Model, points }];
        let mut legend = vec![
            (Look::Truth.class(), "observed".to_owned()),
            (Look::Model.class(), format!("forecast after {}", next.after)),
        ];
        if let Some(coverage) = next.coverage {
            let edge = |of: fn((f64, f64)) -> f64| {
                let points = (rows..).map(|row| row as f64).zip(next.interval(self.at).map(of));
                Line { look: Look::Third, points: points.collect() }
            };
            lines.extend([edge(|(low, _)| low), edge(|(_, high)| high)]);
            legend.push((Look::Third.class(), format!("{:.0} % interval", 100.0 * coverage)));
        }
        let chart = Chart {
            size: WIDE,
            lines,
            y_name: self.target.target.clone(),
            x_labels: self.labels(start, last),
            ..Chart::default()
        };
        Ok(Figure {
            title: format!("{}: what comes next", self.name()),
            legend,
            svg: chart.svg()?,
            caption: String::new(),
        })
    }

    /// The times of some rows as labels, a whole number of seasons apart where they can be.
    fn labels(&self, first: usize, last: usize) -> Vec<(f64, String)> {
        let time = |row: usize| self.series.time(row).unwrap_or_default();
        let width = time(last).chars().count().max(4);
        let most = (100 / (width + 3)).clamp(2, 10);
        let rows = last + 1 - first;
        let unit = match self.series.plan().season {
            season if season > 1 && rows / season >= 2 => season,
            _ => 1,
        };
        let step = unit * rows.div_ceil(unit * most).max(1);
        (first.next_multiple_of(step)..=last)
            .step_by(step)
            .map(|row| (row as f64, time(row)))
            .collect()
    }

    fn table(&self) -> Block {
        let row = |name: &str, scores: &Scores, better: Option<f64>| {
            vec![
                name.to_owned(),
                console::digits(scores.mae),
                console::digits(scores.rmse),
                format!("{:.2} %", scores.smape),
                scores.mase.map_or_else(|| "–".to_owned(), |mase| format!("{mase:.3}")),
                better.map_or_else(String::new, |skill| format!("{:+.1} %", 100.0 * skill)),
            ]
        };
        let mut rows = vec![row("model", &self.target.model, None)];
        for naive in &self.target.baselines {
            let skills = &self.target.skills;
            let skill = skills.iter().find(|skill| skill.baseline == naive.name);
            rows.push(row(&naive.name, &naive.scores, skill.map(|skill| skill.skill)));
        }
        let head =
            [&self.target.target, "MAE", "RMSE", "sMAPE", "MASE", "skill of the model (MAE)"];
        Block::Table { head: head.map(str::to_owned).to_vec(), rows, marked: Some(0) }
    }

    /// How the error grows with the distance.
    fn by_step(&self, horizon: usize) -> Result<Figure> {
        let error = |value: &dyn Fn(&Prediction) -> Option<f64>| {
            let at = |step: usize| {
                let own = self.own.iter().filter(|prediction| prediction.step == step);
                let errors = own.filter_map(|p| Some((value(p)? - p.actual).abs()));
                let errors = errors.filter(|error| error.is_finite());
                let (sum, count) = errors.fold((0.0, 0), |(sum, n), error| (sum + error, n + 1));
                (count > 0).then(|| (step as f64, sum / f64::from(count)))
            };
            (1..=horizon).filter_map(at).collect::<Vec<_>>()
        };
        let mut lines = vec![];
        let mut legend = vec![(Look::Model.class(), "model".to_owned())];
        if let Some((at, name)) = self.naive() {
            legend.push((Look::Second.class(), name.to_owned()));
            lines.push(Line {
                look: Look::Second,
                points: error(&|prediction| prediction.baselines.get(at).copied()),
            });
        }
        lines.push(Line {
            look: Look::Model,
            points: error(&|prediction| Some(prediction.forecast)),
        });
        let chart = Chart {
            size: (960, 260),
            lines,
            x_name: "rows ahead".to_owned(),
            y_name: "MAE".to_owned(),
            x_labels: super::chart::whole(1, horizon as u64, 12),
            from_zero: true,
            ..Chart::default()
        };
        Ok(Figure {
            title: format!("{}: error by distance", self.target.target),
            legend,
            svg: chart.svg()?,
            caption: String::new(),
        })
    }
}

/// The forecasts of each origin as a line of its own; one line where each is a single point.
fn pieces(
    found: &[(usize, &Prediction)],
    horizon: usize,
    look: Look,
    value: impl Fn(&Prediction) -> Option<f64>,
) -> Vec<Line> {
    let point = |(row, prediction): &(usize, &Prediction)| Some((*row as f64, value(prediction)?));
    let length = if horizon > 1 { horizon } else { found.len().max(1) };
    let line = |piece: &[(usize, &Prediction)]| Line {
        look,
        points: piece.iter().filter_map(point).collect(),
    };
    found.chunks(length).map(line).collect()
}
