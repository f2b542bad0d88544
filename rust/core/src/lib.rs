//! Signal kernels of offkey. No Python here: parameters in, samples out, no hidden state.
//!
//! Every kernel that works on many clips takes a [`par::Cancel`] and a number of threads; the result never
//! depends on that number. Random numbers come from counter-based streams ([`rng`]).

#![deny(unsafe_code)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "a target of 64 bits is needed: samples are counted in usize, and a recording may have more than 2^32"
);

pub mod augment;
pub mod decode;
mod error;
mod fft;
pub mod gaussian;
pub mod mel;
mod memory;
pub mod par;
mod pool;
pub mod processor;
pub mod quality;
pub mod ranking;
pub mod resample;
pub mod rng;
mod samples;
pub mod simd;
pub mod statistics;

pub use error::{Error, Result};
pub use samples::MAX_SAMPLE;
