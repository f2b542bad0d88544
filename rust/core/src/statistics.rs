//! Statistics of a log-Mel spectrogram over time, for each Mel band.

use crate::par::{self, Cancel};
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// What is added to deviations, in dB, before the logarithm.
const DEVIATION_FLOOR_DB: f64 = 1e-3;

/// The percentile of `p5` as a fraction.
const LOW_FRACTION: f64 = 0.05;

/// The statistics of one band of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandStatistics {
    /// Mean of the decibels.
    pub mean: f32,
    /// `ln(std + 1e-3)`, the population's deviation (divided by the number of frames).
    pub lstd: f32,
    /// `ln(std + 1e-3)` of the differences of neighbouring frames, likewise; without any (one frame) `ln(1e-3)`.
    pub ldstd: f32,
    /// 5th percentile, linear between order statistics as numpy's default.
    pub p5: f32,
}

impl BandStatistics {
    /// What stands for a clip that could not be read.
    pub const MISSING: Self = Self { mean: f32::NAN, lstd: f32::NAN, ldstd: f32::NAN, p5: f32::NAN };
}

/// Statistics of every band, one array each: `(clips, n_mels)` for many clips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipStatistics {
    /// See [`BandStatistics::mean`].
    pub mean: Vec<f32>,
    /// See [`BandStatistics::lstd`].
    pub lstd: Vec<f32>,
    /// See [`BandStatistics::ldstd`].
    pub ldstd: Vec<f32>,
    /// See [`BandStatistics::p5`].
    pub p5: Vec<f32>,
}

impl ClipStatistics {
    /// Room for so many values of each.
    #[must_use]
    pub fn with_capacity(size: usize) -> Self {
        let room = || Vec::with_capacity(size);
        Self { mean: room(), lstd: room(), ldstd: room(), p5: room() }
    }

    /// Append those of one clip.
    pub fn extend(&mut self, bands: &[BandStatistics]) {
        self.mean.extend(bands.iter().map(|band| band.mean));
        self.lstd.extend(bands.iter().map(|band| band.lstd));
        self.ldstd.extend(bands.iter().map(|band| band.ldstd));
        self.p5.extend(bands.iter().map(|band| band.p5));
    }
}

/// Statistics of one band over its frames; `sorted` is scratch.
///
/// # Errors
/// [`Error::Array`] if there is no frame, or one that is not finite.
pub fn band(frames: &[f32], sorted: &mut Vec<f32>) -> Result<BandStatistics> {
    if frames.is_empty() {
        return Err(Error::array("logmels", "no frames", "at least one frame"));
    }
    let count = frames.len() as f64;
    let mean = sum(frames, |x| x) / count;
    if !mean.is_finite() {
        let position = frames.iter().position(|x| !x.is_finite()).unwrap_or(0);
        let given = format!("{} at frame {position}", frames[position]);
        return Err(Error::array("logmels", given, "finite decibels"));
    }
    let deviation = (sum(frames, |x| (x - mean) * (x - mean)) / count).sqrt();
    Ok(BandStatistics {
        mean: mean as f32,
        lstd: (deviation + DEVIATION_FLOOR_DB).ln() as f32,
        ldstd: (difference_deviation(frames) + DEVIATION_FLOOR_DB).ln() as f32,
        p5: low_percentile(frames, sorted),
    })
}

/// Statistics of many given spectrograms, `(clips, n_mels, frames)` row by row.
///
/// # Errors
/// As [`clip`]; the message names the clip.
pub fn given(
    logmels: &[f32],
    n_mels: usize,
    frames: usize,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<ClipStatistics> {
    if n_mels == 0 || frames == 0 {
        let given = format!("{n_mels} Mel bands, {frames} frames");
        return Err(Error::array("logmels", given, "at least one of each"));
    }
    let work = |sorted: &mut Vec<f32>, index: usize, logmel: &[f32]| {
        clip(logmel, n_mels, sorted).map_err(|error| match error {
            Error::Array { given, expected, .. } => {
                Error::array(format!("logmels[{index}]"), given, expected)
            }
            other => other,
        })
    };
    let clips: Vec<&[f32]> = logmels.chunks_exact(n_mels * frames).collect();
    let mut statistics = ClipStatistics::with_capacity(clips.len() * n_mels);
    let all = par::map(clips, threads, cancel, Vec::new, work)?;
    all.iter().for_each(|bands| statistics.extend(bands));
    Ok(statistics)
}

/// Statistics of every band of one clip, `(n_mels, frames)` row by row.
///
/// # Errors
/// As [`band`]; the message names the band.
pub fn clip(logmel: &[f32], n_mels: usize, sorted: &mut Vec<f32>) -> Result<Vec<BandStatistics>> {
    let frames = logmel.len() / n_mels.max(1);
    let name = |mel: usize, error| match error {
        Error::Array { array, given, expected } => {
            Error::Array { array, given: format!("{given} of Mel band {mel}"), expected }
        }
        other => other,
    };
    let row = |mel: usize| band(&logmel[mel * frames..][..frames], sorted).map_err(|error| name(mel, error));
    (0..n_mels).map(row).collect()
}

/// Sum in float64 over eight running sums, the order fixed.
fn sum(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f(f64::from(value));
        }
    }
    let rest: f64 = rest.iter().map(|&value| f(f64::from(value))).sum();
    sums.iter().sum::<f64>() + rest
}

