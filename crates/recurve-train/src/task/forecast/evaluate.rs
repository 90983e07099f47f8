//! Measures forecasts over rolling origins, and calibrates intervals.
//!
//! Who makes the forecasts is not known here: one model, several whose forecasts are averaged, or a test.
//! The naive forecasts start from the same origins and know the same rows.
//!
//! Intervals are those of the distribution, or the forecast itself where there is none, widened until they
//! hold what came on the validation part: split conformal prediction with one margin for each step ahead
//! (Romano, Patterson, Candès 2019, equation 8). Margins of several series are in units of how much each
//! series varies, so that all series together calibrate.

use super::report::{
    BaselineReport, Coverage, ForecastReport, Interval, Prediction, Probability, Standardised,
    StepScores, TargetReport,
};
use super::view::{Origin, Outlook};
use crate::baseline::Naive;
use crate::data::{Panel, Part, Series, mean_and_deviation};
use crate::error::{Error, Result};
use crate::metrics::{Scores, crps, mase_scale, pinball};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Origins of the validation part that calibrate; of more, as many evenly.
const CALIBRATING: usize = 4096;

/// What share of what comes an interval is to hold where the distribution does not say.
const COVERAGE: f64 = 0.9;

/// Origins that are forecast at once.
const AT_ONCE: usize = 512;

/// Makes the forecasts from some origins.
pub(crate) type Ask<'a> = dyn FnMut(&[Origin]) -> Result<Vec<Outlook>> + 'a;

/// How forecasts are measured.
#[derive(Clone, Debug)]
pub(crate) struct How {
    /// Rows between origins.
    pub(crate) stride: usize,
    /// Rows before the first origin.
    pub(crate) needed: usize,
    /// The levels of the quantiles that come with the forecasts.
    pub(crate) levels: Vec<f64>,
    pub(crate) calibration: Option<Calibration>,
}

impl How {
    pub(crate) fn of(panel: &Panel, levels: &[f64]) -> Self {
        let plan = panel.plan();
        Self {
            stride: plan.stride(),
            needed: plan.rows_needed(),
            levels: levels.to_vec(),
            calibration: None,
        }
    }

    /// The share that the interval between two levels should hold, and the places of those levels.
    fn interval(&self) -> (f64, Option<(usize, usize)>) {
        let of = |level: f64| self.levels.iter().position(|l| (l - level).abs() < 1e-9);
        let edge = (1.0 - COVERAGE) / 2.0;
        match (of(edge), of(1.0 - edge)) {
            (Some(low), Some(high)) => (COVERAGE, Some((low, high))),
            _ if self.levels.len() > 1 => {
                let last = self.levels.len() - 1;
                (self.levels[last] - self.levels[0], Some((0, last)))
            }
            _ => (COVERAGE, None),
        }
    }

    /// The share that intervals should hold.
    pub(crate) fn nominal(&self) -> f64 {
        self.interval().0
    }

    /// The interval of a value before calibration.
    fn bounds(&self, outlook: &Outlook, value: usize) -> (f64, f64) {
        match self.interval().1 {
            Some((low, high)) => {
                let own = &outlook.quantiles[value * self.levels.len()..];
                (own[low], own[high])
            }
            None => (outlook.values[value], outlook.values[value]),
        }
    }

    /// The interval of a value as it is told, where there is one.
    pub(crate) fn told(
        &self,
        series: &Series,
        outlook: &Outlook,
        value: usize,
    ) -> Option<(f64, f64)> {
        let (low, high) = self.bounds(outlook, value);
        let target = value % series.plan().targets.len();
        match &self.calibration {
            Some(calibration) => {
                let margin = calibration.margins[value] * spread(series, target);
                // A margin below 0 must not turn the interval around.
                let middle = 0.5 * (low + high);
                Some(((low - margin).min(middle.max(low)), (high + margin).max(middle.min(high))))
            }
            None => self.interval().1.map(|_| (low, high)),
        }
    }
}

/// The margins of intervals, from the validation part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The share that intervals should hold.
    pub coverage: f64,
    /// Forecasts of each step that they come from.
    pub forecasts: usize,
    /// Forecasts that are needed for the share to be guaranteed; with fewer the margin is the largest error.
    pub needed: usize,
    /// What intervals are widened by, `[horizon, targets]`, in deviations of the training values of each series.
    pub margins: Vec<f64>,
}

