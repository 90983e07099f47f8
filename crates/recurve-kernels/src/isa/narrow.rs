//! Products with weights of 8 and 16 bits, and the doors into code that uses them.
//!
//! Beside the vectors of `f32` stand here two operations: widening two `bf16` per lane, and adding four
//! products of bytes to an integer in each lane. The integers are exact, so every instruction set gives the
//! same sums. One text serves 512 and 256 bits without special instructions; processors with VNNI do it
//! in one.

use super::{Array4, Simd};
use crate::detect::{Isa, Kind};

/// The operations of an instruction set on narrow weights.
pub(crate) trait Narrow {
    /// Its vector of `f32`.
    type Floats: Simd<Elem = f32>;
    /// As many `i32` as that has lanes.
    type Sums: Copy;

    /// The lanes' two `bf16`, those at even places and those at odd.
    ///
    /// # Safety
    /// Two per lane are readable, and the instructions of the type exist.
    unsafe fn widen(from: *const u16) -> [Self::Floats; 2];

    /// One `i32` per lane.
    ///
    /// # Safety
    /// They are readable, and the instructions of the type exist.
    unsafe fn sums(from: *const i32) -> Self::Sums;

    /// Adds to each lane the products of its four weights and the four bytes of `left`, of which the
    /// lowest comes first. The bytes of `left` are without sign.
    ///
    /// # Safety
    /// Four weights per lane are readable, and the instructions of the type exist.
    unsafe fn add(sums: Self::Sums, weights: *const i8, left: u32) -> Self::Sums;

    /// The nearest `f32` of each sum.
    ///
    /// # Safety
    /// The instructions of the type exist.
    unsafe fn floats(sums: Self::Sums) -> Self::Floats;
}

/// A function over narrow weights, for [`narrow_entry`].
pub(crate) trait NarrowKernel {
    /// What it takes.
    type Args;

    /// Runs it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// As the implementation states, and the instructions of `N` exist.
    unsafe fn run<N: Narrow>(args: &Self::Args);
}

/// The instance of `K` for `isa`, as [`super::entry`].
pub(crate) fn narrow_entry<K: NarrowKernel>(isa: Isa) -> super::Entry<K::Args> {
    match isa.0 {
        Kind::Portable => enter::<K>,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => x86::enter_avx2::<K>,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 if is_x86_feature_detected!("avx512vnni") => x86::enter_vnni::<K>,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => x86::enter_avx512::<K>,
    }
}

struct Portable;

impl Narrow for Portable {
    type Floats = Array4<f32>;
    type Sums = [i32; 4];