/// Population deviation of the differences between neighbours.
fn difference_deviation(frames: &[f32]) -> f64 {
    let [first, .., last] = *frames else { return 0.0 };
    let count = (frames.len() - 1) as f64;
    // Differences add up to the last value less the first.
    let mean = (f64::from(last) - f64::from(first)) / count;
    let mut sums = [0.0; 8];
    let (heads, tails) = (&frames[..frames.len() - 1], &frames[1..]);
    for (from, to) in heads.chunks(8).zip(tails.chunks(8)) {
        for ((sum, &from), &to) in sums.iter_mut().zip(from).zip(to) {
            let deviation = f64::from(to) - f64::from(from) - mean;
            *sum += deviation * deviation;
        }
    }
    (sums.iter().sum::<f64>() / count).sqrt()
}

/// 5th percentile as numpy's `percentile(x, 5)`.
fn low_percentile(frames: &[f32], sorted: &mut Vec<f32>) -> f32 {
    sorted.clear();
    sorted.extend_from_slice(frames);
    let place = LOW_FRACTION * (frames.len() - 1) as f64;
    let below = place as usize;
    let (_, &mut low, above) = sorted.select_nth_unstable_by(below, f32::total_cmp);
    let next = above.iter().copied().reduce(f32::min).unwrap_or(low);
    let (low, next) = (f64::from(low), f64::from(next));
    (low + (next - low) * (place - below as f64)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(frames: &[f32]) -> BandStatistics {
        band(frames, &mut Vec::new()).unwrap()
    }

    #[test]
    fn known_values() {
        let ramp: Vec<f32> = (0..101).map(|i| i as f32).collect();
        let got = of(&ramp);
        assert_eq!((got.mean, got.p5), (50.0, 5.0));
        assert!((got.lstd - (850.0_f32.sqrt() + 1e-3).ln()).abs() < 1e-6);
        assert!((got.ldstd - 1e-3_f32.ln()).abs() < 1e-6, "equal differences do not deviate");
    }

    #[test]
    fn one_and_two_frames() {
        let quiet = 1e-3_f32.ln();
        let one = of(&[-40.0]);
        assert_eq!((one.mean, one.p5), (-40.0, -40.0));
        assert!((one.lstd - quiet).abs() < 1e-6 && (one.ldstd - quiet).abs() < 1e-6);
        let two = of(&[-40.0, -20.0]);
        assert_eq!((two.mean, two.p5), (-30.0, -39.0));
        assert!((two.lstd - 10.001_f32.ln()).abs() < 1e-6 && (two.ldstd - quiet).abs() < 1e-6);
    }

    #[test]
    fn bad_frames_are_named() {
        assert!(band(&[], &mut Vec::new()).is_err());
        let error = clip(&[0.0, 1.0, 2.0, f32::NAN, 3.0, 4.0], 2, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "logmels: NaN at frame 0 of Mel band 1; expected finite decibels");
        let error = clip(&[0.0, f32::INFINITY], 1, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("logmels: inf at frame 1 of Mel band 0;"), "{error}");
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(frames in prop::collection::vec(-100.0_f32..40.0, 1..200)) {
            let got = of(&frames);
            let values: Vec<f64> = frames.iter().map(|&x| f64::from(x)).collect();
            let deviation = |v: &[f64]| {
                let mean = v.iter().sum::<f64>() / v.len() as f64;
                (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt()
            };
            let differences: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).collect();
            let ldstd = if differences.is_empty() { 0.0 } else { deviation(&differences) };
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let place = 0.05 * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            let expected = [
                values.iter().sum::<f64>() / values.len() as f64,
                (deviation(&values) + 1e-3).ln(),
                (ldstd + 1e-3).ln(),
                low + (high - low) * place.fract(),
            ];
            for (got, expected) in [got.mean, got.lstd, got.ldstd, got.p5].into_iter().zip(expected) {
                prop_assert!((f64::from(got) - expected).abs() < 1e-5, "{got} {expected}");
            }
        }
    }
}
