//! AVX2 with FMA: 16 registers of 8 `f32` or 4 `f64`.

use super::vector::{f32_lanes, f64_lanes, operator, vector};
use super::{Kernel, Rounded};
use crate::element::Element;
use core::arch::x86_64::*;

vector!(
    /// 8 `f32`.
    F32x8, __m256, f32, 8, sums 12,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_max_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps
);
vector!(
    /// 4 `f64`.
    F64x4, __m256d, f64, 4, sums 12,
    _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd, _mm256_max_pd,
    _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd
);

// `max` returns its second operand where one is NaN, so NaN passes.
f32_lanes!(F32x8, |x: F32x8| F32x8(_mm256_max_ps(_mm256_setzero_ps(), x.0)), |x: F32x8| F32x8(
    _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x.0, _mm256_setzero_ps()), _mm256_set1_ps(1.0))
));
f64_lanes!(F64x4, 4, |x: F64x4| F64x4(_mm256_max_pd(_mm256_setzero_pd(), x.0)), |x: F64x4| F64x4(
    _mm256_and_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(x.0, _mm256_setzero_pd()), _mm256_set1_pd(1.0))
));

impl Rounded for F32x8 {
    #[inline(always)]
    fn at_most(self, limit: f64) -> Self {
        // SAFETY: a value of this type exists only where its instructions do.
        unsafe { Self(_mm256_min_ps(_mm256_set1_ps(limit as f32), self.0)) }
    }
    #[inline(always)]
    fn at_least(self, limit: f64) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_max_ps(_mm256_set1_ps(limit as f32), self.0)) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: as above.
        unsafe {
            Self(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
        }
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: as above.
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    fn divide(self, by: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_div_ps(self.0, by.0)) }
    }
}

/// Runs `K` with AVX2.
///
/// # Safety
/// AVX2 and FMA exist, and `K` is safe to run.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn enter<E: Element, K: Kernel<E>>(args: &K::Args) {
    // SAFETY: the caller's promise.
    unsafe { K::run::<E::Avx2>(args) }
}
