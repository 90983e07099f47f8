//! Naive forecasts and naive text models: what a trained model must beat to be worth its training.
//!
//! The forecasts are made at every origin from the true values before it, as the model's are, so the
//! two are measured on the same rows with the same knowledge (Hyndman, Athanasopoulos, "Forecasting:
//! Principles and Practice", section 5.2). The text models count: how often each token stands in the
//! training text (unigram), and after each token (bigram).

mod smoothing;

pub use smoothing::Smoothing;

/// A naive forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Naive {
    /// The last value again.
    Last,
    /// The value one season before, for a season of this many rows.
    Seasonal(usize),
    /// The value one season before, grown once for every season that lies between.
    SeasonalGrowth {
        /// Rows in a season.
        season: usize,
        /// What one season adds.
        growth: Growth,
    },
    /// The straight line through the first and the last value.
    Drift,
    /// The mean of all values so far.
    Mean,
    /// Exponential smoothing.
    Smoothing(Smoothing),
}

/// How values change from one season to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// They are multiplied by this.
    Times(f64),
    /// This is added.
    Plus(f64),
}

impl Growth {
    /// The mean growth within the training values: the geometric mean of the ratios where all values
    /// are above zero, else the mean of the differences. `None` with less than a season to compare.
    pub fn of(train: &[f64], season: usize) -> Option<Self> {
        let pairs = train.len().checked_sub(season).filter(|pairs| *pairs > 0)?;
        let changes = |level: &dyn Fn(f64) -> f64| {
            let now_and_then = train[season..].iter().zip(train);
            let sum: f64 = now_and_then.map(|(&now, &then)| level(now) - level(then)).sum();
            sum / pairs as f64
        };
        Some(if train.iter().all(|&value| value > 0.0) {
            Self::Times(changes(&f64::ln).exp())
        } else {
            Self::Plus(changes(&|value| value))
        })
    }

    fn grow(self, value: f64, seasons: usize) -> f64 {
        match self {
            Self::Times(factor) => value * factor.powi(seasons as i32),
            Self::Plus(change) => value + change * seasons as f64,
        }
    }
}

impl Naive {
    /// The name of the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "naive",
            Self::Seasonal(_) => "seasonal naive",
            Self::SeasonalGrowth { .. } => "seasonal naive with growth",
            Self::Drift => "drift",
            Self::Mean => "mean",
            Self::Smoothing(smoothing) => smoothing.name(),
        }
    }

    /// The methods that make sense after these training values, with a season of `season` rows; 1
    /// means none.
    pub fn all(train: &[f64], season: usize) -> Vec<Self> {
        let mut all = vec![Self::Last];
        if season > 1 {
            all.push(Self::Seasonal(season));
            let growth = Growth::of(train, season);
            all.extend(growth.map(|growth| Self::SeasonalGrowth { season, growth }));
        }
        all.extend([Self::Drift, Self::Mean]);
        let smoothing = [Smoothing::simple(train), Smoothing::holt_winters(train, season.max(1))];
        all.extend(smoothing.into_iter().flatten().map(Self::Smoothing));
        all
    }

    /// The values before an origin that this method needs.
    pub fn needs(self) -> usize {
        match self {
            Self::Last | Self::Mean => 1,
            Self::Seasonal(season) | Self::SeasonalGrowth { season, .. } => season.max(1),
            Self::Drift => 2,
            Self::Smoothing(smoothing) => smoothing.needs(),
        }
    }

    /// The next `horizon` values after `history`, which holds at least [`needs`](Self::needs).
    pub fn forecast(self, history: &[f64], horizon: usize) -> Vec<f64> {
        let rows = history.len();
        let last = history[rows - 1];
        match self {
            Self::Last => vec![last; horizon],
            Self::Seasonal(season) => {
                let season = season.max(1);
                (0..horizon).map(|step| history[rows - season + step % season]).collect()
            }
            Self::SeasonalGrowth { season, growth } => {
                let season = season.max(1);
                (0..horizon)
                    .map(|step| {
                        let before = history[rows - season + step % season];
                        growth.grow(before, step / season + 1)
                    })
                    .collect()
            }
            Self::Drift => {
                let slope = (last - history[0]) / (rows - 1) as f64;
                (1..=horizon).map(|step| last + slope * step as f64).collect()
            }
            Self::Mean => vec![history.iter().sum::<f64>() / rows as f64; horizon],
            Self::Smoothing(smoothing) => smoothing.rolling(history, &[rows], horizon),
        }
    }

    /// Forecasts at rolling origins, laid end to end: `[origins, horizon]`. `None` where the first
    /// origin has too little history.
    pub fn rolling(self, values: &[f64], origins: &[usize], horizon: usize) -> Option<Vec<f64>> {
        if origins.iter().any(|&origin| origin < self.needs()) {
            return None;
        }
        if let Self::Smoothing(smoothing) = self {
            return Some(smoothing.rolling(values, origins, horizon));
        }
        let forecast = |&origin: &usize| self.forecast(&values[..origin], horizon);
        Some(origins.iter().flat_map(forecast).collect())
    }
}

