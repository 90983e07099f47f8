//! Weights of another run instead of random ones.
//!
//! A run that was trained here must read its data in the same way. An imported model does not say how it reads;
//! its layers must be those of the task, one after the other, but for a linear layer at the end, which gives
//! what the task wants and begins anew where that is another number of values.

use super::Trainer;
use crate::error::{Error, Result};
use crate::imported;
use crate::model_file::ModelFile;
use recurve_interop::Imported;
use recurve_nn::{CellKind, Description, Entries, Entry, InputKind, Layer, Model};
use std::ops::Range;
use std::path::Path;

impl Trainer {
    /// Starts from the weights of another run, trained or imported, instead of random ones.
    ///
    /// # Errors
    /// The run was already begun, or the other model is of another description or vocabulary; the
    /// message names what differs.
    pub fn load_weights(&mut self, from: &Path) -> Result<()> {
        if self.progress.step > 0 {
            return Err(Error::usage(
                "weights can be loaded into a new run only; this one is resumed",
            ));
        }
        if imported::is_imported(from) {
            return self.load_imported(from);
        }
        let other = ModelFile::load(from)?;
        other.check_trainable()?;
        let told = |message: String| {
            Error::usage(format!("the weights of `{}` do not fit: {message}", other.name()))
        };
        if let Some(difference) = self.reader.differs(other.reader()) {
            return Err(told(difference));
        }
        let (here, there) = (self.model.description(), other.model().description());
        if let Some((here, there)) =
            cell(here).zip(cell(there)).filter(|(here, there)| here != there)
        {
            let (here, there) = (here.name(), there.name());
            return Err(told(format!(
                "its cell is {there}, here it is {here}; set model.cell to {there}, or start from \
                 random weights"
            )));
        }
        for entry in self.model.entries().iter() {
            let found = other.model().entries().get(&entry.name);
            let Some(found) = found else {
                let name = &entry.name;
                return Err(told(format!("it has no tensor `{name}`")));
            };
            if found.shape != entry.shape || found.role != entry.role {
                return Err(told(format!(
                    "the tensor `{}` is {:?} there and {:?} here",
                    entry.name, found.shape, entry.shape
                )));
            }
        }
        for entry in other.model().entries().iter() {
            if self.model.entries().get(&entry.name).is_none() {
                let name = &entry.name;
                return Err(told(format!("the tensor `{name}` has no place here")));
            }
        }
        self.model.values_mut().copy_from_slice(other.model().values());
        self.notes.push(format!("starts from the weights of {}", other.name()));
        Ok(())
    }

    /// The same, of an imported model.
    fn load_imported(&mut self, from: &Path) -> Result<()> {
        let name = from.display();
        let told =
            |text: String| Error::usage(format!("the weights of `{name}` do not fit: {text}"));
        let Imported::Layers(layers) = imported::load(from)? else {
            return Err(told(
                "it is a graph, which runs as it is and is not trained; a model of layers can be"
                    .into(),
            ));
        };
        if layers.initial.is_some() {
            return Err(told(
                "it begins with states of its own, models of a task with zero".into(),
            ));
        }
        if !matches!(self.model.description().input, InputKind::Values { .. }) {
            return Err(told(
                "the file did not say which token or word has which number; train from random weights".into(),
            ));
        }
        let (places, new) = places(&self.model, &layers.model).map_err(told)?;
        for (to, from) in places {
            self.model.values_mut()[to].copy_from_slice(&layers.model.values()[from]);
        }
        self.notes.push(format!("starts from the weights of {name}"));
        if let Some(new) = new {
            self.notes.push(format!("{new} begins anew: it gives another number of values here"));
        }
        Ok(())
    }
}

/// One layer of a model, those within a stack apart, and the ends of the names of its entries.
struct Part<'a> {
    name: String,
    entries: Vec<(String, &'a Entry)>,
}

fn parts(entries: &Entries) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = vec![];
    for entry in entries.iter() {
        let words: Vec<&str> = entry.name.split('.').collect();
        let own = if words.get(1) == Some(&"recurrent") { 3 } else { 2 }.min(words.len());
        let (name, end) = (words[..own].join("."), words[own..].join("."));
        match parts.last_mut().filter(|part| part.name == name) {
            Some(part) => part.entries.push((end, entry)),
            None => parts.push(Part { name, entries: vec![(end, entry)] }),
        }
    }
    parts
}

/// Where the weights of `there` belong in `here`, and the last layer of `here` where it is another.
type Places = (Vec<(Range<usize>, Range<usize>)>, Option<String>);

fn places(here: &Model<f32>, there: &Model<f32>) -> std::result::Result<Places, String> {
    let (own, theirs) = (parts(here.entries()), parts(there.entries()));
    // What a layer computes beside its weights; cells are named by the roles of these.
    let computed = |model: &Model<f32>| {
        let stacks = model.description().stacks();
        let all = stacks.flat_map(|stack| {
            let clips = [stack.clip_sums, stack.clip_state, stack.projection_clip];
            let merge = stack.bidirectional.then_some(stack.merge);
            std::iter::repeat_n((merge, stack.connection, stack.activations, clips), stack.layers)
        });
        all.collect::<Vec<_>>()
    };
    if own.len() != theirs.len() || computed(here) != computed(there) {
        return Err(differ(here, there));
    }
    let (mut places, mut new) = (vec![], None);
    for (at, (own_part, part)) in own.iter().zip(&theirs).enumerate() {
        let fits = own_part.entries.len() == part.entries.len()
            && own_part.entries.iter().zip(&part.entries).all(|((end, entry), (other, found))| {
                end == other && entry.shape == found.shape && entry.role == found.role
            });
        let is_head = |part: &Part<'_>| part.name.ends_with(".linear");
        if !fits && at + 1 == own.len() && at > 0 && is_head(own_part) && is_head(part) {
            new = Some(own_part.name.clone());
        } else if !fits {
            return Err(differ(here, there));
        } else {
            let pairs = own_part.entries.iter().zip(&part.entries);
            places.extend(pairs.map(|((_, to), (_, from))| (to.range.clone(), from.range.clone())));
        }
    }
    Ok((places, new))
}

/// What a person can do about two models that are not alike.
fn differ(here: &Model<f32>, there: &Model<f32>) -> String {
    let list = |model: &Model<f32>| {
        let parts = parts(model.entries());
        let shapes = |part: &Part<'_>| -> Vec<String> {
            part.entries.iter().map(|(end, entry)| format!("{end} {:?}", entry.shape)).collect()
        };
        let layers: Vec<String> = parts
            .iter()
            .map(|part| format!("{} ({})", part.name, shapes(part).join(", ")))
            .collect();
        layers.join(", ")
    };
    let mut text =
        format!("its layers are {}; with these settings the task has {}", list(there), list(here));
    let stacks: Vec<_> = there.description().stacks().collect();
    if let Some(stack) = stacks.first() {
        let layers: usize = stacks.iter().map(|stack| stack.layers).sum();
        let bias = serde_json::to_value(stack.bias).unwrap_or_default();
        text.push_str(&format!(
            "; its stack is --set model.cell={} --set model.hidden={} --set model.layers={layers} --set \
             model.bias={}",
            stack.cell.name(),
            stack.hidden,
            bias.as_str().unwrap_or_default(),
        ));
    }
    text
}

/// The cell of a model; that of its first stack, should there be several.
fn cell(description: &Description) -> Option<CellKind> {
    description.layers.iter().find_map(|layer| match layer {
        Layer::Recurrent(stack) => Some(stack.cell),
        _ => None,
    })
}