/// How much the training values of a series vary.
fn spread(series: &Series, target: usize) -> f64 {
    let values = series.values(target);
    let train = match series.plan().split.train {
        0 => values.len(),
        train => train.min(values.len()),
    };
    let deviation = mean_and_deviation(&values[..train]).1;
    if deviation > 0.0 { deviation } else { 1.0 }
}

/// Margins from the validation part; none where it holds no whole horizon.
pub(crate) fn calibrate(
    panel: &Panel,
    how: &How,
    ask: &mut Ask<'_>,
) -> Result<Option<Calibration>> {
    let origins = panel.origins(Part::Validation, 1);
    let origins: Vec<Origin> =
        origins.into_iter().filter(|(_, origin)| *origin >= how.needed).collect();
    let origins = super::learner::thinned(origins, CALIBRATING);
    if origins.is_empty() {
        return Ok(None);
    }
    let (coverage, _) = how.interval();
    let targets = panel.plan().targets.len();
    let mut misses: Vec<Vec<f64>> = vec![Vec::new(); panel.plan().outputs()];
    for origins in origins.chunks(AT_ONCE) {
        for (&(which, origin), outlook) in origins.iter().zip(ask(origins)?) {
            let series = &panel.series()[which];
            let spreads: Vec<f64> = (0..targets).map(|target| spread(series, target)).collect();
            for (value, actual) in series.actual(origin).into_iter().enumerate() {
                if series.is_there(origin + value / targets, value % targets) {
                    let (low, high) = how.bounds(&outlook, value);
                    misses[value]
                        .push((low - actual).max(actual - high) / spreads[value % targets]);
                }
            }
        }
    }
    let forecasts = misses.iter().map(Vec::len).min().unwrap_or(0);
    if forecasts == 0 {
        return Ok(None);
    }
    let margin = |misses: &mut Vec<f64>| {
        misses.sort_unstable_by(f64::total_cmp);
        let rank = ((misses.len() + 1) as f64 * coverage).ceil() as usize;
        misses[rank.clamp(1, misses.len()) - 1]
    };
    let margins = misses.iter_mut().map(margin).collect();
    let needed = (coverage / (1.0 - coverage) - 1e-9).ceil() as usize;
    Ok(Some(Calibration { coverage, forecasts, needed, margins }))
}

/// Measures forecasts on a part of all series. Each series is forecast from origins `how.stride` apart, the
/// last of which ends with the part.
pub(crate) fn evaluate(
    panel: &Panel,
    part: Part,
    how: &How,
    ask: &mut Ask<'_>,
) -> Result<ForecastReport> {
    let plan = panel.plan();
    let mut tallies: Vec<Tally> = Vec::new();
    let (mut most, mut count) = (0, 0);
    let mut ends: Option<(String, String)> = None;
    for (which, series) in panel.series().iter().enumerate() {
        let rows = series.plan().split.range(part, series.rows());
        let (origins, room) = rolling(&rows, how, plan.horizon);
        most = most.max(room);
        let Some(first) = origins.first() else { continue };
        count += origins.len();
        let own = (time(series, *first), time(series, rows.end - 1));
        ends.get_or_insert(own);
        let found = Forecasts::ask(which, &origins, ask)?;
        for target in 0..plan.targets.len() {
            let tally = measure(series, target, (&origins, &found), how);
            match tallies.get_mut(target) {
                Some(before) => before.join(tally),
                None => tallies.push(tally),
            }
        }
    }
    let Some((first_time, last_time)) = ends else {
        return Err(Error::usage(format!(
            "{most} rows can be forecast, fewer than the horizon of {}; give more rows",
            plan.horizon
        )));
    };
    let mut report = ForecastReport {
        part: part.name().to_owned(),
        horizon: plan.horizon,
        stride: how.stride,
        series: panel.series().len(),
        origins: count,
        first_time,
        last_time,
        targets: Vec::new(),
        standardised: Standardised::default(),
        skills: Vec::new(),
        calibration: how.calibration.clone(),
        predictions: Vec::new(),
    };
    for (target, tally) in tallies.into_iter().enumerate() {
        tally.tell(&plan.targets[target].column, how, &mut report);
    }
    report.finish();
    Ok(report)
}

/// Origins within some rows, and rows that can be forecast.
fn rolling(rows: &Range<usize>, how: &How, horizon: usize) -> (Vec<usize>, usize) {
    let first = rows.start.max(how.needed);
    let room = rows.end.saturating_sub(first);
    if room < horizon {
        return (Vec::new(), room);
    }
    let first = first + (room - horizon) % how.stride;
    ((first..=rows.end - horizon).step_by(how.stride).collect(), room)
}

