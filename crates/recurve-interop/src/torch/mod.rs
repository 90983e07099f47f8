//! PyTorch: state dicts, in safetensors or in files of `torch.save`.

mod file;
mod pickle;
mod recognise;
mod state;

pub(crate) use file::is_stream;
pub use recognise::recognise;
pub(crate) use recognise::{Module, check_rnn, modules, norm, plain};

use crate::archive::Archive;
use crate::burn;
use crate::error::Result;
use crate::export;
use crate::foreign::{Contents, Format, Options};
use crate::safetensors;
use crate::source::Source;
use std::sync::Arc;

/// Opens a safetensors file: tensors by their names in PyTorch and candle, or in Burn.
pub(crate) fn open_safetensors(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    let (tensors, texts) = safetensors::read(source, &options.limits)?;
    let (found, refused) = if burn::is_burn(&tensors, &texts) {
        burn::recognise(&tensors, options)?
    } else {
        recognise(&tensors, options, false)?
    };
    let format = Format::Safetensors;
    let description = texts.get(export::DESCRIPTION);
    let exact = description.and_then(|text| export::read_torch(&tensors, text).ok());
    Ok(Contents { format, texts, tensors, found, refused, ordered: false, graph: None, exact })
}

/// Whether an archive was written by `torch.save`.
pub(crate) fn is_archive(archive: &Archive) -> bool {
    file::folder(archive).is_some()
}

/// Opens a ZIP archive of `torch.save`.
pub(crate) fn open_archive(archive: &Arc<Archive>, options: &Options) -> Result<Contents> {
    let folder = file::folder(archive).unwrap_or_default();
    contents(file::read_archive(archive, &folder, &options.limits)?, options)
}

/// Opens a stream of an older `torch.save`.
pub(crate) fn open_stream(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    contents(file::read_stream(source, &options.limits)?, options)
}

fn contents(state: state::State, options: &Options) -> Result<Contents> {
    let state::State { tensors, texts } = state;
    let (found, refused) = recognise(&tensors, options, true)?;
    let format = Format::Torch;
    Ok(Contents { format, texts, tensors, found, refused, ordered: true, graph: None, exact: None })
}
