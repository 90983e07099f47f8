//! What the x86 vector types share: the type, its arithmetic, its loads and stores.

/// An operator on two vectors of a type.
macro_rules! operator {
    ($name:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl core::ops::$trait for $name {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value of this type exists only where its instructions do (`Simd`).
                unsafe { Self($intrinsic(self.0, other.0)) }
            }
        }
    };
}

/// Declares a vector type `$name` over the intrinsic type `$raw`.
macro_rules! vector {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $elem:ident, $lanes:literal, sums $sums:literal,
     $add:ident, $sub:ident, $mul:ident, $div:ident, $max:ident, $fma:ident, $load:ident, $store:ident, $splat:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(pub(in crate::isa) $raw);

        operator!($name, Add, add, $add);
        operator!($name, Sub, sub, $sub);
        operator!($name, Mul, mul, $mul);
        operator!($name, Div, div, $div);
        impl core::ops::Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.constant(0.0) - self
            }
        }
        impl $name {
            #[inline(always)]
            pub(super) fn constant(self, value: $elem) -> Self {
                // SAFETY: as for the operators.
                unsafe { Self($splat(value)) }
            }
            /// `max` of two registers gives the second where one is NaN.
            #[inline(always)]
            pub(super) fn maximum(self, other: Self) -> Self {
                // SAFETY: as for the operators.
                unsafe { Self($max(self.0, other.0)) }
            }
            #[inline(always)]
            pub(super) fn fused(self, factor: Self, addend: Self) -> Self {
                // SAFETY: as for the operators.
                unsafe { Self($fma(self.0, factor.0, addend.0)) }
            }
        }
        impl super::Simd for $name {
            type Elem = $elem;
            const LANES: usize = $lanes;
            const SUMS: usize = $sums;
            #[inline(always)]
            unsafe fn load(from: *const $elem) -> Self {
                // SAFETY: the caller's promise is the same.
                unsafe { Self($load(from)) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: the caller's promise is the same.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn splat(value: $elem) -> Self {
                // SAFETY: the caller's promise is the same.
                unsafe { Self($splat(value)) }
            }
            #[inline(always)]
            fn fetch(place: *const $elem) {
                // SAFETY: fetching ahead reads nothing, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) }
            }
            #[inline(always)]
            fn near(place: *const $elem) {
                // SAFETY: as above.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
            }
        }
    };
}

/// `Lanes` of an `f64` vector: the transcendental functions go lane by lane through the reference.
macro_rules! f64_lanes {
    ($name:ident, $lanes:literal, $relu:expr, $positive:expr) => {
        impl recurve_cell::Lanes for $name {
            #[inline(always)]
            fn like(self, constant: f64) -> Self {
                self.constant(constant)
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self.fused(factor, addend)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                self.each(recurve_cell::Lanes::sigmoid)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                self.each(recurve_cell::Lanes::tanh)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.each(crate::exp64::exp_nonpositive)
            }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                self.maximum(other)
            }
            #[inline(always)]
            fn relu(self) -> Self {
                // SAFETY: a value of this type exists only where its instructions do.
                unsafe { $relu(self) }
            }
            #[inline(always)]
            fn positive(self) -> Self {
                // SAFETY: a value of this type exists only where its instructions do.
                unsafe { $positive(self) }
            }
        }
        impl $name {
            #[inline(always)]
            pub(super) fn each(self, f: impl Fn(f64) -> f64) -> Self {
                let mut lanes = [0.0; $lanes];
                // SAFETY: the array has as many elements as the vector lanes.
                unsafe {
                    super::Simd::store(self, lanes.as_mut_ptr());
                    for lane in &mut lanes {
                        *lane = f(*lane);
                    }
                    super::Simd::load(lanes.as_ptr())
                }
            }
        }
    };
}

/// `Lanes` of an `f32` vector: the transcendental functions are those of `math`.
macro_rules! f32_lanes {
    ($name:ident, $relu:expr, $positive:expr) => {
        impl recurve_cell::Lanes for $name {
            #[inline(always)]
            fn like(self, constant: f64) -> Self {
                self.constant(constant as f32)
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self.fused(factor, addend)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                crate::math::sigmoid(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                crate::math::tanh(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                crate::math::exp(self)
            }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                self.maximum(other)
            }
            #[inline(always)]
            fn relu(self) -> Self {
                // SAFETY: a value of this type exists only where its instructions do.
                unsafe { $relu(self) }
            }
            #[inline(always)]
            fn positive(self) -> Self {
                // SAFETY: a value of this type exists only where its instructions do.
                unsafe { $positive(self) }
            }
        }
    };
}

pub(super) use {f32_lanes, f64_lanes, operator, vector};
