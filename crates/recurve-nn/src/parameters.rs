//! All weights of a model in one flat buffer, with a name and a shape for each part.

use crate::cells;
use crate::description::{
    Bias, CellKind, Connection, Description, Initial, InputKind, Layer, Pooling, Positions,
    Recurrent, Tcn, Transformer, of_letters,
};
use crate::error::{Error, Result};
use crate::layers::Shape;
use recurve_kernels::{Buffer, Element};
use std::ops::Range;

/// What a part of the parameters is for; initialisation and weight decay depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A vector per token.
    Embedding,
    /// Input weights of a cell: `[G*H, I]`.
    InputWeights(CellKind),
    /// Recurrent weights of a cell, of the gates that have them: `[G*H, H]`.
    RecurrentWeights(CellKind),
    /// Bias of the input product of a cell: `[G*H]`.
    InputBias(CellKind),
    /// Bias of the recurrent product of a cell: `[G*H]`.
    RecurrentBias(CellKind),
    /// Weights that a unit has for itself alone, such as peepholes: `[P, H]`.
    Peepholes(CellKind),
    /// Weights of gates that are fed back: `[3*H, 3*H]`.
    GateWeights,
    /// What the output of a recurrent layer is multiplied by: `[P, H]`.
    Projection,
    /// Weights of the input and forget gates of heads: `[2*heads, I]`.
    HeadWeights,
    /// Bias of the input and forget gates of heads: `[2*heads]`.
    HeadBias,
    /// Weights of a linear layer: `[outputs, inputs]`.
    LinearWeights,
    /// Bias of a linear layer.
    LinearBias,
    /// Gain of a normalisation.
    Gain,
    /// Shift of a normalisation.
    Shift,
    /// Bias of the gate that lets a layer's output pass beside its input: `[W]`. Where it is well below
    /// 0, a deep stack starts as a shallow one.
    HighwayBias,
    /// The states before the first step of a layer and direction: `[states, H]`.
    InitialState,
}

/// The entry of the vectors of tokens, which a tied output shares.
pub(crate) const EMBEDDING: &str = "0.embedding.weight";

/// One named part of the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, such as `1.recurrent.0.forward.w`: the layer of the model, its kind, the layer of
    /// the stack, the direction, the weights.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Where it lies in the buffer.
    pub range: Range<usize>,
    /// What it is for.
    pub role: Role,
}

/// Names, shapes and places of all parameters of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    entries: Vec<Entry>,
}

impl Entries {
    /// The entries of a model.
    ///
    /// # Errors
    /// Where the description is not sound.
    pub fn of(description: &Description) -> Result<Self> {
        let widths = description.widths()?;
        if let Some(pair) = description.seq2seq() {
            return Self::of_seq2seq(&pair);
        }
        let mut to = Self { entries: vec![] };
        for (at, layer) in description.layers.iter().enumerate() {
            let (input, output) = (widths[at], widths[at + 1]);
            match layer {
                Layer::Embedding { width, .. } => {
                    let InputKind::Tokens { vocabulary } = description.input else {
                        continue;
                    };
                    to.add(
                        format!("{at}.embedding.weight"),
                        &[vocabulary, *width],
                        Role::Embedding,
                    )?;
                }
                Layer::Recurrent(stack) => to.add_stack(at, stack, input)?,
                Layer::LayerNorm => {
                    to.add_norm(&format!("{at}.layer-norm"), output)?;
                }
                Layer::Linear { outputs } => {
                    to.add_linear(&format!("{at}.linear"), input, *outputs)?;
                }
                Layer::Tied => {
                    to.add(format!("{at}.tied.bias"), &[output], Role::LinearBias)?;
                }
                Layer::Tcn(tcn) => to.add_tcn(at, tcn, input)?,
                Layer::Transformer(transformer) => to.add_transformer(at, transformer, input)?,
                Layer::Attention(_) => to.add_attention(&format!("{at}.attention"), input)?,
                Layer::Pool { by: Pooling::Attention } => {
                    to.add_linear(&format!("{at}.pool"), input, input)?;
                    to.add(format!("{at}.pool.query"), &[1, input], Role::LinearWeights)?;
                }
                Layer::Words { width, letter_width, letter_hidden } => {
                    let InputKind::Words { vocabulary, letters } = description.input else {
                        continue;
                    };
                    let name = format!("{at}.words.weight");
                    to.add(name, &[vocabulary, *width], Role::Embedding)?;
                    if *letter_hidden > 0 {
                        let inner = of_letters(letters, *letter_width, *letter_hidden);
                        for entry in Self::of(&inner)?.iter() {
                            let name = format!("{at}.words.letters.{}", entry.name);
                            to.add(name, &entry.shape, entry.role)?;
                        }
                    }
                }
                Layer::Transitions => {
                    let shape = [output + 2, output];
                    to.add(format!("{at}.transitions.weight"), &shape, Role::LinearBias)?;
                }
                Layer::Dropout { .. } | Layer::Pool { .. } | Layer::Decoder(_) => {}
            }
        }
        Ok(to)
    }

