//! Time stretch that suits machine sounds: many steady partials over noise, with clicks.
//!
//! A phase vocoder. Output frames lie one hop apart; the input frame of each is read where the stretch puts
//! it, and a second input frame exactly one output hop before it. Each bin keeps the magnitude of its input
//! and is rotated:
//!
//! - At a peak of the spectrum, by the phase that the previous output frame had, advanced by what the two
//!   input frames measure. For a steady partial this is exact, whatever its frequency.
//! - From a peak down to the valleys on both sides, by the peak's rotation: the bins of a partial stay in
//!   step with each other.
//! - Where the group delay of a few neighbouring bins shows that their energy lies off the frame's centre (a
//!   click), the rotation also changes from bin to bin, so that the energy's distance from the centre is
//!   stretched as the time is. All frames that hold a click then put it at the same place.
//! - A peak whose energy has just risen, and that no deep valley parts from the bins below, follows the
//!   rotation that these have reached. So the bins of a click keep their relations over the whole spectrum.
//!
//! The first rule is the standard vocoder with an exact phase advance, the second is phase locking (Laroche
//! and Dolson 1999); scaling the phase gradient over frequency is due to Prusa and Holighaus (2017).

use super::checks::check_range;
use super::vocoder::Vocoder;
use crate::par::Cancel;
use crate::{Error, Result, samples};

/// Stretch rates that are accepted.
pub(super) const RATES: (f64, f64) = (0.25, 4.0);

/// Number of samples of a stretched clip.
///
/// # Errors
/// [`Error::Parameter`] if the rate is not within 0.25 to 4.
pub fn stretched_length(samples: usize, rate: f64) -> Result<usize> {
    check_range("rate", rate, RATES.0, RATES.1)?;
    Ok((samples as f64 / rate).round_ties_even() as usize)
}

