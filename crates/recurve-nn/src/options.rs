//! What happens in the steps of a layer besides its cell, and which of it goes with which cells; what does
//! not is refused by name.

use crate::description::{CellKind, Recurrent};
use crate::error::{Error, Result};
use crate::layers::Shape;

use CellKind::{Gru, Lstm, LstmCoupled, LstmCoupledPeephole, LstmPeephole, RnnRelu, RnnTanh};

impl Recurrent {
    /// The same with its memory in `heads` parts.
    #[must_use]
    pub fn heads(self, heads: usize) -> Self {
        Self { heads, ..self }
    }
    /// The sizes of a layer whose memory is a matrix, if this is one.
    pub(crate) fn matrix_memory(&self, input: usize) -> Option<Shape> {
        let exponential = match self.cell {
            CellKind::Mlstm => false,
            CellKind::MlstmExponential => true,
            _ => return None,
        };
        Some(Shape { input, hidden: self.hidden, heads: self.heads, exponential })
    }
    /// The same with its outputs projected to `width` values.
    #[must_use]
    pub fn projection(self, width: usize) -> Self {
        Self { projection: Some(width), ..self }
    }
    /// The same with layer normalisation in its steps.
    #[must_use]
    pub fn layer_norm(self) -> Self {
        Self { layer_norm: true, ..self }
    }
    /// Values per step of the output of a layer and direction: `H`, or what it is projected to.
    pub fn output(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }
    /// Whether its layers are other than plain ones, of which a step is products and a cell.
    pub fn has_stages(&self) -> bool {
        self.is_staged() || self.matrix_memory(0).is_some()
    }
    /// Whether more happens in a step than products and a cell.
    pub(crate) fn is_staged(&self) -> bool {
        self.is_staged_in_inference()
            || self.recurrent_dropout > 0.0
            || self.candidate_dropout > 0.0
    }
    /// The same when nothing is dropped.
    pub(crate) fn is_staged_in_inference(&self) -> bool {
        self.projection.is_some()
            || self.layer_norm
            || self.gate_recurrence
            || self.zoneout > 0.0
            || self.zoneout_cell > 0.0
    }
}

/// LSTMs with a memory and an output gate: what can be projected, clipped or cut in two.
const LSTMS: &[CellKind] = &[Lstm, LstmPeephole, LstmCoupled, LstmCoupledPeephole];
/// The cells in whose steps something may happen besides.
const STAGED: &[CellKind] =
    &[RnnTanh, RnnRelu, Lstm, LstmPeephole, LstmCoupled, LstmCoupledPeephole, Gru];
const GATED: &[CellKind] = &[Lstm, LstmPeephole, LstmCoupled, LstmCoupledPeephole, Gru];

/// Refuses options that are out of range or that the cell cannot have.
pub(crate) fn check(stack: &Recurrent) -> Result<()> {
    heads(stack)?;
    let cells = [
        ("projection", stack.projection.is_some(), LSTMS),
        ("layer_norm", stack.layer_norm, STAGED),
        ("gate_recurrence", stack.gate_recurrence, &[Lstm, LstmPeephole]),
        ("zoneout", stack.zoneout > 0.0, STAGED),
        ("zoneout_cell", stack.zoneout_cell > 0.0, LSTMS),
        ("recurrent_dropout", stack.recurrent_dropout > 0.0, STAGED),
        ("candidate_dropout", stack.candidate_dropout > 0.0, GATED),
    ];
    for (option, wanted, cells) in cells {
        if wanted && !cells.contains(&stack.cell) {
            let names: Vec<&str> = cells.iter().map(|cell| cell.name()).collect();
            let (cell, names) = (stack.cell.name(), names.join(", "));
            return Err(Error::new(format!(
                "{option} with the cell {cell}: not available; it goes with {names}"
            )));
        }
    }
    if stack.projection_clip.is_some() && stack.projection.is_none() {
        return Err(Error::new("projection_clip without a projection; set projection too"));
    }
    if stack.projection.is_some_and(|width| width == 0 || width > stack.hidden) {
        let (width, hidden) = (stack.output(), stack.hidden);
        return Err(Error::new(format!(
            "a projection of {hidden} units to {width} values; it must be from 1 to {hidden}"
        )));
    }
    if let Some(clip) = stack.projection_clip.filter(|clip| !(clip.is_finite() && *clip > 0.0)) {
        let text = format!("projection_clip is {clip}; it must be a number above 0");
        return Err(Error::new(text));
    }
    rates(stack)?;
    together(stack)
}

fn heads(stack: &Recurrent) -> Result<()> {
    let (cell, heads, hidden) = (stack.cell.name(), stack.heads, stack.hidden);
    if stack.matrix_memory(0).is_none() && heads != 1 {
        let text = format!("{heads} heads of the cell {cell}; only an mlstm has heads");
        return Err(Error::new(text));
    }
    if heads == 0 || !hidden.is_multiple_of(heads) {
        return Err(Error::new(format!(
            "{heads} heads of {hidden} units; the units are shared out evenly among the heads"
        )));
    }
    Ok(())
}

fn rates(stack: &Recurrent) -> Result<()> {
    let rates = [
        ("zoneout", stack.zoneout),
        ("zoneout_cell", stack.zoneout_cell),
        ("recurrent_dropout", stack.recurrent_dropout),
        ("candidate_dropout", stack.candidate_dropout),
    ];
    match rates.into_iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
        Some((option, rate)) => {
            Err(Error::new(format!("{option} is {rate}; it must be at least 0 and less than 1")))
        }
        None => Ok(()),
    }
}

/// Refuses options that do not go together.
fn together(stack: &Recurrent) -> Result<()> {
    let stages = [
        ("projection", stack.projection.is_some()),
        ("layer_norm", stack.layer_norm),
        ("gate_recurrence", stack.gate_recurrence),
        ("zoneout", stack.zoneout > 0.0),
        ("zoneout_cell", stack.zoneout_cell > 0.0),
        ("recurrent_dropout", stack.recurrent_dropout > 0.0),
        ("candidate_dropout", stack.candidate_dropout > 0.0),
    ];
    if let Some((option, _)) =
        stages.into_iter().find(|(_, wanted)| *wanted && stack.weight_dropout > 0.0)
    {
        return Err(Error::new(format!(
            "weight_dropout with {option}: not available; leave out one of the two"
        )));
    }
    let chosen = stack.activations.is_some() || stack.clip_sums.is_some();
    let own = [
        ("layer_norm", stack.layer_norm),
        ("candidate_dropout", stack.candidate_dropout > 0.0),
        ("gate_recurrence", stack.gate_recurrence),
    ];
    if let Some((option, _)) = own.into_iter().find(|(_, wanted)| *wanted && chosen) {
        return Err(Error::new(format!(
            "{option} with activations or clip_sums of one's choice: not available; leave out one of the two"
        )));
    }
    let others =
        [("layer_norm", stack.layer_norm), ("candidate_dropout", stack.candidate_dropout > 0.0)];
    match others.into_iter().find(|(_, wanted)| stack.gate_recurrence && *wanted) {
        Some((option, _)) => Err(Error::new(format!(
            "gate_recurrence with {option}: not available; leave out one of the two"
        ))),
        None => Ok(()),
    }
}
