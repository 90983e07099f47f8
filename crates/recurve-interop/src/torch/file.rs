//! Files of `torch.save`: a ZIP archive with a pickle and one member for each storage, or, before
//! PyTorch 1.6, one stream of pickles with the storages at its end.

use super::pickle::{Object, Pickle};
use super::state::{self, State, Storage};
use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::source::Source;
use crate::tensors::Data;
use std::collections::HashMap;
use std::sync::Arc;

/// How a stream begins: protocol 2, then the magic number of PyTorch.
const STREAM: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Whether bytes look like the beginning of a stream.
pub(crate) fn is_stream(head: &[u8]) -> bool {
    head.starts_with(STREAM)
}

/// The folder of an archive that PyTorch wrote, if it did: `archive/` of `archive/data.pkl`.
pub(super) fn folder(archive: &Archive) -> Option<String> {
    let pickle = archive.members().iter().find(|member| {
        member.name.strip_suffix("/data.pkl").is_some_and(|folder| !folder.contains('/'))
    });
    Some(pickle?.name.strip_suffix("data.pkl")?.to_owned())
}

/// The tensors of an archive.
pub(super) fn read_archive(archive: &Arc<Archive>, folder: &str, limits: &Limits) -> Result<State> {
    if archive.get(&format!("{folder}constants.pkl")).is_some() {
        return Err(Error::refused(
            "this is a TorchScript archive, which holds a program; save the state_dict() of the module",
        ));
    }
    let order = format!("{folder}byteorder");
    if archive.get(&order).is_some() {
        let bytes = archive.description(&order)?;
        if &bytes[..] != b"little" {
            let found = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
            let text = format!("expected the byte order `little`, found `{found}`");
            return Err(Error::refused(text).within(format_args!("member `{order}`")));
        }
    }
    let name = format!("{folder}data.pkl");
    let bytes = archive.description(&name)?;
    let place = |storage: &Storage| {
        let name = format!("{folder}data/{}", storage.key);
        let size = archive.get(&name).map(|member| member.size);
        let needed = (storage.count as u64).checked_mul(storage.dtype.size() as u64);
        if size.is_none() || needed.is_none_or(|needed| needed > size.unwrap_or(0)) {
            let text = format!(
                "expected {} values of {}, found {}",
                storage.count,
                storage.dtype.name(),
                size.map_or("no such member".to_owned(), |size| format!("{size} bytes"))
            );
            return Err(Error::damaged(text).within(format_args!("member `{name}`")));
        }
        let archive = archive.clone();
        Ok(Data::Made(Arc::new(move || archive.read(&name))))
    };
    Pickle::read(&bytes, 0)
        .and_then(|pickle| state::read(&pickle, limits, place))
        .map_err(|error| error.within(format_args!("member `{name}`")))
}

/// Bytes of a stream that are searched for its pickles.
const PICKLES: u64 = 64 << 20;

/// The tensors of a stream.
pub(super) fn read_stream(source: &Arc<Source>, limits: &Limits) -> Result<State> {
    let most = limits.description.min(PICKLES);
    let bytes = source.head(most)?;
    // Magic number, version, facts about the machine.
    let magic = Pickle::read(&bytes, 0)?;
    let version = Pickle::read(&bytes, magic.end)?;
    if version.get(version.root) != &Object::Int(1001) {
        let text = "expected version 1001 of the stream, found another";
        return Err(Error::refused(text).at(magic.end as u64));
    }
    let facts = Pickle::read(&bytes, version.end)?;
    if let Object::Dict(items) = facts.get(facts.root) {
        for (key, value) in items {
            if facts.text(*key) == Some("little_endian")
                && facts.get(*value) == &Object::Bool(false)
            {
                return Err(Error::refused(
                    "the stream is big-endian; save it again on another machine",
                ));
            }
        }
    }
    let state = Pickle::read(&bytes, facts.end)?;
    let keys = Pickle::read(&bytes, state.end)?;
    let keys_told = || Error::damaged("expected a list of keys of storages").at(state.end as u64);
    let elements = keys.elements(keys.root).ok_or_else(keys_told)?;
    let named = state::storages(&state, limits)?;
    // After the pickles, each storage as the number of its values and the values.
    let (mut places, mut at) = (HashMap::new(), keys.end as u64);
    for key in elements {
        let key = keys.text(*key).ok_or_else(keys_told)?;
        let told = |error: Error| error.within(format_args!("storage `{key}`"));
        let storage = named.iter().find(|storage| storage.key == key);
        let storage = storage.ok_or_else(|| told(Error::damaged("no tensor lies in it").at(at)))?;
        let count = source.read(at, 8).map_err(told)?;
        let count = count.iter().rev().fold(0, |count, byte| count << 8 | u64::from(*byte));
        let size = count.checked_mul(storage.dtype.size() as u64);
        if count != storage.count as u64 {
            let text = format!("expected {} values, found {count}", storage.count);
            return Err(told(Error::damaged(text).at(at)));
        }
        let size = size.unwrap_or(u64::MAX);
        source.check(at + 8, size).map_err(told)?;
        places.insert(key.to_owned(), at + 8);
        at += 8 + size;
    }
    if at != source.length() {
        let text = format!("the storages end here, the file at byte {}", source.length());
        return Err(Error::damaged(text).at(at));
    }
    state::read(&state, limits, |storage| {
        let place = places.get(&storage.key).copied();
        let place = place.ok_or_else(|| {
            Error::damaged(format!("the storage `{}` is not in the file", storage.key))
        })?;
        Ok(Data::Stored(source.clone(), place))
    })
}
