//! From a pickle of PyTorch to named tensors.
//!
//! A state dict is a dictionary of tensors; a checkpoint is any nest of dictionaries and lists with state
//! dicts among options, counters and the state of an optimiser. Every tensor gets the path of keys that
//! leads to it as its name.

use super::pickle::{Object, Pickle, Ref};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::tensors::{Data, Tensor, Tensors};
use std::collections::{BTreeMap, HashMap};

/// A storage as a pickle names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    pub(super) key: String,
    /// Values in it.
    pub(super) count: usize,
}

/// What a state dict or a checkpoint holds.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tensors: Tensors,
    /// Numbers and texts beside the tensors.
    pub(super) texts: BTreeMap<String, String>,
}

/// Numbers and texts beside the tensors that are kept.
const MOST_TEXTS: usize = 100;
/// Bytes of such a text.
const LONGEST_TEXT: usize = 200;

/// Walks a pickle; `place` gives the bytes of a storage.
struct Walk<'a, 'b, P> {
    pickle: &'a Pickle<'b>,
    limits: &'a Limits,
    place: P,
    state: State,
    storages: HashMap<Ref, Storage>,
    steps: usize,
}

/// All tensors that a pickle leads to.
///
/// # Errors
/// A tensor does not fit its storage, is of a kind that is not known, or things lie too deep.
pub(super) fn read(
    pickle: &Pickle<'_>,
    limits: &Limits,
    place: impl FnMut(&Storage) -> Result<Data>,
) -> Result<State> {
    let (storages, state) = (HashMap::new(), State::default());
    let mut walk = Walk { pickle, limits, place, state, storages, steps: 0 };
    walk.visit(pickle.root, "", 0)?;
    Ok(walk.state)
}

/// The storages that a pickle names, in their order.
pub(super) fn storages(pickle: &Pickle<'_>, limits: &Limits) -> Result<Vec<Storage>> {
    let mut all = vec![];
    read(pickle, limits, |storage| {
        if !all.contains(storage) {
            all.push(storage.clone());
        }
        Ok(Data::Made(std::sync::Arc::new(|| Ok(std::sync::Arc::from([])))))
    })?;
    Ok(all)
}

