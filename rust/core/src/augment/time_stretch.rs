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

use super::{check_range, check_samples};
use crate::par::Cancel;
use crate::{Error, Result};
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::f32::consts::PI;
use std::sync::Arc;

/// Length of a frame. Partials 50 Hz apart stay 50 dB pure, those 25 Hz apart do not; a longer frame would tell
/// these apart, but blur clicks that follow each other within 0.15 s.
const FRAME_S: f64 = 0.128;
/// Frames overlap threefold, the least at which the squares of the squared windows add up to a constant.
const OVERLAP: usize = 3;
/// Neighbouring bins whose group delay is measured together.
const GROUP: usize = 8;
/// Weight of the rotation that comes from below, through the valley, against that from the previous frame.
/// More keeps clicks in quick succession together, less the level of noise.
const VERTICAL_WEIGHT: f32 = 2.0;
/// A group delay beyond this part of the frame's half is the window's own edge, not a click.
const DELAY_LIMIT: f32 = 0.8;
/// Stretch rates that are accepted.
pub(super) const RATES: (f64, f64) = (0.25, 4.0);
/// Sample rates that are accepted.
pub(super) const SAMPLE_RATES: (u32, u32) = (1_000, 768_000);

/// The plan of a time stretch: windows and transforms, shared by all threads.
pub struct Stretcher {
    hop: usize,
    window: Vec<f32>,
    /// The window again, divided by the sum of the squared windows that overlap and by the transform's
    /// length.
    synthesis: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// The working memory of one thread.
pub struct StretchScratch {
    frame: Vec<f32>,
    fft: Vec<Complex32>,
    /// Spectra of the input frame, of the one a hop before it, and of the previous and the present output
    /// frame.
    input: Vec<Complex32>,
    earlier: Vec<Complex32>,
    previous: Vec<Complex32>,
    output: Vec<Complex32>,
    power: Vec<f32>,
    twists: Vec<Complex32>,
}

impl Stretcher {
    /// A plan whose frames last 128 ms, rounded to a power of two of samples.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the sample rate is not within 1 to 768 kHz.
    pub fn new(sample_rate: u32) -> Result<Self> {
        let (low, high) = SAMPLE_RATES;
        if !(low..=high).contains(&sample_rate) {
            let expected = format!("a number from {low} to {high} (Hz)");
            return Err(Error::parameter("sample_rate", sample_rate, expected));
        }
        let length = 1_usize << (FRAME_S * f64::from(sample_rate)).log2().round() as u32;
        let hop = length.div_ceil(OVERLAP);
        let hann = |i: usize| (std::f64::consts::PI * (i as f64 + 0.5) / length as f64).sin().powi(2);
        let window: Vec<f64> = (0..length).map(hann).collect();
        let mut overlap = vec![0.0; hop];
        for (i, w) in window.iter().enumerate() {
            overlap[i % hop] += w * w * length as f64;
        }
        let synthesis = window.iter().enumerate().map(|(i, w)| (w / overlap[i % hop]) as f32).collect();
        let mut planner = RealFftPlanner::new();
        Ok(Self {
            hop,
            window: window.iter().map(|&w| w as f32).collect(),
            synthesis,
            forward: planner.plan_fft_forward(length),
            inverse: planner.plan_fft_inverse(length),
        })
    }

