//! AVX-512: 32 registers of 16 `f32` or 8 `f64`.

use super::vector::{f32_lanes, f64_lanes, operator, vector};
use super::{Kernel, Rounded};
use crate::element::Element;
use core::arch::x86_64::*;

vector!(
    /// 16 `f32`.
    F32x16, __m512, f32, 16, sums 24,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps, _mm512_max_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps
);
vector!(
    /// 8 `f64`.
    F64x8, __m512d, f64, 8, sums 24,
    _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd, _mm512_div_pd, _mm512_max_pd,
    _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd
);

// `max` returns its second operand where one is NaN, so NaN passes.
f32_lanes!(
    F32x16,
    |x: F32x16| F32x16(_mm512_max_ps(_mm512_setzero_ps(), x.0)),
    |x: F32x16| F32x16(_mm512_maskz_mov_ps(
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, _mm512_setzero_ps()),
        _mm512_set1_ps(1.0)
    ))
);
f64_lanes!(F64x8, 8, |x: F64x8| F64x8(_mm512_max_pd(_mm512_setzero_pd(), x.0)), |x: F64x8| F64x8(
    _mm512_maskz_mov_pd(
        _mm512_cmp_pd_mask::<_CMP_GT_OQ>(x.0, _mm512_setzero_pd()),
        _mm512_set1_pd(1.0)
    )
));

impl Rounded for F32x16 {
    #[inline(always)]
    fn at_most(self, limit: f64) -> Self {
        // SAFETY: a value of this type exists only where its instructions do.
        unsafe { Self(_mm512_min_ps(_mm512_set1_ps(limit as f32), self.0)) }
    }
    #[inline(always)]
    fn at_least(self, limit: f64) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_max_ps(_mm512_set1_ps(limit as f32), self.0)) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: as above.
        unsafe {
            Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
        }
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_scalef_ps(_mm512_set1_ps(1.0), self.0)) }
    }
    /// The 14-bit reciprocal, one Newton step, and a correction of the quotient by its remainder.
    #[inline(always)]
    fn divide(self, by: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let r = _mm512_rcp14_ps(by.0);
            let r = _mm512_fmadd_ps(_mm512_fnmadd_ps(by.0, r, _mm512_set1_ps(1.0)), r, r);
            let q = _mm512_mul_ps(self.0, r);
            Self(_mm512_fmadd_ps(_mm512_fnmadd_ps(by.0, q, self.0), r, q))
        }
    }
}

/// Runs `K` with AVX-512.
///
/// # Safety
/// AVX-512 F, BW, DQ, VL and FMA exist, and `K` is safe to run.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn enter<E: Element, K: Kernel<E>>(args: &K::Args) {
    // SAFETY: the caller's promise.
    unsafe { K::run::<E::Avx512>(args) }
}
