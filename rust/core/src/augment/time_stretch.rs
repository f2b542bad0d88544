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

use super::vocoder::{Line, Rows, Stretch, pairs};
use super::{check_range, check_samples};
use crate::fft::{Fft, unit};
use crate::par::Cancel;
use crate::simd::{Block, Level};
use crate::{Error, Result};
use std::sync::OnceLock;

/// Length of a frame. Partials 50 Hz apart stay 50 dB pure, those 25 Hz apart do not; a longer frame would tell
/// these apart, but blur clicks that follow each other within 0.15 s.
const FRAME_S: f64 = 0.128;
/// Frames overlap threefold, the least at which the squares of the squared windows add up to a constant.
const OVERLAP: usize = 3;
/// Neighbouring bins whose group delay is measured together.
pub(super) const GROUP: usize = 8;
/// Weight of the rotation that comes from below, through the valley, against that from the previous frame.
/// More keeps clicks in quick succession together, less the level of noise.
pub(super) const VERTICAL_WEIGHT: f32 = 2.0;
/// A group delay beyond this part of the frame's half is the window's own edge, not a click.
pub(super) const DELAY_LIMIT: f32 = 0.8;
/// Stretch rates that are accepted.
pub(super) const RATES: (f64, f64) = (0.25, 4.0);
/// Sample rates that are accepted.
pub(super) const SAMPLE_RATES: (u32, u32) = (1_000, 768_000);

/// The plan of a time stretch: windows and transforms, shared by all threads.
pub struct Stretcher {
    hop: usize,
    /// Half of the window: the last step of the transform doubles.
    pub(super) window: Vec<f32>,
    /// The window again, divided by the sum of the squared windows that overlap and by the transform's
    /// length, every second value negative as the transform leaves the samples.
    pub(super) synthesis: Vec<f32>,
    pub(super) fft: Fft,
    /// `e^(-2 pi i k / length)` for `k` in `1..length / 4`.
    pub(super) parting: Vec<[f32; 2]>,
    level: Level,
}

/// The working memory of one thread.
pub struct StretchScratch {
    /// Windowed samples, a frame in each row.
    pub(super) frames: Vec<f32>,
    pub(super) buffers: [Vec<Block>; 2],
    pub(super) turns: Vec<Block>,
    /// For each group of bins and lane.
    pub(super) delays: Rows,
    /// The input frames and those a hop before them, turned; the output frames behind the last of the batch
    /// before.
    pub(super) aim: Rows,
    pub(super) earlier: Rows,
    pub(super) output: Rows,
    pub(super) line: Line,
}