    #[inline(always)]
    unsafe fn widen(from: *const u16) -> [Array4<f32>; 2] {
        // SAFETY: the caller's promise: eight are readable.
        let pairs = unsafe { from.cast::<[[u16; 2]; 4]>().read_unaligned() };
        let widened = |at: usize| pairs.map(|pair| f32::from_bits(u32::from(pair[at]) << 16));
        // SAFETY: the arrays have four elements.
        unsafe { [Simd::load(widened(0).as_ptr()), Simd::load(widened(1).as_ptr())] }
    }
    #[inline(always)]
    unsafe fn sums(from: *const i32) -> [i32; 4] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[i32; 4]>().read() }
    }
    #[inline(always)]
    unsafe fn add(mut sums: [i32; 4], weights: *const i8, left: u32) -> [i32; 4] {
        // SAFETY: the caller's promise: sixteen are readable.
        let weights = unsafe { weights.cast::<[[i8; 4]; 4]>().read() };
        for (sum, weights) in sums.iter_mut().zip(weights) {
            for (weight, left) in weights.into_iter().zip(left.to_le_bytes()) {
                *sum = sum.wrapping_add(i32::from(weight) * i32::from(left));
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn floats(sums: [i32; 4]) -> Array4<f32> {
        let floats = sums.map(|sum| sum as f32);
        // SAFETY: the array has four elements.
        unsafe { Simd::load(floats.as_ptr()) }
    }
}

/// Runs `K` with arrays.
///
/// # Safety
/// `K` is safe to run.
unsafe fn enter<K: NarrowKernel>(args: &K::Args) {
    // SAFETY: the caller's promise.
    unsafe { K::run::<Portable>(args) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::{F32x8, F32x16};
    use super::{Narrow, NarrowKernel};
    use core::arch::x86_64::*;

    /// What is the same for all sets but for the width of registers.
    macro_rules! floats_and_sums {
        ($floats:ident, $sums:ident, $load:ident, $cast:ident, $convert:ident, $shift:ident, $and:ident, $splat:ident) => {
            type Floats = $floats;
            type Sums = $sums;

            #[inline(always)]
            unsafe fn widen(from: *const u16) -> [$floats; 2] {
                // SAFETY: the caller's promise.
                unsafe {
                    let pairs = $load(from.cast());
                    let odd = $and(pairs, $splat(0xffff_0000_u32 as i32));
                    [$floats($cast($shift::<16>(pairs))), $floats($cast(odd))]
                }
            }
            #[inline(always)]
            unsafe fn sums(from: *const i32) -> $sums {
                // SAFETY: the caller's promise.
                unsafe { $load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn floats(sums: $sums) -> $floats {
                // SAFETY: the caller's promise.
                unsafe { $floats($convert(sums)) }
            }
        };
    }

    macro_rules! f32x8 {
        () => {
            floats_and_sums!(
                F32x8,
                __m256i,
                _mm256_loadu_si256,
                _mm256_castsi256_ps,
                _mm256_cvtepi32_ps,
                _mm256_slli_epi32,
                _mm256_and_si256,
                _mm256_set1_epi32
            );
        };
    }

    macro_rules! f32x16 {
        () => {
            floats_and_sums!(
                F32x16,
                __m512i,
                _mm512_loadu_si512,
                _mm512_castsi512_ps,
                _mm512_cvtepi32_ps,
                _mm512_slli_epi32,
                _mm512_and_si512,
                _mm512_set1_epi32
            );
        };
    }

    // Without VNNI, the bytes at even and at odd places are widened and multiplied apart; the shorter
    // way over `vpmaddubsw` saturates.

    struct Avx2;

    impl Narrow for Avx2 {
        f32x8!();

        #[inline(always)]
        unsafe fn add(sums: __m256i, weights: *const i8, left: u32) -> __m256i {
            // SAFETY: the caller's promise.
            unsafe {
                let (weights, left) =
                    (_mm256_loadu_si256(weights.cast()), _mm256_set1_epi32(left as i32));
                let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
                let left_even = _mm256_and_si256(left, _mm256_set1_epi16(0xff));
                let even = _mm256_madd_epi16(even, left_even);
                let odd = _mm256_srai_epi16::<8>(weights);
                let odd = _mm256_madd_epi16(odd, _mm256_srli_epi16::<8>(left));
                _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
            }
        }
    }

    struct Avx512;

    impl Narrow for Avx512 {
        f32x16!();

        #[inline(always)]
        unsafe fn add(sums: __m512i, weights: *const i8, left: u32) -> __m512i {
            // SAFETY: the caller's promise.
            unsafe {
                let (weights, left) =
                    (_mm512_loadu_si512(weights.cast()), _mm512_set1_epi32(left as i32));
                let even = _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(weights));
                let left_even = _mm512_and_si512(left, _mm512_set1_epi16(0xff));
                let even = _mm512_madd_epi16(even, left_even);
                let odd = _mm512_srai_epi16::<8>(weights);
                let odd = _mm512_madd_epi16(odd, _mm512_srli_epi16::<8>(left));
                _mm512_add_epi32(sums, _mm512_add_epi32(even, odd))
            }
        }
    }

    struct Vnni;

    impl Narrow for Vnni {
        f32x16!();

        #[inline(always)]
        unsafe fn add(sums: __m512i, weights: *const i8, left: u32) -> __m512i {
            // SAFETY: the caller's promise.
            unsafe {
                let weights = _mm512_loadu_si512(weights.cast());
                _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(left as i32), weights)
            }
        }
    }

    /// Runs `K` with AVX2.
    ///
    /// # Safety
    /// AVX2 and FMA exist, and `K` is safe to run.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn enter_avx2<K: NarrowKernel>(args: &K::Args) {
        // SAFETY: the caller's promise.
        unsafe { K::run::<Avx2>(args) }
    }

    /// Runs `K` with AVX-512.
    ///
    /// # Safety
    /// AVX-512 F, BW, DQ, VL and FMA exist, and `K` is safe to run.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn enter_avx512<K: NarrowKernel>(args: &K::Args) {
        // SAFETY: the caller's promise.
        unsafe { K::run::<Avx512>(args) }
    }

    /// Runs `K` with AVX-512 and VNNI.
    ///
    /// # Safety
    /// AVX-512 F, BW, DQ, VL, VNNI and FMA exist, and `K` is safe to run.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    pub(super) unsafe fn enter_vnni<K: NarrowKernel>(args: &K::Args) {
        // SAFETY: the caller's promise.
        unsafe { K::run::<Vnni>(args) }
    }
}