/// All forecasts of one series.
struct Forecasts {
    outlooks: Vec<Outlook>,
}

impl Forecasts {
    fn ask(which: usize, origins: &[usize], ask: &mut Ask<'_>) -> Result<Self> {
        let mut outlooks = Vec::with_capacity(origins.len());
        for origins in origins.chunks(AT_ONCE) {
            let origins: Vec<Origin> = origins.iter().map(|origin| (which, *origin)).collect();
            outlooks.extend(ask(&origins)?);
        }
        Ok(Self { outlooks })
    }
}

/// What is added up about one target, over the series.
#[derive(Default)]
struct Tally {
    model: Vec<(Scores, usize)>,
    /// Of each naive forecast that all series allow.
    naive: Vec<(&'static str, Vec<(Scores, usize)>)>,
    /// Sums of errors and squares, and their number, for each step.
    steps: Vec<(f64, f64, usize)>,
    /// Pinball loss and hits at each level, and the sum of CRPS.
    levels: Vec<(f64, usize)>,
    crps: f64,
    /// Hits and widths of the interval.
    inside: usize,
    width: f64,
    told: bool,
    standardised: (f64, f64),
    count: usize,
    predictions: Vec<Prediction>,
}

/// One target of one series at all origins.
fn measure(
    series: &Series,
    target: usize,
    (origins, found): (&[usize], &Forecasts),
    how: &How,
) -> Tally {
    let plan = series.plan();
    let (values, horizon, targets) = (series.values(target), plan.horizon, plan.targets.len());
    let train = match plan.split.train {
        0 => values,
        train => &values[..train.min(values.len())],
    };
    let scale = mase_scale(train, plan.season);
    let (spread, levels) = (spread(series, target), how.levels.len());
    let there = |at: usize| series.is_there(origins[at / horizon] + at % horizon, target);
    let all = 0..origins.len() * horizon;
    let kept: Vec<usize> = all.clone().filter(|at| there(*at)).collect();
    let actual: Vec<f64> =
        all.clone().map(|at| values[origins[at / horizon] + at % horizon]).collect();
    let forecast: Vec<f64> = all
        .map(|at| found.outlooks[at / horizon].values[at % horizon * targets + target])
        .collect();
    let only = |column: &[f64]| -> Vec<f64> { kept.iter().map(|&at| column[at]).collect() };
    let measured = only(&actual);
    let mut tally = Tally { count: kept.len(), ..Tally::default() };
    tally.steps = vec![(0.0, 0.0, 0); horizon];
    tally.levels = vec![(0.0, 0); levels];
    if kept.is_empty() {
        return tally;
    }
    tally.model.push((Scores::new(&only(&forecast), &measured, scale), kept.len()));
    let mut columns = Vec::new();
    for naive in Naive::all(train, plan.season) {
        if let Some(column) = naive.rolling(values, origins, horizon) {
            let scores = Scores::new(&only(&column), &measured, scale);
            tally.naive.push((naive.name(), vec![(scores, kept.len())]));
            columns.push(column);
        }
    }
    for &at in &kept {
        let (outlook, step) = (&found.outlooks[at / horizon], at % horizon);
        let (value, error) = (step * targets + target, forecast[at] - actual[at]);
        let sums = &mut tally.steps[step];
        *sums = (sums.0 + error.abs(), sums.1 + error * error, sums.2 + 1);
        tally.standardised.0 += (error / spread).powi(2);
        tally.standardised.1 += (error / spread).abs();
        if levels > 0 {
            let own = &outlook.quantiles[value * levels..][..levels];
            for ((sums, level), quantile) in tally.levels.iter_mut().zip(&how.levels).zip(own) {
                sums.0 += pinball(*level, *quantile, actual[at]);
                sums.1 += usize::from(actual[at] <= *quantile);
            }
            tally.crps += crps(&how.levels, own, actual[at]);
        }
        if let Some((low, high)) = how.told(series, outlook, value) {
            tally.told = true;
            tally.inside += usize::from((low..=high).contains(&actual[at]));
            tally.width += high - low;
        }
    }
    // One forecast of each row is told.
    let mut next = usize::MAX;
    let mut told: Vec<usize> = Vec::new();
    for (place, &origin) in origins.iter().enumerate().rev() {
        if origin.saturating_add(horizon) <= next {
            (next, _) = (origin, told.push(place));
        }
    }
    for place in told.into_iter().rev() {
        for step in 0..horizon {
            let at = place * horizon + step;
            let (origin, value) = (origins[place], step * targets + target);
            let bounds = how.told(series, &found.outlooks[place], value);
            tally.predictions.push(Prediction {
                series: series.name().map(str::to_owned),
                target: plan.targets[target].column.clone(),
                origin: time(series, origin),
                time: time(series, origin + step),
                step: step + 1,
                actual: if there(at) { actual[at] } else { f64::NAN },
                forecast: forecast[at],
                lower: bounds.map(|(low, _)| low),
                upper: bounds.map(|(_, high)| high),
                baselines: columns.iter().map(|column| column[at]).collect(),
            });
        }
    }
    tally
}

impl Tally {
    /// Adds another series.
    fn join(&mut self, mut other: Self) {
        if self.count == 0 {
            *self = other;
            return;
        }
        if other.count == 0 {
            return;
        }
        // A naive forecast that not all series allow cannot be compared with.
        let has = |tally: &Self, name: &str| tally.naive.iter().any(|(own, _)| *own == name);
        let shared: Vec<&str> = self.naive.iter().map(|(name, _)| *name).collect();
        let shared: Vec<&str> = shared.into_iter().filter(|name| has(&other, name)).collect();
        self.keep(&shared);
        other.keep(&shared);
        for ((_, scores), (_, own)) in self.naive.iter_mut().zip(other.naive) {
            scores.extend(own);
        }
        for (sums, own) in self.steps.iter_mut().zip(other.steps) {
            *sums = (sums.0 + own.0, sums.1 + own.1, sums.2 + own.2);
        }
        for (sums, own) in self.levels.iter_mut().zip(other.levels) {
            *sums = (sums.0 + own.0, sums.1 + own.1);
        }
        self.model.extend(other.model);
        self.predictions.extend(other.predictions);
        self.told |= other.told;
        self.crps += other.crps;
        self.inside += other.inside;
        self.width += other.width;
        self.standardised.0 += other.standardised.0;
        self.standardised.1 += other.standardised.1;
        self.count += other.count;
    }