impl Stretcher {
    /// The plan for a sample rate, whose frames last 128 ms, rounded to a power of two of samples. It is made once
    /// and kept.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the sample rate is not within 1 to 768 kHz.
    pub fn new(sample_rate: u32) -> Result<&'static Self> {
        static PLANS: [OnceLock<Stretcher>; 32] = [const { OnceLock::new() }; 32];
        let exponent = exponent(sample_rate)?;
        Ok(PLANS[exponent as usize].get_or_init(|| Self::with_level(1 << exponent, Level::best())))
    }

    fn with_level(length: usize, level: Level) -> Self {
        let hop = length.div_ceil(OVERLAP);
        let hann = |i: usize| (std::f64::consts::PI * (i as f64 + 0.5) / length as f64).sin().powi(2);
        let window: Vec<f64> = (0..length).map(hann).collect();
        let mut overlap = vec![0.0; hop];
        for (i, w) in window.iter().enumerate() {
            overlap[i % hop] += w * w * length as f64;
        }
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let synthesis = window.iter().enumerate().map(|(i, w)| (sign(i) * w / overlap[i % hop]) as f32);
        Self {
            hop,
            synthesis: synthesis.collect(),
            window: window.iter().map(|&w| 0.5 * w as f32).collect(),
            fft: Fft::new(length / 2),
            parting: (1..length / 4).map(|k| unit(k, length)).collect(),
            level,
        }
    }

    /// Samples of a frame.
    pub(super) fn length(&self) -> usize {
        self.window.len()
    }

    /// Samples from one output frame to the next.
    pub(super) fn hop(&self) -> usize {
        self.hop
    }

    /// Frequencies of a spectrum.
    pub(super) fn bins(&self) -> usize {
        self.length() / 2 + 1
    }

    /// The bins with some zeros behind them, which fill vectors.
    pub(super) fn row(&self) -> usize {
        (self.bins() + 1).next_multiple_of(16)
    }

    /// Samples from one row of frames to the next: not a power of two, whose places share few sets of the cache.
    pub(super) fn frame_stride(&self) -> usize {
        self.length() + 16
    }

    /// Working memory for one thread.
    #[must_use]
    pub fn scratch(&self) -> StretchScratch {
        let (lanes, row) = (self.level.lanes(), self.row());
        StretchScratch {
            frames: vec![0.0; lanes * self.frame_stride()],
            buffers: [pairs(self.level, row), pairs(self.level, row)],
            turns: pairs(self.level, row),
            delays: Rows::zeros(lanes * self.bins().div_ceil(GROUP)),
            aim: Rows::zeros(lanes * row),
            earlier: Rows::zeros(lanes * row),
            output: Rows::zeros((lanes + 1) * row),
            line: Line::new(row),
        }
    }

    /// Fill `out` with the beginning of the clip played `rate` times as fast; behind the clip's end comes
    /// silence.
    ///
    /// The samples and the rate must have been checked.
    pub(super) fn stretch_into(
        &self,
        samples: &[f32],
        rate: f64,
        out: &mut [f32],
        scratch: &mut StretchScratch,
        cancel: &Cancel,
    ) -> Result<()> {
        out.fill(0.0);
        if samples.is_empty() || out.is_empty() {
            return Ok(());
        }
        let scale = safe_scale(samples);
        self.level.run(Stretch { plan: self, samples, scale, rate, out: &mut *out, scratch, cancel })?;
        if scale != 1.0 {
            out.iter_mut().for_each(|x| *x = (*x / scale).clamp(-f32::MAX, f32::MAX));
        }
        Ok(())
    }
}

/// The length of a sample rate's frames as a power of two.
fn exponent(sample_rate: u32) -> Result<u32> {
    let (low, high) = SAMPLE_RATES;
    if !(low..=high).contains(&sample_rate) {
        let expected = format!("a number from {low} to {high} (Hz)");
        return Err(Error::parameter("sample_rate", sample_rate, expected));
    }
    Ok((FRAME_S * f64::from(sample_rate)).log2().round() as u32)
}

/// A power of two that brings a clip near full scale, so that squares of squares stay within single
/// precision.
fn safe_scale(samples: &[f32]) -> f32 {
    let mut peaks = [0.0_f32; 16];
    for chunk in samples.chunks(16) {
        for (peak, x) in peaks.iter_mut().zip(chunk) {
            *peak = if x.abs() > *peak { x.abs() } else { *peak };
        }
    }
    let peak = peaks.into_iter().fold(0.0, f32::max);
    if peak == 0.0 || (1e-3..=1e3).contains(&peak) {
        return 1.0;
    }
    2.0_f32.powi((-peak.log2().floor()).min(126.0) as i32)
}

/// Number of samples of a stretched clip.
#[must_use]
pub fn stretched_length(samples: usize, rate: f64) -> usize {
    (samples as f64 / rate).round_ties_even() as usize
}

/// Play a clip `rate` times as fast without changing its pitch; `round(len / rate)` samples come back.
///
/// # Errors
/// [`Error::Parameter`] if the rate is not within 0.25 to 4 or the sample rate not within 1 to 768 kHz,
/// [`Error::Array`] if a sample is not finite, [`Error::Interrupted`].
pub fn time_stretch(samples: &[f32], rate: f64, sample_rate: u32, cancel: &Cancel) -> Result<Vec<f32>> {
    check_range("rate", rate, RATES.0, RATES.1)?;
    let mut out = vec![0.0; stretched_length(samples.len(), rate)];
    time_stretch_into(samples, rate, sample_rate, &mut out, cancel)?;
    Ok(out)
}

