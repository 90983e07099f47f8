//! What the page asks for, as it comes in. A field that nobody knows is refused.

use crate::edit::Edit;
use recurve_train::task::Change;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskTrace {
    pub(crate) text: Option<String>,
    pub(crate) from: Option<usize>,
    pub(crate) count: Option<usize>,
    pub(crate) series: Option<usize>,
    /// The weights after this epoch, where they were kept.
    pub(crate) epoch: Option<u64>,
    #[serde(default)]
    pub(crate) edits: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskSaturation {
    /// The trace whose piece is read again.
    pub(crate) trace: String,
    pub(crate) epoch: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskPlane {
    pub(crate) trace: String,
    pub(crate) part: usize,
    pub(crate) plane: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskPairs {
    pub(crate) trace: String,
    pub(crate) step: usize,
    pub(crate) back: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskLoss {
    pub(crate) edits: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskUnits {
    pub(crate) part: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskSample {
    pub(crate) prompt: String,
    pub(crate) length: usize,
    pub(crate) temperature: f64,
    #[serde(default)]
    pub(crate) top_k: usize,
    #[serde(default = "one")]
    pub(crate) top_p: f64,
    pub(crate) seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskAnswer {
    pub(crate) trace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskWhatIf {
    pub(crate) trace: String,
    pub(crate) changes: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskNamed {
    pub(crate) id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskLog {
    pub(crate) after: u64,
}

fn one() -> f64 {
    1.0
}
