//! Exponential smoothing: the classical forecasts that a network must beat on one series.
//!
//! Level, damped trend and additive season are running means; what each new value weighs is fitted to the
//! training values by the one-step errors (Gardner 1985; Hyndman, Athanasopoulos, "Forecasting: Principles
//! and Practice", chapter 8). One pass over a series gives the forecasts at all its origins.

use std::ops::Range;

/// What is left of a trend after each step.
const DAMPING: f64 = 0.98;

/// Smoothing with fitted weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    season: usize,
    /// The weights of a new value in level, trend and season; no trend or season where they are 0.
    weights: [f64; 3],
    trend: bool,
}

/// Where the components stand.
struct Components {
    level: f64,
    slope: f64,
    season: Vec<f64>,
}

impl Smoothing {
    /// A level alone.
    pub fn simple(train: &[f64]) -> Option<Self> {
        Self::fit(train, 1, false)
    }

    /// A level and a trend, and a season where it is longer than 1 (Holt, Winters).
    pub fn holt_winters(train: &[f64], season: usize) -> Option<Self> {
        Self::fit(train, season, true)
    }

    /// The name of the method.
    pub fn name(self) -> &'static str {
        match (self.trend, self.season > 1) {
            (_, true) => "Holt-Winters",
            (true, false) => "Holt",
            (false, false) => "simple smoothing",
        }
    }

    /// The values before the first forecast.
    pub fn needs(self) -> usize {
        2 * self.season
    }

    fn fit(train: &[f64], season: usize, trend: bool) -> Option<Self> {
        let free = [true, trend, season > 1];
        let mut best = Self { season, weights: [0.0; 3], trend };
        if train.len() < 2 * season + 2 {
            return None;
        }
        best.weights = [0.3, 0.05, 0.1];
        for (weight, free) in best.weights.iter_mut().zip(free) {
            *weight = if free { *weight } else { 0.0 };
        }
        let mut least = best.error(train);
        // Each weight in turn, in steps that shrink: the error has one valley in practice.
        let mut step = 0.3;
        while step > 0.005 {
            let mut better = false;
            for at in (0..3).filter(|at| free[*at]) {
                for change in [step, -step] {
                    let mut other = best;
                    other.weights[at] = (other.weights[at] + change).clamp(0.001, 0.999);
                    let error = other.error(train);
                    if error < least {
                        (best, least, better) = (other, error, true);
                    }
                }
            }
            if !better {
                step /= 2.0;
            }
        }
        least.is_finite().then_some(best)
    }

    /// The mean square of the one-step errors, after the first season.
    fn error(self, values: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.pass(values, |at, components| {
            if let Some(value) = values.get(at).filter(|_| at >= self.season) {
                sum += (value - components.ahead(at, 0)).powi(2);
            }
        });
        sum
    }

    /// Goes over the values; `visit` sees the components before each value, and after the last.
    fn pass(self, values: &[f64], mut visit: impl FnMut(usize, &Components)) {
        let [alpha, beta, gamma] = self.weights;
        let mut now = self.begin(values);
        for (at, value) in values.iter().enumerate() {
            visit(at, &now);
            let place = at % self.season;
            let season = now.season[place];
            let before = now.level + DAMPING * now.slope;
            let level = alpha * (value - season) + (1.0 - alpha) * before;
            now.slope = beta * (level - now.level) + (1.0 - beta) * DAMPING * now.slope;
            now.season[place] = gamma * (value - before) + (1.0 - gamma) * season;
            now.level = level;
        }
        visit(values.len(), &now);
    }

    fn begin(self, values: &[f64]) -> Components {
        let seasons = self.season.min(values.len()).max(1);
        let mean = |range: Range<usize>| {
            let own = &values[range];
            own.iter().sum::<f64>() / own.len().max(1) as f64
        };
        let level = mean(0..seasons);
        let slope = match values.len() >= 2 * seasons && self.trend {
            true => (mean(seasons..2 * seasons) - level) / seasons as f64,
            false => 0.0,
        };
        let season = match self.season {
            1 => vec![0.0],
            _ => values[..seasons].iter().map(|value| value - level).collect(),
        };
        Components { level, slope, season }
    }

    /// Forecasts at rolling origins, laid end to end: `[origins, horizon]`.
    pub fn rolling(self, values: &[f64], origins: &[usize], horizon: usize) -> Vec<f64> {
        let mut forecasts = Vec::with_capacity(origins.len() * horizon);
        let last = origins.last().copied().unwrap_or(0);
        let mut left = origins.iter().peekable();
        self.pass(&values[..last], |at, components| {
            if left.next_if(|origin| **origin == at).is_some() {
                forecasts.extend((0..horizon).map(|step| components.ahead(at, step)));
            }
        });
        forecasts
    }
}

impl Components {
    /// The forecast of row `origin + step`.
    fn ahead(&self, origin: usize, step: usize) -> f64 {
        let sum = DAMPING * (1.0 - DAMPING.powi(step as i32 + 1)) / (1.0 - DAMPING);
        self.level + sum * self.slope + self.season[(origin + step) % self.season.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_on_a_level_is_found_and_a_step_is_followed() {
        let values: Vec<f64> = (0..60).map(|row| 10.0 + [0.0, 3.0, -3.0, 1.0][row % 4]).collect();
        let winters = Smoothing::holt_winters(&values, 4).unwrap();
        let found = winters.rolling(&values, &[40, 60], 4);
        for (found, row) in found.iter().zip([40, 41, 42, 43, 60, 61, 62, 63]) {
            assert!((found - (10.0 + [0.0, 3.0, -3.0, 1.0][row % 4])).abs() < 1e-6, "{found}");
        }
        let step: Vec<f64> = (0..40).map(|row| if row < 20 { 1.0 } else { 5.0 }).collect();
        let simple = Smoothing::simple(&step).unwrap();
        assert!(simple.weights[0] > 0.9, "{simple:?}");
        assert!((simple.rolling(&step, &[40], 1)[0] - 5.0).abs() < 1e-3);
        let line: Vec<f64> = (0..40).map(f64::from).collect();
        let holt = Smoothing::holt_winters(&line, 1).unwrap();
        assert!((holt.rolling(&line, &[40], 1)[0] - 40.0).abs() < 0.5);
        assert_eq!(Smoothing::holt_winters(&line[..9], 4), None);
        assert_eq!(
            (holt.name(), simple.name(), winters.name()),
            ("Holt", "simple smoothing", "Holt-Winters")
        );
    }
}