impl<P: FnMut(&Storage) -> Result<Data>> Walk<'_, '_, P> {
    fn visit(&mut self, object: Ref, path: &str, depth: usize) -> Result<()> {
        self.steps += 1;
        let told = |error: Error| error.within(format_args!("key `{path}`"));
        self.limits.check_depth(depth).map_err(told)?;
        self.limits.check_things(self.steps, "objects in each other").map_err(told)?;
        let below =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let pickle = self.pickle;
        match pickle.get(object) {
            Object::Dict(items) => {
                for (key, value) in items {
                    let key = match (pickle.text(*key), pickle.get(*key)) {
                        (Some(text), _) => text.to_owned(),
                        (None, Object::Int(number)) => number.to_string(),
                        (None, other) => other.kind().to_owned(),
                    };
                    self.visit(*value, &below(&key), depth + 1)?;
                }
            }
            Object::List(all) | Object::Tuple(all) => {
                for (at, value) in all.iter().enumerate() {
                    self.visit(*value, &below(&at.to_string()), depth + 1)?;
                }
            }
            Object::Made(function, arguments) => {
                self.made(*function, *arguments, path, depth).map_err(told)?;
            }
            Object::Text(_) => self.note(path, pickle.text(object).unwrap_or_default()),
            Object::Int(number) => self.note(path, &number.to_string()),
            Object::Float(number) => self.note(path, &number.to_string()),
            Object::Bool(value) => self.note(path, &value.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, path: &str, text: &str) {
        if self.state.texts.len() < MOST_TEXTS {
            let text = text.chars().take(LONGEST_TEXT).collect();
            self.state.texts.insert(path.to_owned(), text);
        }
    }

    fn made(&mut self, function: Ref, arguments: Ref, path: &str, depth: usize) -> Result<()> {
        let pickle = self.pickle;
        let arguments = pickle.elements(arguments).unwrap_or_default();
        match pickle.global(function) {
            Some(("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2")) => {
                self.tensor(arguments, path)
            }
            Some(("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state"))
            | Some(("torch.nn.parameter", "Parameter")) => {
                let tensor = arguments.first().ok_or_else(|| missing("a tensor"))?;
                self.visit(*tensor, path, depth + 1)
            }
            _ => Ok(()),
        }
    }

    fn tensor(&mut self, arguments: &[Ref], path: &str) -> Result<()> {
        let [storage, first, shape, strides, ..] = arguments else {
            return Err(missing("storage, offset, shape and strides of a tensor"));
        };
        let storage = self.storage(*storage)?;
        let first = self.size(*first)?;
        let (shape, strides) = (self.sizes(*shape)?, self.sizes(*strides)?);
        let data = (self.place)(&storage)?;
        let tensor = Tensor::new(path, storage.dtype, vec![], data)?;
        // The place of the data is that of the storage; its size is checked against the strides.
        let tensor = tensor.reshaped(shape)?.strided(first, strides, storage.count)?;
        self.limits.check_things(self.state.tensors.len() + 1, "tensors")?;
        self.state.tensors.add(tensor)
    }

    fn storage(&mut self, outside: Ref) -> Result<Storage> {
        if let Some(known) = self.storages.get(&outside) {
            return Ok(known.clone());
        }
        let pickle = self.pickle;
        let Object::Outside(id) = pickle.get(outside) else {
            return Err(missing("the storage of a tensor"));
        };
        let id = pickle.elements(*id).unwrap_or_default();
        let [kind, class, key, _, count, ..] = id else {
            return Err(missing("kind, type, key, device and size of a storage"));
        };
        if pickle.text(*kind) != Some("storage") {
            return Err(missing("a storage"));
        }
        let class = pickle.global(*class).ok_or_else(|| missing("the type of a storage"))?;
        let key = pickle.text(*key).ok_or_else(|| missing("the key of a storage"))?.to_owned();
        let storage = Storage { dtype: dtype(class)?, key, count: self.size(*count)? };
        self.storages.insert(outside, storage.clone());
        Ok(storage)
    }

    fn size(&self, object: Ref) -> Result<usize> {
        match self.pickle.get(object) {
            Object::Int(size) if *size >= 0 => Ok(*size as usize),
            other => Err(Error::damaged(format!("expected a size, found {}", other.kind()))),
        }
    }
    fn sizes(&self, object: Ref) -> Result<Vec<usize>> {
        let pickle = self.pickle;
        let object = match pickle.get(object) {
            // torch.Size((2, 3))
            Object::Made(_, arguments) => {
                *pickle.elements(*arguments).and_then(|all| all.first()).unwrap_or(&object)
            }
            _ => object,
        };
        let all = pickle.elements(object).ok_or_else(|| missing("a shape"))?;
        self.limits.check_depth(all.len())?;
        all.iter().map(|size| self.size(*size)).collect()
    }
}

fn missing(what: &str) -> Error {
    Error::damaged(format!("expected {what}, found something else"))
}

fn dtype(class: (&str, &str)) -> Result<Dtype> {
    Ok(match class {
        ("torch", "FloatStorage") => Dtype::F32,
        ("torch", "DoubleStorage") => Dtype::F64,
        ("torch", "HalfStorage") => Dtype::F16,
        ("torch", "BFloat16Storage") => Dtype::Bf16,
        ("torch", "LongStorage") => Dtype::I64,
        ("torch", "IntStorage") => Dtype::I32,
        ("torch", "ShortStorage") => Dtype::I16,
        ("torch", "CharStorage") => Dtype::I8,
        ("torch", "ByteStorage") => Dtype::U8,
        ("torch", "BoolStorage") => Dtype::Bool,
        (module, name) => {
            return Err(Error::refused(format!("a storage of the type `{module}.{name}`")));
        }
    })
}