    fn add_stack(&mut self, at: usize, stack: &Recurrent, input: usize) -> Result<()> {
        for layer in 0..stack.layers {
            let input = stack.layer_input(layer, input);
            for direction in &["forward", "reverse"][..stack.directions()] {
                let prefix = format!("{at}.recurrent.{layer}.{direction}");
                let name = |weights: &str| format!("{prefix}.{weights}");
                match stack.matrix_memory(input) {
                    Some(shape) => self.add_matrix(&name, stack, shape)?,
                    None => self.add_cell(&name, stack, input)?,
                }
                if stack.initial == Initial::Learned {
                    let (states, hidden) = (cells::memory(stack) / stack.hidden, stack.hidden);
                    let all = stack.output() + cells::memory(stack);
                    // One row per state, where states are of one width.
                    let regular = [states + 1, hidden];
                    let shape = if regular[0] * hidden == all { &regular[..] } else { &[all] };
                    self.add(name("initial"), shape, Role::InitialState)?;
                }
            }
            if stack.connection == Connection::Highway && layer > 0 {
                let (name, width) =
                    (format!("{at}.recurrent.{layer}.highway"), stack.layer_width());
                self.add(format!("{name}.weight"), &[width, width], Role::LinearWeights)?;
                self.add(format!("{name}.bias"), &[width], Role::HighwayBias)?;
            }
        }
        Ok(())
    }

    fn add_cell(
        &mut self,
        name: &dyn Fn(&str) -> String,
        stack: &Recurrent,
        input: usize,
    ) -> Result<()> {
        let (cell, hidden, sizes) = (stack.cell, stack.hidden, cells::sizes(stack));
        let (rows, recurrent) = (sizes.gates * hidden, sizes.recurrent_gates * hidden);
        self.add(name("w"), &[rows, input], Role::InputWeights(cell))?;
        if recurrent > 0 {
            self.add(name("r"), &[recurrent, stack.output()], Role::RecurrentWeights(cell))?;
        }
        if stack.bias != Bias::None {
            self.add(name("b"), &[rows], Role::InputBias(cell))?;
        }
        if stack.bias == Bias::Two && recurrent > 0 {
            self.add(name("b_r"), &[recurrent], Role::RecurrentBias(cell))?;
        }
        if sizes.peepholes > 0 {
            self.add(name("p"), &[sizes.peepholes, hidden], Role::Peepholes(cell))?;
        }
        if stack.gate_recurrence {
            // Rows and columns: input, forget and output gates.
            self.add(name("r_gates"), &[3 * hidden, 3 * hidden], Role::GateWeights)?;
        }
        if let Some(width) = stack.projection {
            self.add(name("projection"), &[width, hidden], Role::Projection)?;
        }
        if stack.layer_norm {
            self.add(name("gain_w"), &[rows], Role::Gain)?;
            self.add(name("gain_r"), &[recurrent], Role::Gain)?;
            if sizes.states > 1 {
                self.add(name("gain_c"), &[hidden], Role::Gain)?;
                self.add(name("shift_c"), &[hidden], Role::Shift)?;
            }
        }
        Ok(())
    }

    /// Rows of `w` and `b`: queries, keys, values, output gates; of `w_gates` and `b_gates`: the input gate of
    /// each head, then the forget gates.
    fn add_matrix(
        &mut self,
        name: &dyn Fn(&str) -> String,
        stack: &Recurrent,
        shape: Shape,
    ) -> Result<()> {
        let (cell, rows, gates) = (stack.cell, 4 * stack.hidden, 2 * shape.heads);
        self.add(name("w"), &[rows, shape.input], Role::InputWeights(cell))?;
        self.add(name("w_gates"), &[gates, shape.input], Role::HeadWeights)?;
        if stack.bias != Bias::None {
            self.add(name("b"), &[rows], Role::InputBias(cell))?;
            self.add(name("b_gates"), &[gates], Role::HeadBias)?;
        }
        Ok(())
    }