/// [`time_stretch`] into an array of the length that it returns.
///
/// # Errors
/// As [`time_stretch`], and [`Error::Array`] if `out` is not as long.
pub fn time_stretch_into(
    samples: &[f32],
    rate: f64,
    sample_rate: u32,
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    check_range("rate", rate, RATES.0, RATES.1)?;
    check_samples(samples)?;
    let stretcher = Stretcher::new(sample_rate)?;
    let length = stretched_length(samples.len(), rate);
    if out.len() != length {
        return Err(Error::array("out", format!("{} samples", out.len()), format!("{length} samples")));
    }
    if rate == 1.0 {
        out.copy_from_slice(samples);
        return Ok(());
    }
    stretcher.stretch_into(samples, rate, out, &mut stretcher.scratch(), cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE_RATE: u32 = 16_000;

    fn stretch(samples: &[f32], rate: f64) -> Vec<f32> {
        time_stretch(samples, rate, SAMPLE_RATE, &Cancel::default()).unwrap()
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
    fn overlapping_windows_add_up_to_one() {
        for sample_rate in [1_000, 16_000, 44_100, 768_000] {
            let plan = Stretcher::new(sample_rate).unwrap();
            let length = plan.length();
            assert!((0.09..0.19).contains(&(length as f64 / f64::from(sample_rate))));
            for i in 0..plan.hop {
                let places = (i..length).step_by(plan.hop);
                let product = |j: usize| f64::from(plan.window[j] * plan.synthesis[j].abs());
                assert!((2.0 * places.map(product).sum::<f64>() * length as f64 - 1.0).abs() < 1e-5);
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
    fn every_level_and_length_of_frame_agrees() {
        let clip: Vec<f32> = tone(440.0, 9000).iter().zip(tone(1234.5, 9000)).map(|(a, b)| a + b).collect();
        for length in [128, 256, 512, 1024, 2048, 4096] {
            let stretched = |level: Level| {
                let (plan, mut out) = (Stretcher::with_level(length, level), vec![0.0; 8000]);
                let scratch = &mut plan.scratch();
                plan.stretch_into(&clip, 1.1, &mut out, scratch, &Cancel::default()).unwrap();
                out
            };
            let plain = stretched(Level::all()[0]);
            let loudest = plain[1000..7000].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
            assert!((1.5..2.5).contains(&loudest), "{length}: {loudest}");
            let energy = |samples: &mut dyn Iterator<Item = f32>| samples.map(|x| x * x).sum::<f32>();
            let whole = energy(&mut plain.iter().copied());
            for level in Level::all() {
                // Levels round differently, and a bin between two pulls that cancel follows either: faint ones do.
                let rest = energy(&mut plain.iter().zip(stretched(level)).map(|(a, b)| a - b)) / whole;
                assert!(rest < 1e-8, "{length} {level:?}: {} dB", 10.0 * rest.log10());
            }
        }
    }

    #[test]
    fn an_output_of_another_length_is_refused() {
        let got = time_stretch_into(&[0.0; 10], 2.0, SAMPLE_RATE, &mut [0.0; 6], &Cancel::default());
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
        for level in [1e-38_f32, 1e-20, 1e-6, 1e29] {
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
            time_stretch(samples, rate, sample_rate, &Cancel::default()).unwrap_err().to_string()
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
        let got = time_stretch(&[0.0; 100], 1.5, SAMPLE_RATE, &cancel);
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
            let out = time_stretch(&clip, rate, sample_rate, &Cancel::default()).unwrap();
            prop_assert_eq!(out.len(), (clip.len() as f64 / rate).round_ties_even() as usize);
            prop_assert!(out.iter().all(|x| x.abs() < 20.0));
        }
    }
}
