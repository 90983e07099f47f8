//! Plain loops, compiled for the vectors of an instruction set.
//!
//! Rust compiles a program for the processors that everybody has. A loop over floats that is written
//! without any vector in it runs several times faster where the compiler may use those of the machine;
//! [`Isa::run`] is the safe door to that, for crates that allow themselves no `unsafe`. The compiler
//! contracts and reorders nothing, so such a loop gives the same bits on every instruction set.

use crate::detect::Isa;
use crate::isa::{Kernel, Simd, entry};
use std::cell::Cell;
use std::marker::PhantomData;

/// Work that is all loops. [`Loops::run`] and what it calls must be `#[inline(always)]`: only what is
/// inlined is compiled anew.
pub trait Loops {
    /// What comes of it.
    type Output;
    /// Does it.
    fn run(self) -> Self::Output;
}

impl Isa {
    /// Runs `work`, compiled for this instruction set.
    #[inline]
    pub fn run<L: Loops>(self, work: L) -> L::Output {
        let task = Task { work: Cell::new(Some(work)), output: Cell::new(None) };
        // SAFETY: the kernel asks for nothing but its instructions, which an `Isa` proves.
        unsafe { entry::<f32, Run<L>>(self)(&task) }
        task.output.into_inner().expect("the kernel leaves an output")
    }
}

struct Task<L: Loops> {
    work: Cell<Option<L>>,
    output: Cell<Option<L::Output>>,
}

struct Run<L>(PhantomData<L>);

impl<L: Loops> Kernel<f32> for Run<L> {
    type Args = Task<L>;
    /// # Safety
    /// The instructions of `V` exist.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(task: &Task<L>) {
        task.output.set(task.work.take().map(|work| work.run()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dot<'a>(&'a [f64], &'a [f64]);

    impl Loops for Dot<'_> {
        type Output = f64;
        #[inline(always)]
        fn run(self) -> f64 {
            let mut sums = [0.0; 8];
            for (a, b) in self.0.as_chunks::<8>().0.iter().zip(self.1.as_chunks::<8>().0) {
                for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    *sum += a * b;
                }
            }
            sums.iter().sum()
        }
    }

    #[test]
    fn a_loop_gives_the_same_bits_on_every_instruction_set() {
        let a: Vec<f64> = (0..800).map(|i| f64::from(i).sin()).collect();
        let b: Vec<f64> = (0..800).map(|i| f64::from(i).sqrt()).collect();
        let plain = Dot(&a, &b).run();
        for isa in Isa::available() {
            assert_eq!(isa.run(Dot(&a, &b)).to_bits(), plain.to_bits(), "{isa}");
        }
    }
}
