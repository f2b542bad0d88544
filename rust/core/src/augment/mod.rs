//! Augmentations of training clips: parameters in, samples out, no hidden state.
//!
//! Each effect is a function of one clip; [`Augmenter`] draws one of them for each clip of a batch.

mod augmenter;
mod class;
mod elementary;
pub mod fade;
pub mod mask;
pub mod noise;
pub mod pitch_shift;
mod sinc;
pub mod time_shift;
pub mod time_stretch;
mod vocoder;

pub use augmenter::{Augmented, Augmenter, Key, Masks, Ranges, Scratch, augment_logmels};
pub use class::Class;
pub use fade::{Shape, fade};
pub use mask::{Band, frequency_mask, time_mask};
pub use noise::white_noise;
pub use pitch_shift::pitch_shift;
pub use time_shift::time_shift;
pub use time_stretch::{Stretcher, time_stretch};

use crate::{Error, Result};

/// Largest magnitude of a sample: far above any sound, and no effect can make it overflow.
pub const MAX_SAMPLE: f32 = 1e30;

/// Refuse samples that are not numbers, infinite or absurd.
///
/// # Errors
/// [`Error::Array`] with the first offending position.
pub(crate) fn check_samples(samples: &[f32]) -> Result<()> {
    // NaN fails the comparison too. The whole is tested before the place is sought: it vectorises.
    if samples.iter().fold(true, |good, x| good & (x.abs() <= MAX_SAMPLE)) {
        return Ok(());
    }
    let bad = |x: &f32| x.is_nan() || x.abs() > MAX_SAMPLE;
    let place = samples.iter().position(bad).unwrap_or_default();
    Err(Error::array(
        "samples",
        format!("{} at position {place}", samples[place]),
        format!("finite numbers of at most {MAX_SAMPLE:e}"),
    ))
}

/// Refuse a parameter that is not within `low..=high`.
pub(crate) fn check_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::parameter(name, value, format!("a number from {low} to {high}")))
}