/// Added to every count by default (Krichevsky, Trofimov 1981), so that what was never seen keeps
/// some probability.
pub const ADDED_COUNT: f64 = 0.5;

/// Mean cross-entropy in nats per token of `test` under the token frequencies of `train`,
/// `p(t) = (count(t) + added) / (tokens + added * vocabulary)`. `None` where `test` is empty.
pub fn unigram(train: &[u32], test: &[u32], vocabulary: usize, added: f64) -> Option<f64> {
    let mut counts = vec![0_u64; vocabulary];
    for &token in train {
        counts[token as usize] += 1;
    }
    let total = train.len() as f64 + added * vocabulary as f64;
    let nats = |&token: &u32| -((counts[token as usize] as f64 + added) / total).ln();
    mean(test.iter().map(nats))
}

/// Mean cross-entropy in nats per token of `test` after its first token, under the pairs of `train`,
/// `p(t | s) = (count(s,t) + added) / (count(s) + added * vocabulary)`. `None` where `test` has
/// fewer than two tokens.
pub fn bigram(train: &[u32], test: &[u32], vocabulary: usize, added: f64) -> Option<f64> {
    let mut pairs: Vec<u64> = train.windows(2).map(key).collect();
    pairs.sort_unstable();
    let mut counts = vec![0_u64; vocabulary];
    for pair in train.windows(2) {
        counts[pair[0] as usize] += 1;
    }
    let nats = |pair: &[u32]| {
        let wanted = key(pair);
        let after = pairs.partition_point(|&pair| pair <= wanted);
        let seen = after - pairs.partition_point(|&pair| pair < wanted);
        let total = counts[pair[0] as usize] as f64 + added * vocabulary as f64;
        -((seen as f64 + added) / total).ln()
    };
    mean(test.windows(2).map(nats))
}

/// Two tokens as one number, in their order.
fn key(pair: &[u32]) -> u64 {
    u64::from(pair[0]) << 32 | u64::from(pair[1])
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_by_hand() {
        let history = [1.0, 2.0, 3.0, 7.0];
        assert_eq!(Naive::Last.forecast(&history, 2), [7.0, 7.0]);
        assert_eq!(Naive::Seasonal(2).forecast(&history, 3), [3.0, 7.0, 3.0]);
        assert_eq!(Naive::Drift.forecast(&history, 2), [9.0, 11.0]);
        assert_eq!(Naive::Mean.forecast(&history, 1), [3.25]);
        assert_eq!(Naive::Last.rolling(&history, &[1, 3], 1).unwrap(), [1.0, 3.0]);
        assert_eq!(Naive::Seasonal(2).rolling(&history, &[1, 3], 1), None);
        assert_eq!(Naive::all(&[1.0; 30], 12).len(), 7);
        assert_eq!(Naive::all(&[1.0; 9], 12).len(), 5);
        assert!(!Naive::all(&history, 1).contains(&Naive::Seasonal(1)));
    }

    #[test]
    fn seasonal_growth_by_hand() {
        // Doubled every season of two.
        let history = [1.0, 3.0, 2.0, 6.0];
        let growth = Growth::of(&history, 2).unwrap();
        assert!(matches!(growth, Growth::Times(factor) if (factor - 2.0).abs() < 1e-12));
        let naive = Naive::SeasonalGrowth { season: 2, growth };
        for (forecast, expected) in naive.forecast(&history, 3).iter().zip([4.0, 12.0, 8.0]) {
            assert!((forecast - expected).abs() < 1e-9);
        }
        // A value that is not above zero makes it a sum.
        let growth = Growth::of(&[0.0, 3.0, 2.0, 6.0], 2).unwrap();
        assert_eq!(growth, Growth::Plus(2.5));
        let naive = Naive::SeasonalGrowth { season: 2, growth };
        assert_eq!(naive.forecast(&[2.0, 6.0], 3), [4.5, 8.5, 7.0]);
        assert_eq!(Growth::of(&[1.0, 2.0], 2), None);
    }

    #[test]
    fn cross_entropies_by_hand() {
        // Training: 0 0 1; pairs 00, 01.
        let one = unigram(&[0, 0, 1], &[0, 1], 2, 1.0).unwrap();
        assert!((one + ((3.0_f64 / 5.0).ln() + (2.0_f64 / 5.0).ln()) / 2.0).abs() < 1e-12);
        let two = bigram(&[0, 0, 1], &[0, 1, 1], 2, 1.0).unwrap();
        assert!((two + ((2.0_f64 / 4.0).ln() + (1.0_f64 / 2.0).ln()) / 2.0).abs() < 1e-12);
        assert_eq!(bigram(&[0, 0], &[0], 1, 1.0), None);
        assert_eq!(unigram(&[0, 0], &[], 1, 1.0), None);
    }
}
