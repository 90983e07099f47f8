//! Vector registers, one file per instruction set, and the door into code that uses them.
//!
//! A kernel is written once, generic over [`Simd`], and marked `#[inline(always)]`. [`entry`] gives a
//! pointer to its instance for one instruction set: a function compiled with those instructions
//! switched on, into which the kernel and every vector operation are inlined.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod bf16;
mod narrow;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vector;

use crate::detect::{Isa, Kind};
use crate::element::Element;
use recurve_cell::Lanes;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{F32x8, F64x4};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{F32x16, F64x8};
pub(crate) use narrow::{Narrow, NarrowKernel, narrow_entry};
pub(crate) use portable::Array4;

/// A vector register of `LANES` elements.
pub trait Simd: Lanes {
    /// What a lane holds.
    type Elem: Copy;
    /// How many lanes.
    const LANES: usize;
    /// How many such registers a tile may fill with sums, leaving room for its operands.
    const SUMS: usize;

    /// Reads `LANES` elements, aligned as an element.
    ///
    /// # Safety
    /// The elements are readable, and the instructions of the type exist.
    unsafe fn load(from: *const Self::Elem) -> Self;

    /// Writes `LANES` elements, aligned as an element.
    ///
    /// # Safety
    /// The elements are writable, and the instructions of the type exist.
    unsafe fn store(self, to: *mut Self::Elem);

    /// `value` in every lane.
    ///
    /// # Safety
    /// The instructions of the type exist.
    unsafe fn splat(value: Self::Elem) -> Self;

    /// Asks for the memory around `place`, which need not exist, to be brought into the second cache.
    #[inline(always)]
    fn fetch(place: *const Self::Elem) {
        let _ = place;
    }

    /// Asks for the vector at `place`, which need not exist, to be brought into the first cache.
    #[inline(always)]
    fn near(place: *const Self::Elem) {
        let _ = place;
    }
}

/// What the approximations of `math` need beside [`Lanes`]. NaN passes through all but `power_of_two`.
pub(crate) trait Rounded: Lanes {
    /// The smaller of the value and `limit`.
    fn at_most(self, limit: f64) -> Self;
    /// The larger of the value and `limit`.
    fn at_least(self, limit: f64) -> Self;
    /// The nearest integer, for values below 2²².
    fn round(self) -> Self;
    /// `2^self`, for integers from -126 to 127.
    fn power_of_two(self) -> Self;
    /// `self / by`, to one unit in the last place, for `by` from 1 to 2¹²⁶.
    fn divide(self, by: Self) -> Self;
}

/// A function over vectors of `E`, for [`entry`].
pub(crate) trait Kernel<E: Element> {
    /// What it takes.
    type Args;

    /// Runs it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// As the implementation states, and the instructions of `V` exist.
    unsafe fn run<V: Simd<Elem = E>>(args: &Self::Args);
}

/// An instance of a kernel: callable where its instruction set exists.
pub(crate) type Entry<A> = unsafe fn(&A);

/// The instance of `K` for `isa`. Holding an [`Isa`] proves that the instructions exist, so calling
/// the instance needs no more than what `K` itself asks.
pub(crate) fn entry<E: Element, K: Kernel<E>>(isa: Isa) -> Entry<K::Args> {
    match isa.0 {
        Kind::Portable => portable::enter::<E, K>,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => avx2::enter::<E, K>,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => avx512::enter::<E, K>,
    }
}
