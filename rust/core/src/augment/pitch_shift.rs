//! Pitch shift that keeps the length: a resampling, and the time stretch that undoes its change of length.

use super::checks::{check_length, check_range};
use super::vocoder::{StretchScratch, Vocoder};
use crate::par::Cancel;
use crate::resample::{ResampleScratch, Resampler};
use crate::simd::SimdLevel;
use crate::{Result, memory, samples};

/// Semitones that are accepted in either direction: two octaves, as the stretch takes rates from 1/4 to 4.
pub(super) const SEMITONES: f64 = 24.0;
/// Relative error that the fraction in place of a ratio may have: 0.005 cent.
const TOLERANCE: f64 = 3e-6;

/// The working memory of one thread.
pub(super) struct PitchScratch {
    stretch: StretchScratch,
    /// The clip after the first of the two steps.
    between: Vec<f32>,
    resample: ResampleScratch,
}

impl PitchScratch {
    pub(super) fn new(vocoder: &Vocoder) -> Self {
        Self { stretch: vocoder.scratch(), between: Vec::new(), resample: ResampleScratch::default() }
    }

    pub(super) fn stretch(&mut self) -> &mut StretchScratch {
        &mut self.stretch
    }
}

/// Multiply all frequencies of a clip by `2^(semitones / 12)`, into an array of the clip's length.
///
/// # Errors
/// [`crate::Error::Parameter`] if there are more than 24 semitones or the sample rate is not within 1 to 768
/// kHz, [`crate::Error::Array`] if a sample is not finite or the lengths differ, [`crate::Error::Interrupted`].
pub fn pitch_shift(
    clip: &[f32],
    semitones: f64,
    sample_rate: u32,
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    samples::check(clip, cancel)?;
    check_length(clip, out)?;
    check_range("semitones", semitones, -SEMITONES, SEMITONES)?;
    let vocoder = Vocoder::new(sample_rate)?;
    shift_into(vocoder, clip, semitones, out, &mut PitchScratch::new(vocoder), cancel)
}

/// [`pitch_shift`] of checked parameters into an array of the clip's length.
pub(super) fn shift_into(
    vocoder: &Vocoder,
    samples: &[f32],
    semitones: f64,
    out: &mut [f32],
    scratch: &mut PitchScratch,
    cancel: &Cancel,
) -> Result<()> {
    let ratio = (semitones / 12.0).exp2();
    let (numerator, denominator) = fraction(ratio);
    if numerator == denominator {
        out.copy_from_slice(samples);
        return Ok(());
    }
    let resampler = Resampler::ratio(numerator, denominator, SimdLevel::best());
    let slower = denominator as f64 / numerator as f64;
    // The stretch works on whichever version of the clip has the higher pitch: its partials lie further
    // apart, and no shift needs more frames than the clip has.
    let PitchScratch { stretch, between, resample } = scratch;
    if slower < 1.0 {
        memory::resize(between, resampler.len(samples.len() as u64) as usize, 0.0)?;
        resampler.process_into(samples, between, resample, cancel)?;
        vocoder.stretch_into(between, slower, out, stretch, cancel)
    } else {
        memory::resize(between, (samples.len() as f64 / slower).ceil() as usize + resampler.reach(), 0.0)?;
        vocoder.stretch_into(samples, slower, between, stretch, cancel)?;
        resampler.process_into(between, out, resample, cancel)
    }
}

/// The fraction with the smallest terms within the tolerance, by continued fractions: places are then exact, and
/// the phases of a resampling filter repeat.
fn fraction(value: f64) -> (u64, u64) {
    let (mut old, mut new) = ((0_u64, 1_u64), (1_u64, 0_u64));
    let mut rest = value;
    loop {
        let whole = rest.floor();
        let next = (whole as u64 * new.0 + old.0, whole as u64 * new.1 + old.1);
        (old, new) = (new, next);
        if (new.0 as f64 / new.1 as f64 / value - 1.0).abs() < TOLERANCE {
            return new;
        }
        rest = (rest - whole).recip();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use proptest::prelude::*;

    fn shift(samples: &[f32], semitones: f64) -> Vec<f32> {
        let mut out = vec![f32::NAN; samples.len()];
        pitch_shift(samples, semitones, 16_000, &mut out, &Cancel::default()).unwrap();
        out
    }

    /// Zero crossings of the middle half.
    fn crossings(samples: &[f32]) -> usize {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        middle.windows(2).filter(|pair| (pair[0] < 0.0) != (pair[1] < 0.0)).count()
    }

    #[test]
    fn an_octave_doubles_and_halves_the_frequency() {
        let clip: Vec<f32> = (0..32_000).map(|i| (0.3 * i as f32).sin()).collect();
        let before = crossings(&clip);
        for (semitones, expected) in [(12.0, 2 * before), (-12.0, before / 2), (24.0, 4 * before)] {
            let after = crossings(&shift(&clip, semitones));
            assert!(after.abs_diff(expected) <= 2, "{semitones}: {after} for {expected}");
        }
    }

    #[test]
    fn fractions_are_close_and_short() {
        for cents in -2400..=2400 {
            let exact = (f64::from(cents) / 1200.0).exp2();
            let (numerator, denominator) = fraction(exact);
            assert!((numerator as f64 / denominator as f64 / exact - 1.0).abs() < TOLERANCE);
        }
        assert_eq!(fraction(2.0), (2, 1));
        assert_eq!(fraction(0.75), (3, 4));
    }

    #[test]
    fn no_shift_changes_nothing() {
        let clip = [0.1, -0.2, 0.3];
        assert_eq!(shift(&clip, 0.0), clip);
        assert_eq!(shift(&clip, 1e-9), clip);
        assert!(shift(&[], 3.0).is_empty());
    }

    #[test]
    fn what_is_lost_above_nyquist_does_not_fold_back() {
        // 7.4 kHz at 16 kHz
        let clip: Vec<f32> = (0..32_000).map(|i| (2.9 * f64::from(i)).sin() as f32).collect();
        let out = shift(&clip, 7.0);
        let loudest = out[8_000..24_000].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        assert!(loudest < 3e-5, "{loudest}");
    }

    #[test]
    fn bad_parameters_and_samples_are_refused() {
        let refused = |samples: &[f32], semitones| {
            pitch_shift(samples, semitones, 16_000, &mut [0.0], &Cancel::default()).unwrap_err().to_string()
        };
        assert_eq!(refused(&[0.0], 25.0), "semitones = 25: expected a number from -24 to 24");
        assert!(refused(&[0.0], f64::NEG_INFINITY).starts_with("semitones = -inf"));
        assert!(refused(&[2e12], 1.0).starts_with("samples: 2"));
        let got = pitch_shift(&[0.0; 9], 1.0, 999, &mut [0.0; 9], &Cancel::default());
        assert!(matches!(got, Err(Error::Parameter { parameter: "sample_rate", .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn lengths_are_kept_and_values_bounded(
            clip in prop::collection::vec(-1.0_f32..=1.0, 0..4000),
            semitones in -24.0_f64..=24.0,
        ) {
            let out = shift(&clip, semitones);
            prop_assert_eq!(out.len(), clip.len());
            prop_assert!(out.iter().all(|x| x.abs() < 20.0));
        }
    }
}