/// Play a clip `rate` times as fast without changing its pitch, into an array of [`stretched_length`].
///
/// # Errors
/// [`Error::Parameter`] if the rate is not within 0.25 to 4 or the sample rate not within 1 to 768 kHz,
/// [`Error::Array`] if a sample is not finite or `out` not as long, [`Error::Interrupted`].
pub fn time_stretch(
    clip: &[f32],
    rate: f64,
    sample_rate: u32,
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    let length = stretched_length(clip.len(), rate)?;
    samples::check(clip, cancel)?;
    let vocoder = Vocoder::new(sample_rate)?;
    if out.len() != length {
        return Err(Error::array("out", format!("{} samples", out.len()), format!("{length} samples")));
    }
    if rate == 1.0 {
        out.copy_from_slice(clip);
        return Ok(());
    }
    vocoder.stretch_into(clip, rate, out, &mut vocoder.scratch(), cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE_RATE: u32 = 16_000;

    fn stretch(samples: &[f32], rate: f64) -> Vec<f32> {
        let mut out = vec![f32::NAN; stretched_length(samples.len(), rate).unwrap()];
        time_stretch(samples, rate, SAMPLE_RATE, &mut out, &Cancel::default()).unwrap();
        out
    }

    fn tone(hz: f64, length: usize) -> Vec<f32> {
        let angle = |i: usize| std::f64::consts::TAU * hz * i as f64 / f64::from(SAMPLE_RATE);
        (0..length).map(|i| angle(i).sin() as f32).collect()
    }

    /// Part of a signal that a sine of that frequency leaves over, in dB.
    fn rest_db(samples: &[f32], hz: f64) -> f64 {
        let angle = |i: usize| std::f64::consts::TAU * hz * i as f64 / f64::from(SAMPLE_RATE);
        let part = |wave: fn(f64) -> f64| {
            let products = samples.iter().enumerate().map(|(i, &x)| f64::from(x) * wave(angle(i)));
            2.0 * products.sum::<f64>() / samples.len() as f64
        };
        let (sine, cosine) = (part(f64::sin), part(f64::cos));
        let fitted = |i: usize| sine * angle(i).sin() + cosine * angle(i).cos();
        let rest = samples.iter().enumerate().map(|(i, &x)| (f64::from(x) - fitted(i)).powi(2)).sum::<f64>();
        10.0 * (rest / samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>()).log10()
    }

    #[test]
    fn a_tone_stays_pure() {
        // 500 Hz lies on a bin of the transform, whose spectrum holds but rounding errors further off.
        for hz in [500.0, 505.0] {
            let clip = tone(hz, 48_000);
            for rate in [0.5, 0.8, 1.1, 2.0] {
                let out = stretch(&clip, rate);
                let middle = &out[out.len() / 2 - 6400..out.len() / 2 + 6400]; // whole periods
                let rest = rest_db(middle, hz);
                assert!(rest < -90.0, "{hz} Hz, rate {rate}: {rest} dB");
            }
        }
    }

    #[test]
    fn a_click_stays_where_it_belongs() {
        let mut clip = vec![0.0; 32_000];
        clip[12_345] = 0.9;
        for rate in [0.5, 0.8, 1.1, 2.0] {
            let out = stretch(&clip, rate);
            let energy: f32 = out.iter().map(|x| x * x).sum();
            let place = (12_345.0 / rate).round() as usize;
            let near: f32 = out[place - 80..place + 80].iter().map(|x| x * x).sum();
            assert!(near > 0.99 * energy, "rate {rate}: {}", near / energy);
        }
    }

    #[test]
    fn an_output_of_another_length_is_refused() {
        let got = time_stretch(&[0.0; 10], 2.0, SAMPLE_RATE, &mut [0.0; 6], &Cancel::default());
        assert_eq!(got.unwrap_err().to_string(), "out: 6 samples; expected 5 samples");
    }

    #[test]
    fn silence_stays_silent_and_nothing_stays_nothing() {
        assert!(stretch(&[0.0; 5000], 1.3).iter().all(|&x| x == 0.0));
        assert!(stretch(&[], 0.7).is_empty());
        assert_eq!(stretch(&[0.5], 1.9).len(), 1);
    }

    #[test]
    fn rate_1_changes_nothing() {
        let clip = tone(440.0, 3000);
        assert_eq!(stretch(&clip, 1.0), clip);
    }

    #[test]
    fn the_level_does_not_matter() {
        let clip = tone(440.0, 6000);
        let expected = stretch(&clip, 1.2);
        for level in [1e-38_f32, 1e-20, 1e-6, 1e11] {
            let out = stretch(&clip.iter().map(|x| x * level).collect::<Vec<_>>(), 1.2);
            for (a, b) in out.iter().zip(&expected) {
                assert!((a / level - b).abs() < 1e-3, "level {level}: {} and {b}", a / level);
            }
        }
        let least = f32::from_bits(1);
        assert!(stretch(&[least; 5000], 0.9).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn bad_parameters_and_samples_are_refused() {
        let refused = |samples: &[f32], rate, sample_rate| {
            let out = &mut vec![0.0; samples.len()];
            time_stretch(samples, rate, sample_rate, out, &Cancel::default()).unwrap_err().to_string()
        };
        assert_eq!(refused(&[0.0], 5.0, 16_000), "rate = 5: expected a number from 0.25 to 4");
        assert!(refused(&[0.0], f64::NAN, 16_000).starts_with("rate = NaN"));
        assert!(refused(&[0.0], 1.0, 0).starts_with("sample_rate = 0: expected"));
        assert!(refused(&[0.0, f32::NAN], 1.0, 16_000).starts_with("samples: NaN at position 1"));
        assert!(refused(&[f32::INFINITY], 1.0, 16_000).starts_with("samples: inf at position 0"));
    }

    #[test]
    fn a_raised_flag_stops_it() {
        let cancel = Cancel::default();
        cancel.cancel();
        let got = time_stretch(&[0.0; 100], 1.25, SAMPLE_RATE, &mut [0.0; 80], &cancel);
        assert!(matches!(got, Err(Error::Interrupted)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn lengths_are_exact_and_values_bounded(
            clip in prop::collection::vec(-1.0_f32..=1.0, 0..4000),
            rate in 0.25_f64..=4.0,
            sample_rate in 1_000_u32..50_000,
        ) {
            let mut out = vec![f32::NAN; (clip.len() as f64 / rate).round_ties_even() as usize];
            time_stretch(&clip, rate, sample_rate, &mut out, &Cancel::default()).unwrap();
            prop_assert!(out.iter().all(|x| x.abs() < 20.0));
        }
    }
}
