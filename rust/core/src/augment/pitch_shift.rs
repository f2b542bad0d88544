//! Pitch shift that keeps the length: a resampling, then the time stretch that undoes its change of length.

use super::sinc::{Ratio, resample_into};
use super::time_stretch::{StretchScratch, Stretcher};
use super::{check_range, check_samples};
use crate::Result;
use crate::par::Cancel;

/// Semitones that are accepted in either direction: two octaves, as the stretch takes rates from 1/4 to 4.
pub(super) const SEMITONES: f64 = 24.0;

/// The working memory of one thread.
pub struct PitchScratch {
    stretch: StretchScratch,
    resampled: Vec<f32>,
    padded: Vec<f32>,
}

impl PitchScratch {
    pub(super) fn new(stretcher: &Stretcher) -> Self {
        Self { stretch: stretcher.scratch(), resampled: Vec::new(), padded: Vec::new() }
    }

    pub(super) fn stretch(&mut self) -> &mut StretchScratch {
        &mut self.stretch
    }
}

/// Multiply all frequencies of a clip by `2^(semitones / 12)`; as many samples come back.
///
/// # Errors
/// [`crate::Error::Parameter`] if there are more than 24 semitones or the sample rate is not within 1 to 768
/// kHz, [`crate::Error::Array`] if a sample is not finite, [`crate::Error::Interrupted`].
pub fn pitch_shift(samples: &[f32], semitones: f64, sample_rate: u32, cancel: &Cancel) -> Result<Vec<f32>> {
    check_samples(samples)?;
    check_range("semitones", semitones, -SEMITONES, SEMITONES)?;
    let stretcher = Stretcher::new(sample_rate)?;
    let mut out = vec![0.0; samples.len()];
    let mut scratch = PitchScratch::new(&stretcher);
    pitch_shift_into(&stretcher, samples, semitones, &mut out, &mut scratch, cancel)?;
    Ok(out)
}

/// [`pitch_shift`] of checked parameters into an array of the clip's length.
pub(super) fn pitch_shift_into(
    stretcher: &Stretcher,
    samples: &[f32],
    semitones: f64,
    out: &mut [f32],
    scratch: &mut PitchScratch,
    cancel: &Cancel,
) -> Result<()> {
    let ratio = Ratio::nearest((semitones / 12.0).exp2());
    if ratio.value() == 1.0 {
        out.copy_from_slice(samples);
        return Ok(());
    }
    // Resampling first keeps the number of frames that the stretch works on the same for every shift.
    resample_into(samples, ratio, &mut scratch.resampled, &mut scratch.padded);
    stretcher.stretch_into(&scratch.resampled, ratio.value().recip(), out, &mut scratch.stretch, cancel)
}
