//! Layers that were recognised in a file, and how a model is put together from them.
//!
//! A format recognises layers by names and shapes alone; values are read when a model is made. A file that
//! holds weights but not how they are wired (a state dict) gives layers in the order of the file or in the
//! only order in which their widths fit; where neither decides, the caller must.

use crate::error::{Error, Result};
use recurve_nn::{Description, Element, Entries, InputKind, Layer, Model, Recurrent, State};
use std::fmt;
use std::sync::Arc;

/// A layer that was recognised.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is called in the file: the path of the module.
    pub name: String,
    /// What it is.
    pub layer: Layer,
    /// The width of its input; of an embedding, the number of tokens.
    pub inputs: usize,
    /// Its weights, one for every entry that the layer has in a [`Model`].
    pub weights: Vec<Weight>,
    /// The states it begins with, where the file holds some: `h` and `c` of each layer and direction.
    pub initial: Vec<[Vec<f64>; 2]>,
    /// What the file does not say, and was assumed.
    pub assumed: Vec<String>,
}

/// Some weights of a layer, in the order of Recurve.
#[derive(Clone)]
pub struct Weight {
    /// The end of the name of the entry: `0.forward.w`, `weight`.
    pub entry: String,
    /// The tensors they are made of.
    pub tensors: Vec<String>,
    read: Arc<Read>,
}

type Read = dyn Fn() -> Result<Vec<f64>> + Send + Sync;

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.entry, self.tensors)
    }
}

impl Weight {
    /// Weights that `read` gives, made of these tensors.
    pub fn new(
        entry: impl Into<String>,
        tensors: &[&str],
        read: impl Fn() -> Result<Vec<f64>> + Send + Sync + 'static,
    ) -> Self {
        let tensors = tensors.iter().map(|name| (*name).to_owned()).collect();
        Self { entry: entry.into(), tensors, read: Arc::new(read) }
    }
    /// Their values.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(&self) -> Result<Vec<f64>> {
        (self.read)()
    }
}

impl Found {
    /// A layer without assumptions and initial states.
    pub fn new(name: impl Into<String>, layer: Layer, inputs: usize, weights: Vec<Weight>) -> Self {
        let name = name.into();
        Self { name, layer, inputs, weights, initial: vec![], assumed: vec![] }
    }
    /// The width of its output.
    pub fn outputs(&self) -> usize {
        match &self.layer {
            Layer::Recurrent(stack) => stack.width(),
            Layer::Linear { outputs } => *outputs,
            Layer::Embedding { width, .. } => *width,
            _ => self.inputs,
        }
    }
    /// The recurrent stack, if it is one.
    pub fn stack(&self) -> Option<&Recurrent> {
        match &self.layer {
            Layer::Recurrent(stack) => Some(stack),
            _ => None,
        }
    }
    fn reads_tokens(&self) -> bool {
        matches!(self.layer, Layer::Embedding { .. })
    }
    /// Whether `next` can read what this layer gives.
    fn feeds(&self, next: &Self) -> bool {
        !next.reads_tokens() && self.outputs() == next.inputs
    }
}

/// A model of layers that Recurve has.
#[derive(Clone, Debug)]
pub struct Layers<E: Element> {
    /// Description and weights.
    pub model: Model<E>,
    /// The states it begins with, for one sequence, where the file holds some.
    pub initial: Option<State<E>>,
    /// What the file does not say, and was assumed.
    pub assumed: Vec<String>,
}

/// A model that Recurve wrote, as it was: the description and the values of its entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// The description.
    pub description: Description,
    /// The name of every entry with its values.
    pub values: Vec<(String, Vec<f64>)>,
}

impl Exact {
    /// The model.
    ///
    /// # Errors
    /// The description is not sound, or the values are not those of its entries.
    pub fn model<E: Element>(&self) -> Result<Model<E>> {
        let given: usize = self.values.iter().map(|(_, values)| values.len()).sum();
        if Entries::of(&self.description)?.len() != given {
            return Err(Error::damaged("values of the description are missing"));
        }
        let mut model = Model::<E>::new(self.description.clone())?;
        for (name, values) in &self.values {
            let to = model.get_mut(name).filter(|to| to.len() == values.len());
            let told = || Error::damaged(format!("{} values for `{name}`", values.len()));
            let to = to.ok_or_else(told)?;
            to.iter_mut().zip(values).for_each(|(to, value)| *to = E::from_f64(*value));
        }
        Ok(model)
    }
}

