//! Matrix products: the tile that every product is made of, and products of whole matrices.

mod half;
pub(crate) mod packed;
mod product;
pub(crate) mod tile;

pub use packed::{Matrix, Packed};
pub use product::{Start, product};
