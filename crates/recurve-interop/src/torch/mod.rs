//! PyTorch: state dicts, in safetensors or in files of `torch.save`.

mod recognise;

pub use recognise::recognise;

use crate::error::Result;
use crate::foreign::{Contents, Format, Options};
use crate::safetensors;
use crate::source::Source;
use std::sync::Arc;

/// Opens a safetensors file: tensors by their names in PyTorch.
pub(crate) fn open_safetensors(source: &Arc<Source>, options: &Options) -> Result<Contents> {
    let (tensors, texts) = safetensors::read(source, &options.limits)?;
    let (found, refused) = recognise(&tensors, options, false)?;
    Ok(Contents { format: Format::Safetensors, texts, tensors, found, refused, ordered: false })
}
