//! How the layers and the directions of a stack are joined.

use serde::{Deserialize, Serialize};

/// How the outputs of the two directions of a layer become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// Side by side, forward first: `2 H` values.
    #[default]
    Concat,
    /// `forward + reverse`.
    Sum,
    /// `(forward + reverse) / 2`.
    Mean,
    /// `forward ∘ reverse`.
    Product,
}

/// What the layers of a stack pass to each other. `x_l` is what layer `l` reads and `z_l` what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// The output: `x_{l+1} = z_l`.
    #[default]
    Plain,
    /// From the second layer on, the output and the input: `x_{l+1} = z_l + x_l` (He et al. 2016; for
    /// recurrent stacks, Wu et al. 2016).
    Residual,
    /// From the second layer on, a learned blend: `x_{l+1} = t∘z_l + (1 - t)∘x_l` with
    /// `t = σ(W x_l + b)` (Srivastava, Greff & Schmidhuber 2015).
    Highway,
    /// Every layer also reads the input of the stack, and the output is those of all layers side by side
    /// (Graves 2013).
    Skip,
    /// Every layer reads the input of the stack and the outputs of all layers below, and the output is
    /// those of all layers side by side (Huang et al. 2017).
    Dense,
}

/// The states before the first step of a sequence, where none are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// Zero.
    #[default]
    Zero,
    /// Learned, one for each layer and direction.
    Learned,
}

macro_rules! names {
    ($kind:ident, $($variant:ident $name:literal),+) => {
        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Their names in files and on the command line, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];
            /// Its name in files and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}
names!(Merge, Concat "concat", Sum "sum", Mean "mean", Product "product");
names!(Connection, Plain "plain", Residual "residual", Highway "highway", Skip "skip", Dense "dense");
names!(Initial, Zero "zero", Learned "learned");

/// Whether an option stands where it stands when nothing is said; such are left out of files.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
