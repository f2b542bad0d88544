//! Augmentations of training clips: parameters in, samples out, no hidden state.
//!
//! Each effect is a function of one clip; [`Augmenter`] draws one of them for each clip of a batch.

mod augmenter;
mod class;
mod elementary;
pub mod fade;
pub mod mask;
pub mod noise;
mod phases;
pub mod pitch_shift;
pub mod time_shift;
pub mod time_stretch;
mod vocoder;

pub use augmenter::{Augmented, Augmenter, Key, Masks, Ranges, Scratch, augment_logmels};
pub use class::Class;
pub use fade::{Shape, fade, fade_in_place};
pub use mask::{Band, frequency_mask, frequency_mask_in_place, time_mask, time_mask_in_place};
pub use noise::{white_noise, white_noise_into};
pub use pitch_shift::{pitch_shift, pitch_shift_into};
pub use time_shift::{time_shift, time_shift_into};
pub use time_stretch::{time_stretch, time_stretch_into};

use crate::simd::{Kernel, Level, Vector};
use crate::{Error, Result};
use std::ops::Range;

/// Largest magnitude of a sample: far above any sound, and no effect can make it overflow.
pub const MAX_SAMPLE: f32 = 1e30;

/// Samples that are checked and copied at a time: they stay in the nearest cache in between.
const NEAR: usize = 2048;

/// Refuse samples that are not numbers, infinite or absurd.
///
/// # Errors
/// [`Error::Array`] with the first offending position.
pub(crate) fn check_samples(samples: &[f32]) -> Result<()> {
    check_samples_in(samples, 0..samples.len())
}

/// [`check_samples`] of a part of them.
pub(crate) fn check_samples_in(samples: &[f32], part: Range<usize>) -> Result<()> {
    // The whole is tested before the place is sought: it vectorises.
    if Level::best().run(Sound(&samples[part.clone()])) {
        return Ok(());
    }
    let bad = |&i: &usize| samples[i].is_nan() || samples[i].abs() > MAX_SAMPLE;
    let place = part.into_iter().find(bad).unwrap_or_default();
    Err(Error::array(
        "samples",
        format!("{} at position {place}", samples[place]),
        format!("finite numbers of at most {MAX_SAMPLE:e}"),
    ))
}

/// Whether all samples are sound.
struct Sound<'a>(&'a [f32]);

impl Kernel for Sound<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        sound(self.0)
    }
}

#[inline(always)]
fn sound(samples: &[f32]) -> bool {
    greatest(samples) <= MAX_SAMPLE.to_bits()
}

/// The bits of the greatest magnitude: of positive numbers the order is that of their bits, NaN above infinity, and
/// the maximum of integers vectorises.
#[inline(always)]
fn greatest(samples: &[f32]) -> u32 {
    samples.iter().fold(0, |greatest, x| greatest.max(x.abs().to_bits()))
}

/// Copy samples into as many places, and look at each on the way. Returns whether all are sound.
struct Copy<'a>(&'a [f32], &'a mut [f32]);

impl Kernel for Copy<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let copy = |greatest: u32, (out, x): (&mut f32, &f32)| {
            *out = *x;
            greatest.max(x.abs().to_bits())
        };
        self.1.iter_mut().zip(self.0).fold(0, copy) <= MAX_SAMPLE.to_bits()
    }
}

/// Copy pieces that make up `samples` one after the other into `out`, which is as long.
///
/// # Errors
/// As [`check_samples`]; `out` then holds nothing of use.
pub(crate) fn join_into(samples: &[f32], pieces: [&[f32]; 2], out: &mut [f32]) -> Result<()> {
    let (first, second) = out.split_at_mut(pieces[0].len());
    let level = Level::best();
    let sound = [level.run(Copy(pieces[0], first)), level.run(Copy(pieces[1], second))];
    if sound == [true; 2] { Ok(()) } else { check_samples(samples) }
}

/// Append samples to a vector that has room for them, and look at each on the way. Returns whether all are sound.
struct Append<'a>(&'a [f32], &'a mut Vec<f32>);

impl Kernel for Append<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        append(self.0, self.1) <= MAX_SAMPLE.to_bits()
    }
}

/// Copy samples to the end of a vector that has room for them; returns their [`greatest`].
#[inline(always)]
fn append(samples: &[f32], out: &mut Vec<f32>) -> u32 {
    let mut greatest = 0;
    out.extend(samples.iter().map(|&x| {
        greatest = x.abs().to_bits().max(greatest);
        x
    }));
    greatest
}

/// [`join_into`] a vector of its own.
///
/// # Errors
/// As [`check_samples`].
pub(crate) fn joined(samples: &[f32], pieces: [&[f32]; 2]) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(samples.len());
    let level = Level::best();
    if pieces.into_iter().fold(true, |good, piece| good & level.run(Append(piece, &mut out))) {
        return Ok(out);
    }
    check_samples(samples).map(|()| out)
}

/// Refuse an output that is not as long as the clip.
pub(crate) fn check_length(samples: &[f32], out: &[f32]) -> Result<()> {
    if samples.len() == out.len() {
        return Ok(());
    }
    let expected = format!("{} samples, as many as the clip has", samples.len());
    Err(Error::array("out", format!("{} samples", out.len()), expected))
}

/// Refuse a parameter that is not within `low..=high`.
pub(crate) fn check_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::parameter(name, value, format!("a number from {low} to {high}")))
}