    /// Leaves only these naive forecasts.
    fn keep(&mut self, names: &[&str]) {
        let places: Vec<usize> =
            (0..self.naive.len()).filter(|at| names.contains(&self.naive[*at].0)).collect();
        for prediction in &mut self.predictions {
            prediction.baselines = places.iter().map(|at| prediction.baselines[*at]).collect();
        }
        self.naive.retain(|(name, _)| names.contains(name));
    }

    /// Writes the scores of a target into a report.
    fn tell(self, target: &str, how: &How, report: &mut ForecastReport) {
        if self.count == 0 {
            return;
        }
        let (count, levels) = (self.count as f64, &how.levels);
        let baselines = self.naive.iter().map(|(name, scores)| BaselineReport {
            name: (*name).to_owned(),
            scores: Scores::over(scores),
        });
        let mut own = TargetReport::new(target, Scores::over(&self.model), baselines.collect());
        let step = |(at, sums): (usize, &(f64, f64, usize))| {
            let count = sums.2.max(1) as f64;
            StepScores { step: at + 1, mae: sums.0 / count, rmse: (sums.1 / count).sqrt() }
        };
        own.steps = self.steps.iter().enumerate().map(step).collect();
        own.probability = (!levels.is_empty()).then(|| {
            let pinball = self.levels.iter().map(|(loss, _)| loss / count).sum::<f64>();
            let found = |level: f64| {
                let at = levels.iter().position(|own| (own - level).abs() < 1e-9)?;
                Some(self.levels[at].1 as f64 / count)
            };
            let central = levels.iter().filter(|level| **level < 0.5).filter_map(|low| {
                let share = found(1.0 - low)? - found(*low)?;
                Some(Coverage { nominal: 1.0 - 2.0 * low, found: share })
            });
            Probability {
                crps: self.crps / count,
                pinball: pinball / levels.len() as f64,
                coverage: central.collect(),
            }
        });
        own.interval = self.told.then(|| Interval {
            nominal: how.interval().0,
            found: self.inside as f64 / count,
            width: self.width / count,
            calibrated: how.calibration.is_some(),
        });
        report.standardised.mse += self.standardised.0 / count;
        report.standardised.mae += self.standardised.1 / count;
        report.targets.push(own);
        report.predictions.extend(self.predictions);
    }
}

/// The time of a row in words.
pub(crate) fn time(series: &Series, row: usize) -> String {
    series.time(row).unwrap_or_else(|| format!("row {}", row + 1))
}
