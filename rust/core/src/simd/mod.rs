//! The only unsafe code of the crate: vectors of lanes, chosen once at run time by what the processor has.
//!
//! # How a kernel is written
//!
//! Once, for any width, in six words:
//!
//! - [`Vector`] is some `f32` side by side, one in each of its `LANES`; `Vector::Wide` as many bytes of `f64`.
//!   What both can is [`Lanes`]: linear algebra is written for that, and so for either precision.
//! - [`Kernel`] is a piece of work that holds its arguments; its `run` is generic over the vectors.
//! - [`SimdLevel`] is a kind of vector that this processor has: [`SimdLevel::run`] compiles the kernel for each kind, and
//!   calls the one that was asked for. A plan keeps the level that it was made for, mostly [`SimdLevel::best`].
//! - [`Aligned`] is a piece of memory that is aligned for the widest vector, which has [`MAX_LANES`]: a worker's scratch
//!   is made of such pieces once. A kernel sees them as [`vectors`], and vectors as [`numbers`].
//! - [`RowLoader`] loads the rows that [`Lanes::transposed`] turns into columns; [`Lanes::load_transposed`] does both
//!   for rows a stride apart. But for this and [`Vector::int16_eights`], lanes never mix: results do not depend on the
//!   number of lanes unless a kernel adds them up.
//! - [`ChannelBuffer`] is memory of several channels that is not zeroed before it is written.
//!
//! # What makes it fast
//!
//! - **`#[inline(always)]` on `run` and on all that it calls.** A function of its own would be compiled for the baseline,
//!   or be called with vectors in memory: right, but several times slower. A test, `inlining.rs`, looks for functions
//!   over vectors that lack it. A closure that is handed on cannot be marked; where it matters, as in [`RowLoader`], it is a
//!   struct with a method.
//! - **Arrays of vectors by value, with lengths that are constants**, so that they stay in registers. A reference to one,
//!   a slice of it, or a loop over it whose end is not known when compiling keeps it in memory.
//! - **Several sums side by side.** An addition takes four cycles and two may begin in each: one sum alone waits. How many
//!   fit depends on the registers: 16 up to AVX2, 32 with AVX-512.
//! - **Fused operations by name** ([`Lanes::mul_add`]): the compiler fuses nothing, as results would change.
//! - **Loads that are checked once**, by cutting the slice to the length that the loop needs.
//!
//! A test compares every level ([`SimdLevel::all`]) with a plain computation in `f64`, at lengths around those of the
//! vectors. Time is compared by instructions (`python benches/counts.py --kernels NAME`), which other work on the
//! machine does not change.
//!
//! # A whole one
//!
//! This file is compiled with the tests and runs among them:
//!
//! ```ignore
#![doc = include_str!("example.rs")]
//! ```

#![allow(unsafe_code)]

mod aligned;
mod channel_buffer;
#[cfg(test)]
mod example;
#[cfg(test)]
mod inlining;
mod lanes;
mod level;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use aligned::{Aligned, numbers, numbers_mut, vectors};
pub(crate) use channel_buffer::{ChannelBuffer, INT16, Written};
pub(crate) use lanes::{Lanes, RowLoader, Scalar, Vector};
pub use level::SimdLevel;

/// Lanes of the widest `f32` vector of all levels.
pub(crate) const MAX_LANES: usize = 16;

/// The bits of `sqrt(1/2)`: where [`Vector::split`] cuts between two exponents.
const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

/// Ask for the cache lines of some numbers that will be read soon; changes nothing but the time.
#[inline(always)]
pub(crate) fn prefetch<T>(from: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in from.chunks(64 / size_of::<T>().clamp(1, 64)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of the architecture's baseline, and a prefetch may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Work that is written for any kind of vector. `run` must be `#[inline(always)]`, and so must all that it calls.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;
    /// Do it with vectors of this kind.
    fn run<V: Vector>(self) -> Self::Output;
}
