//! The numbers the kernels work on: `f32`, and `f64` for checks to the last digits.

use crate::detect::Isa;
use crate::gemm::tile::Tiles;
use crate::isa::{Array4, Entry, Simd};
#[cfg(target_arch = "x86_64")]
use crate::isa::{F32x8, F32x16, F64x4, F64x8};
use crate::memory::{Buffer, Plain};
use crate::recurrent::sweep::kernel::{Sweep, full_sweeps};
use crate::softmax::Softmax;
use recurve_cell::{Lanes, Real};
use std::any::TypeId;
use std::cell::RefCell;

/// The same numbers.
///
/// # Panics
/// Where they are not `f32`.
pub(crate) fn as_f32<E: 'static>(numbers: &[E]) -> &[f32] {
    assert_eq!(TypeId::of::<E>(), TypeId::of::<f32>(), "products of `bf16` are for `f32`");
    // SAFETY: the two types are one.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), numbers.len()) }
}

/// The same numbers, to write.
///
/// # Panics
/// Where they are not `f32`.
pub(crate) fn as_f32_mut<E: 'static>(numbers: &mut [E]) -> &mut [f32] {
    assert_eq!(TypeId::of::<E>(), TypeId::of::<f32>(), "products of `bf16` are for `f32`");
    // SAFETY: the two types are one.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), numbers.len()) }
}

/// `f32` or `f64`, with the vectors of each instruction set. There are no others.
pub trait Element: Real + Plain {
    /// Its AVX2 vector.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Simd<Elem = Self>;
    /// Its AVX-512 vector.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Simd<Elem = Self>;

    /// The portable vector's logistic function.
    fn portable_sigmoid(x: Array4<Self>) -> Array4<Self>;
    /// The portable vector's hyperbolic tangent.
    fn portable_tanh(x: Array4<Self>) -> Array4<Self>;
    /// The portable vector's exponential.
    fn portable_exp(x: Array4<Self>) -> Array4<Self>;
    /// The functions that do not know of cells.
    fn compiled(isa: Isa) -> Compiled<Self>;
    /// Memory of this thread for copies of operands, kept from product to product.
    fn with_copies<R>(work: impl FnOnce(&mut Buffer<Self>) -> R) -> R;
}

/// The functions of an instruction set that are the same for all cells. They are asked for by the two types
/// of numbers, not by the code that is generic over them, so that they are compiled once, in this crate, and
/// not again in every crate that uses it.
#[derive(Clone, Copy, Debug)]
pub struct Compiled<E: Element> {
    pub(crate) tiles: Tiles<E>,
    pub(crate) sweeps: [Entry<Sweep<E>>; 4],
    pub(crate) softmax: Softmax<E>,
}

impl<E: Element> Compiled<E> {
    fn new(isa: Isa) -> Self {
        Self { tiles: Tiles::new(isa), sweeps: full_sweeps(isa), softmax: Softmax::instance(isa) }
    }
}

macro_rules! compiled {
    () => {
        fn compiled(isa: Isa) -> Compiled<Self> {
            Compiled::new(isa)
        }
    };
}

macro_rules! with_copies {
    ($element:ident) => {
        fn with_copies<R>(work: impl FnOnce(&mut Buffer<$element>) -> R) -> R {
            thread_local! {
                static COPIES: RefCell<Buffer<$element>> = const { RefCell::new(Buffer::new()) };
            }
            COPIES.with_borrow_mut(work)
        }
    };
}

impl Element for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = F32x8;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = F32x16;
    #[inline(always)]
    fn portable_sigmoid(x: Array4<f32>) -> Array4<f32> {
        crate::math::sigmoid(x)
    }
    #[inline(always)]
    fn portable_tanh(x: Array4<f32>) -> Array4<f32> {
        crate::math::tanh(x)
    }
    #[inline(always)]
    fn portable_exp(x: Array4<f32>) -> Array4<f32> {
        crate::math::exp(x)
    }
    compiled!();
    with_copies!(f32);
}

impl Element for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = F64x4;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = F64x8;
    #[inline(always)]
    fn portable_sigmoid(x: Array4<f64>) -> Array4<f64> {
        x.by_lane(Lanes::sigmoid)
    }
    #[inline(always)]
    fn portable_tanh(x: Array4<f64>) -> Array4<f64> {
        x.by_lane(Lanes::tanh)
    }
    #[inline(always)]
    fn portable_exp(x: Array4<f64>) -> Array4<f64> {
        x.by_lane(crate::exp64::exp_nonpositive)
    }
    compiled!();
    with_copies!(f64);
}