    fn add_tcn(&mut self, at: usize, tcn: &Tcn, input: usize) -> Result<()> {
        for block in 0..tcn.blocks {
            let input = if block == 0 { input } else { tcn.channels };
            for (which, input) in [input, tcn.channels].into_iter().enumerate() {
                let name = |weights: &str| format!("{at}.tcn.{block}.{which}.{weights}");
                let shape = [tcn.channels, tcn.kernel.saturating_mul(input)];
                self.add(name("weight"), &shape, Role::LinearWeights)?;
                if tcn.weight_norm {
                    self.add(name("gain"), &[tcn.channels], Role::Gain)?;
                }
                self.add(name("bias"), &[tcn.channels], Role::LinearBias)?;
            }
            if input != tcn.channels {
                self.add_linear(&format!("{at}.tcn.{block}.beside"), input, tcn.channels)?;
            }
        }
        Ok(())
    }

    fn add_transformer(&mut self, at: usize, layer: &Transformer, width: usize) -> Result<()> {
        let name = |part: String| format!("{at}.transformer.{part}");
        if let Positions::Learned { most } = layer.positions {
            self.add(name("positions".to_owned()), &[most, width], Role::Embedding)?;
        }
        for block in 0..layer.layers {
            self.add_norm(&name(format!("{block}.norm.0")), width)?;
            self.add_attention(&name(block.to_string()), width)?;
            self.add_norm(&name(format!("{block}.norm.1")), width)?;
            self.add_linear(&name(format!("{block}.up")), width, layer.feed_forward)?;
            self.add_linear(&name(format!("{block}.down")), layer.feed_forward, width)?;
        }
        self.add_norm(&name("norm".to_owned()), width)
    }

    fn add_attention(&mut self, name: &str, width: usize) -> Result<()> {
        self.add_linear(&format!("{name}.project"), width, 3 * width)?;
        self.add_linear(&format!("{name}.output"), width, width)
    }

    pub(crate) fn add_linear(&mut self, name: &str, input: usize, output: usize) -> Result<()> {
        self.add(format!("{name}.weight"), &[output, input], Role::LinearWeights)?;
        self.add(format!("{name}.bias"), &[output], Role::LinearBias)
    }

    fn add_norm(&mut self, name: &str, width: usize) -> Result<()> {
        self.add(format!("{name}.gain"), &[width], Role::Gain)?;
        self.add(format!("{name}.shift"), &[width], Role::Shift)
    }

    /// Puts `prefix` before all names.
    pub(crate) fn prefix(&mut self, prefix: &str) {
        self.entries.iter_mut().for_each(|entry| entry.name.insert_str(0, prefix));
    }

    pub(crate) fn add(&mut self, name: String, shape: &[usize], role: Role) -> Result<()> {
        let size = shape.iter().try_fold(1_usize, |size, n| size.checked_mul(*n));
        let end = size.and_then(|size| size.checked_add(self.len())).filter(|end| *end < 1 << 40);
        let Some(end) = end else {
            return Err(Error::new(format!("{name} {shape:?} is larger than any memory")));
        };
        self.entries.push(Entry { name, shape: shape.to_vec(), range: self.len()..end, role });
        Ok(())
    }

    /// Values in all entries together.
    pub fn len(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.range.end)
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// The entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }
    /// The entry called `name`.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.iter().find(|entry| entry.name == name)
    }
}

/// A model: its description and its weights.
#[derive(Clone, Debug)]
pub struct Model<E: Element> {
    description: Description,
    entries: Entries,
    values: Buffer<E>,
}

impl<E: Element> Model<E> {
    /// A model whose weights are all zero.
    ///
    /// # Errors
    /// Where the description is not sound.
    pub fn new(description: Description) -> Result<Self> {
        let entries = Entries::of(&description)?;
        let values = Buffer::zeros(entries.len());
        Ok(Self { description, entries, values })
    }
    /// What the model is made of.
    pub fn description(&self) -> &Description {
        &self.description
    }
    /// Names, shapes and places of the weights.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }
    /// All weights.
    pub fn values(&self) -> &[E] {
        &self.values
    }
    /// All weights, to change.
    pub fn values_mut(&mut self) -> &mut [E] {
        &mut self.values
    }
    /// The weights called `name`.
    pub fn get(&self, name: &str) -> Option<&[E]> {
        self.entries.get(name).map(|entry| &self.values[entry.range.clone()])
    }
    /// The weights called `name`, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut [E]> {
        let range = self.entries.get(name)?.range.clone();
        Some(&mut self.values[range])
    }
}