/// Puts layers together to a model, one on top of the other.
///
/// # Errors
/// They do not fit on each other, weights are missing or have another size, or cannot be read.
pub fn assemble<E: Element>(layers: &[&Found]) -> Result<Layers<E>> {
    let Some(first) = layers.first() else {
        return Err(Error::asked("no layer was found to make a model of"));
    };
    for pair in layers.windows(2) {
        if !pair[0].feeds(pair[1]) {
            return Err(Error::asked(format!(
                "`{}` gives {} values and `{}` reads {}; say which layers make the model, in their \
                 order",
                pair[0].name,
                pair[0].outputs(),
                pair[1].name,
                pair[1].inputs
            )));
        }
    }
    let input = match first.layer {
        Layer::Embedding { .. } => InputKind::Tokens { vocabulary: first.inputs },
        _ => InputKind::Values { width: first.inputs },
    };
    let all = layers.iter().map(|found| found.layer.clone()).collect();
    let mut model = Model::<E>::new(Description { input, layers: all })?;
    let names: Vec<String> = model.entries().iter().map(|entry| entry.name.clone()).collect();
    let mut missing: Vec<&str> = names.iter().map(String::as_str).collect();
    for (at, found) in layers.iter().enumerate() {
        let prefix = format!("{at}.{}.", found.layer.name());
        for weight in &found.weights {
            let name = format!("{prefix}{}", weight.entry);
            let told = |error: Error| error.within(format_args!("layer `{}`", found.name));
            let values = weight.read().map_err(told)?;
            let Some(to) = model.get_mut(&name).filter(|to| to.len() == values.len()) else {
                let (count, entry) = (values.len(), &weight.entry);
                let text = format!("{count} values for `{entry}` do not fit the layer");
                return Err(told(Error::damaged(text)));
            };
            for (to, value) in to.iter_mut().zip(&values) {
                *to = E::from_f64(*value);
            }
            missing.retain(|other| *other != name);
        }
    }
    if let Some(name) = missing.first() {
        return Err(Error::damaged(format!("the weights `{name}` are missing")));
    }
    let initial = initial(&model, layers)?;
    let mut assumed: Vec<String> = vec![];
    for text in layers.iter().flat_map(|found| &found.assumed) {
        if !assumed.contains(text) {
            assumed.push(text.clone());
        }
    }
    Ok(Layers { model, initial, assumed })
}

/// The states a model begins with, where the file holds some.
fn initial<E: Element>(model: &Model<E>, layers: &[&Found]) -> Result<Option<State<E>>> {
    if layers.iter().all(|found| found.initial.is_empty()) {
        return Ok(None);
    }
    let mut state = State::zero(model.description(), 1);
    let stacks = layers.iter().filter_map(|found| Some((*found, found.stack()?)));
    let given = stacks.flat_map(|(found, stack)| {
        let parts = stack.layers * stack.directions();
        (0..parts).map(move |part| found.initial.get(part))
    });
    for (part, given) in state.parts_mut().iter_mut().zip(given) {
        let Some(given) = given else { continue };
        for (to, from) in [&mut part.h, &mut part.c].into_iter().zip(given) {
            if to.len() != from.len() {
                let (found, expected) = (from.len(), to.len());
                let text = format!("an initial state of {found} values for {expected} units");
                return Err(Error::damaged(text));
            }
            to.iter_mut().zip(from).for_each(|(to, value)| *to = E::from_f64(*value));
        }
    }
    Ok(Some(state))
}

/// The order in which layers stand on each other, using each once.
///
/// `ordered` says that the file keeps the order in which its author made the layers; it is taken where
/// the widths fit.
///
/// # Errors
/// There is no such order, or more than one.
pub fn chain(layers: &[&Found], ordered: bool) -> Result<Vec<usize>> {
    let fits = layers.windows(2).all(|pair| pair[0].feeds(pair[1]));
    if ordered && fits || layers.len() < 2 {
        return Ok((0..layers.len()).collect());
    }
    let list = || {
        let names: Vec<&str> = layers.iter().map(|found| found.name.as_str()).collect();
        names.join(", ")
    };
    if layers.len() > MOST_CHAINED {
        return Err(Error::asked(format!(
            "{} layers were found, too many to guess their order; choose some with a prefix, or say \
             which, in their order: {}",
            layers.len(),
            list()
        )));
    }
    let mut chains = vec![];
    extend(layers, &mut vec![], &mut chains);
    match &chains[..] {
        [only] => Ok(only.clone()),
        [] => Err(Error::asked(format!(
            "the layers that were found do not make one chain; choose some with a prefix, or say which, \
             in their order: {}",
            list()
        ))),
        _ => Err(Error::asked(format!(
            "the layers that were found fit on each other in more than one order; say it: {}",
            list()
        ))),
    }
}

/// More layers than this are not tried in every order.
const MOST_CHAINED: usize = 10;

/// Adds to `chains` those that begin with `begun`, until there are two.
fn extend(layers: &[&Found], begun: &mut Vec<usize>, chains: &mut Vec<Vec<usize>>) {
    if begun.len() == layers.len() {
        chains.push(begun.clone());
    }
    for next in 0..layers.len() {
        let fits = begun.last().is_none_or(|last| layers[*last].feeds(layers[next]));
        if chains.len() < 2 && fits && !begun.contains(&next) {
            begun.push(next);
            extend(layers, begun, chains);
            begun.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recurve_nn::CellKind;

    fn linear(name: &str, inputs: usize, outputs: usize) -> Found {
        Found::new(name, Layer::Linear { outputs }, inputs, vec![])
    }

    #[test]
    fn widths_decide_the_order_where_they_can() {
        let stack = Recurrent::new(CellKind::Lstm, 5);
        let (a, b) = (linear("head", 5, 2), Found::new("rnn", Layer::Recurrent(stack), 3, vec![]));
        assert_eq!(chain(&[&a, &b], false).unwrap(), [1, 0]);
        let (c, d) = (linear("a", 4, 4), linear("b", 4, 4));
        assert_eq!(chain(&[&c, &d], true).unwrap(), [0, 1]);
        let error = chain(&[&c, &d], false).unwrap_err().to_string();
        assert!(error.contains("more than one order") && error.contains("a, b"), "{error}");
        assert!(chain(&[&a, &c], false).unwrap_err().to_string().contains("one chain"));
    }
}