    /// Working memory for one thread.
    #[must_use]
    pub fn scratch(&self) -> StretchScratch {
        let bins = self.window.len() / 2 + 1;
        let spectrum = || vec![Complex32::ZERO; bins];
        StretchScratch {
            frame: vec![0.0; self.window.len()],
            fft: vec![Complex32::ZERO; self.forward.get_scratch_len().max(self.inverse.get_scratch_len())],
            input: spectrum(),
            earlier: spectrum(),
            previous: spectrum(),
            output: spectrum(),
            power: vec![0.0; bins],
            twists: vec![Complex32::ONE; bins.div_ceil(GROUP)],
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
        let (half, hop) = (self.window.len() as i64 / 2, self.hop as i64);
        let twist = 1.0 / rate as f32 - 1.0;
        scratch.previous.fill(Complex32::ZERO);
        let (first, last) = (-((half - 1) / hop), (out.len() as i64 + half - 1) / hop);
        for k in first..=last {
            cancel.check()?;
            let centre = ((k * hop) as f64 * rate).round() as i64;
            self.analyse(samples, centre - half - hop, scale, scratch);
            std::mem::swap(&mut scratch.input, &mut scratch.earlier);
            self.analyse(samples, centre - half, scale, scratch);
            measure(scratch, twist);
            rotate(scratch);
            self.synthesise(k * hop - half, out, scratch);
            std::mem::swap(&mut scratch.previous, &mut scratch.output);
        }
        if scale != 1.0 {
            out.iter_mut().for_each(|x| *x = (*x / scale).clamp(-f32::MAX, f32::MAX));
        }
        Ok(())
    }

    /// Spectrum of the windowed frame that starts at `start`, which may lie partly or wholly outside the
    /// clip.
    fn analyse(&self, samples: &[f32], start: i64, scale: f32, scratch: &mut StretchScratch) {
        let (from, to) = overlap(start, self.window.len(), samples.len());
        let frame = &mut scratch.frame;
        frame[..from].fill(0.0);
        frame[to..].fill(0.0);
        if from < to {
            let inside = &samples[(start + from as i64) as usize..(start + to as i64) as usize];
            for ((x, sample), w) in frame[from..to].iter_mut().zip(inside).zip(&self.window[from..to]) {
                *x = sample * scale * w;
            }
        }
        let done = self.forward.process_with_scratch(frame, &mut scratch.input, &mut scratch.fft);
        done.expect("the buffers have the plan's lengths");
    }

    /// Add the windowed output frame to `out` at `start`, cut off where it sticks out.
    fn synthesise(&self, start: i64, out: &mut [f32], scratch: &mut StretchScratch) {
        let StretchScratch { frame, fft, earlier: copy, output, .. } = scratch;
        copy.copy_from_slice(output);
        // A real signal's first and last bin are real; the rotation need not have kept them so.
        let ends = [0, copy.len() - 1];
        ends.iter().for_each(|&end| copy[end].im = 0.0);
        let done = self.inverse.process_with_scratch(copy, frame, fft);
        done.expect("the buffers have the plan's lengths");
        let (from, to) = overlap(start, self.window.len(), out.len());
        if from < to {
            let inside = &mut out[(start + from as i64) as usize..(start + to as i64) as usize];
            for ((out, x), w) in inside.iter_mut().zip(&frame[from..to]).zip(&self.synthesis[from..to]) {
                *out += x * w;
            }
        }
    }
}

/// Powers of the input bins, and for each group of bins the factor by which its rotation changes from bin to
/// bin.
fn measure(scratch: &mut StretchScratch, twist: f32) {
    let StretchScratch { input, power, twists, .. } = scratch;
    for (power, x) in power.iter_mut().zip(&*input) {
        *power = x.norm_sqr();
    }
    // Energy-weighted sum of the phase steps between neighbours: its angle is the group delay. The frame
    // starts half a length before its centre, which turns every step by pi: hence the minus.
    for (g, delay) in twists.iter_mut().enumerate() {
        let first = (g * GROUP).max(1);
        let last = ((g + 1) * GROUP).min(input.len());
        *delay = (first..last).map(|b| -(input[b] * input[b - 1].conj())).sum();
    }
    let limit = DELAY_LIMIT * (1.0 / (1.0 + twist)).min(1.0);
    let mut below = Complex32::ZERO;
    for g in 0..twists.len() {
        let above = twists.get(g + 1).copied().unwrap_or_default();
        let delay = twists[g] + 0.5 * (below + above);
        below = twists[g];
        let angle = delay.im.atan2(delay.re);
        let excess = (angle.abs() / PI - limit).max(0.0) / (1.0 - limit);
        twists[g] = Complex32::cis(twist * angle * (1.0 - excess));
    }
}

/// Rotate the input's bins into the output's, region by region from the lowest peak to the highest.
fn rotate(scratch: &mut StretchScratch) {
    let StretchScratch { input, earlier, previous, output, power, twists, .. } = scratch;
    let bins = input.len();
    let (mut start, mut reached) = (0, Complex32::ONE);
    while start < bins {
        let mut peak = start;
        while peak + 1 < bins && power[peak + 1] >= power[peak] {
            peak += 1;
        }
        let mut vertical = Complex32::ZERO;
        if start > 0 {
            let through = (start..=peak).fold(reached, |rotation, b| rotation * twists[b / GROUP]);
            vertical = through * (VERTICAL_WEIGHT * power[start - 1]);
        }
        // The previous output's phase over the earlier input's is the rotation so far; the power its weight.
        let past = previous[peak] * earlier[peak].conj();
        let horizontal = unit(past) * earlier[peak].norm_sqr();
        let mut rotation = unit(horizontal + vertical);
        if rotation == Complex32::ZERO {
            rotation = Complex32::ONE;
        }
        reached = rotation;
        output[peak] = input[peak] * rotation;
        for b in (start..peak).rev() {
            rotation *= twists[(b + 1) / GROUP].conj();
            output[b] = input[b] * rotation;
        }
        start = peak + 1;
        while start < bins && power[start] <= power[start - 1] {
            reached *= twists[start / GROUP];
            output[start] = input[start] * reached;
            start += 1;
        }
    }
}

/// The number of length 1 in a number's direction; 0 for numbers too small to have one.
#[inline]
fn unit(z: Complex32) -> Complex32 {
    let square = z.norm_sqr();
    if square > f32::MIN_POSITIVE && square.is_finite() { z * square.sqrt().recip() } else { Complex32::ZERO }
}

/// The part `from..to` of a frame of `length` at `start` that lies inside `0..size`.
fn overlap(start: i64, length: usize, size: usize) -> (usize, usize) {
    let clamp = |edge: i64| (edge - start).clamp(0, length as i64) as usize;
    let (from, to) = (clamp(0), clamp(size as i64));
    (from.min(to), to)
}

/// A power of two that brings a clip near full scale, so that squares of squares stay within single
/// precision.
fn safe_scale(samples: &[f32]) -> f32 {
    let peak = samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    if peak == 0.0 || (1e-3..=1e3).contains(&peak) {
        return 1.0;
    }
    2.0_f32.powi((-peak.log2().floor()).min(126.0) as i32)
}

/// Play a clip `rate` times as fast without changing its pitch; `round(len / rate)` samples come back.
///
/// # Errors
/// [`Error::Parameter`] if the rate is not within 0.25 to 4 or the sample rate not within 1 to 768 kHz,
/// [`Error::Array`] if a sample is not finite, [`Error::Interrupted`].
pub fn time_stretch(samples: &[f32], rate: f64, sample_rate: u32, cancel: &Cancel) -> Result<Vec<f32>> {
    check_samples(samples)?;
    check_range("rate", rate, RATES.0, RATES.1)?;
    let stretcher = Stretcher::new(sample_rate)?;
    if rate == 1.0 {
        return Ok(samples.to_vec());
    }
    let mut out = vec![0.0; (samples.len() as f64 / rate).round_ties_even() as usize];
    stretcher.stretch_into(samples, rate, &mut out, &mut stretcher.scratch(), cancel)?;
    Ok(out)
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
            let length = plan.window.len();
            assert!((0.09..0.19).contains(&(length as f64 / f64::from(sample_rate))));
            for i in 0..plan.hop {
                let places = (i..length).step_by(plan.hop);
                let sum: f64 = places.map(|j| f64::from(plan.window[j] * plan.synthesis[j])).sum();
                assert!((sum * length as f64 - 1.0).abs() < 1e-5);
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
