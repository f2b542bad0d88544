//! Signal kernels of offkey. No Python here: parameters in, samples out, no hidden state.
//!
//! Every kernel that works on many clips takes a [`par::Cancel`] and a number of threads; the result never
//! depends on that number. Random numbers come from counter-based streams ([`rng`]).

#![deny(unsafe_code)]

pub mod augment;
pub mod decode;
mod error;
mod fft;
pub mod gaussian;
pub mod mel;
mod memory;
pub mod par;
pub mod processor;
pub mod ranking;
pub mod resample;
pub mod rng;
mod samples;
pub mod simd;
pub mod statistics;

pub use error::{Error, Result};
pub use samples::MAX_SAMPLE;
