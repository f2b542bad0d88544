//! The phase vocoder of the time stretch: its plan, its memory, and the way of a clip through it.
//!
//! Frames are cut, transformed and added up as many side by side as a vector has lanes; what their bins are rotated by is
//! the work of [`super::phases`].

use super::phases::{ComplexRows, PhaseScratch, from_rows, propagate, psi_of, rotate_to_rows};
use crate::fft::{Parts, RealFft};
use crate::par::Cancel;
use crate::simd::{Aligned, Kernel, MAX_LANES, SimdLevel, Vector, numbers, vectors};
use crate::{Error, Result};
use std::sync::OnceLock;

/// Length of a frame. Partials 50 Hz apart stay 50 dB pure, those 25 Hz apart do not; a longer frame would tell
/// these apart, but blur clicks that follow each other within 0.15 s.
const FRAME_S: f64 = 0.128;
/// Frames overlap threefold, the least at which the squares of the squared windows add up to a constant.
const OVERLAP: usize = 3;
/// Sample rates that are accepted.
const SAMPLE_RATES: (u32, u32) = (1_000, 768_000);

/// The plan of a time stretch: windows and transforms, shared by all threads.
pub(super) struct Vocoder {
    hop: usize,
    /// Half of the window: the last step of the transform doubles.
    window: Vec<f32>,
    /// The window again, divided by the sum of the squared windows that overlap and by the transform's
    /// length, every second value negative as the transform leaves the samples.
    synthesis: Vec<f32>,
    fft: RealFft,
    level: SimdLevel,
}

/// The working memory of one thread.
pub(super) struct StretchScratch {
    /// Windowed samples, a frame in each row.
    frames: Vec<f32>,
    buffers: [Vec<Aligned>; 2],
    psi: Vec<Aligned>,
    /// Of the analysis frames and of those a hop before them, both times `psi`; of the synthesis frames, behind the last
    /// of the batch before.
    x: ComplexRows,
    x_before: ComplexRows,
    y: ComplexRows,
    phases: PhaseScratch,
}

impl Vocoder {
    /// The plan for a sample rate, whose frames last 128 ms, rounded to a power of two of samples. It is made once
    /// and kept.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the sample rate is not within 1 to 768 kHz.
    pub(super) fn new(sample_rate: u32) -> Result<&'static Self> {
        static PLANS: [OnceLock<Vocoder>; 32] = [const { OnceLock::new() }; 32];
        let exponent = exponent(sample_rate)?;
        Ok(PLANS[exponent as usize].get_or_init(|| Self::with_level(1 << exponent, SimdLevel::best())))
    }

    fn with_level(length: usize, level: SimdLevel) -> Self {
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
            fft: RealFft::new(length),
            level,
        }
    }

    /// Samples of a frame.
    fn length(&self) -> usize {
        self.fft.length()
    }

    /// The bins with some zeros behind them, which fill vectors.
    fn row(&self) -> usize {
        (self.fft.bins() + 1).next_multiple_of(MAX_LANES)
    }

    /// Samples from one row of frames to the next: not a power of two, whose places share few sets of the cache.
    fn frame_stride(&self) -> usize {
        self.length() + MAX_LANES
    }

    /// Working memory for one thread.
    pub(super) fn scratch(&self) -> StretchScratch {
        let (lanes, row) = (self.level.lanes(), self.row());
        let pairs = || Aligned::zeros(self.level, 2 * row);
        StretchScratch {
            frames: vec![0.0; lanes * self.frame_stride()],
            buffers: [pairs(), pairs()],
            psi: pairs(),
            x: ComplexRows::zeros(lanes * row),
            x_before: ComplexRows::zeros(lanes * row),
            y: ComplexRows::zeros((lanes + 1) * row),
            phases: PhaseScratch::new(lanes, self.fft.bins(), row),
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
        self.level.run(StretchKernel {
            plan: self,
            samples,
            scale,
            rate,
            out: &mut *out,
            scratch,
            cancel,
        })?;
        if scale != 1.0 {
            out.iter_mut().for_each(|x| *x = (*x / scale).clamp(-f32::MAX, f32::MAX));
        }
        Ok(())
    }

    /// Cut frames out of the clip, from the given starts on, and window them; a frame may lie partly or wholly outside
    /// the clip.
    #[inline(always)]
    fn cut(&self, samples: &[f32], scale: f32, frames: &mut [f32], starts: impl Iterator<Item = i64>) {
        for (frame, start) in frames.chunks_exact_mut(self.frame_stride()).zip(starts) {
            let (from, to) = overlap(start, self.length(), samples.len());
            frame[..from].fill(0.0);
            frame[to..].fill(0.0);
            if from < to {
                let inside = &samples[(start + from as i64) as usize..(start + to as i64) as usize];
                for ((x, sample), w) in frame[from..to].iter_mut().zip(inside).zip(&self.window[from..to]) {
                    *x = sample * scale * w;
                }
            }
        }
    }

    /// Spectra of windowed frames, in the first buffer that comes back: real and imaginary part of each bin in turn.
    #[inline(always)]
    fn spectra<'a, V: Vector>(&self, frames: &[f32], buffers: [&'a mut [V]; 2]) -> [&'a mut [V]; 2] {
        let [a, b] = buffers;
        for (block, to) in a[..self.length()].chunks_exact_mut(V::LANES).enumerate() {
            let transposed = V::load_transposed(&frames[block * V::LANES..], self.frame_stride());
            to.copy_from_slice(transposed.as_ref());
        }
        let [packed, spectrum] = self.fft.transform([a, b]);
        self.fft.split::<V, Parts>(packed, spectrum.as_chunks_mut::<2>().0);
        [spectrum, packed]
    }

    /// Frames of samples from the spectra in the first buffer; the sign of every second sample is turned and its size
    /// multiplied by the length, which the window of the synthesis undoes.
    #[inline(always)]
    fn signals<V: Vector>(&self, buffers: [&mut [V]; 2], frames: &mut [f32]) {
        let [spectrum, packed] = buffers;
        self.fft.join(spectrum.as_chunks::<2>().0, packed);
        let [signal, _] = self.fft.transform([packed, spectrum]);
        let stride = self.frame_stride();
        for (block, from) in signal[..self.length()].chunks_exact(V::LANES).enumerate() {
            for (lane, samples) in V::load_transposed(numbers(from), V::LANES).as_ref().iter().enumerate() {
                samples.store(&mut frames[lane * stride + block * V::LANES..]);
            }
        }
    }

    /// Add a windowed output frame to `out` at `start`, cut off where it sticks out.
    #[inline(always)]
    fn overlap_add(&self, frames: &[f32], lane: usize, start: i64, out: &mut [f32]) {
        let frame = &frames[lane * self.frame_stride()..][..self.length()];
        let (from, to) = overlap(start, self.length(), out.len());
        if from < to {
            let inside = &mut out[(start + from as i64) as usize..(start + to as i64) as usize];
            for ((out, x), w) in inside.iter_mut().zip(&frame[from..to]).zip(&self.synthesis[from..to]) {
                *out += x * w;
            }
        }
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
    let mut peaks = [0.0_f32; MAX_LANES];
    for chunk in samples.chunks(MAX_LANES) {
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

/// One clip's stretch. `out` is silent.
struct StretchKernel<'a> {
    plan: &'a Vocoder,
    samples: &'a [f32],
    /// What the samples are to be multiplied by.
    scale: f32,
    rate: f64,
    out: &'a mut [f32],
    scratch: &'a mut StretchScratch,
    cancel: &'a Cancel,
}

impl Kernel for StretchKernel<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<()> {
        let Self { plan, samples, scale, rate, out, scratch, cancel } = self;
        let (half, hop, row) = (plan.length() as i64 / 2, plan.hop as i64, plan.row());
        let (bins, alpha) = (plan.fft.bins(), 1.0 / rate as f32);
        let StretchScratch { frames, buffers, psi, x, x_before, y, phases } = scratch;
        let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..2 * row]);
        let psi = &mut vectors::<V>(psi)[..2 * row];
        [&mut y.re, &mut y.im].into_iter().for_each(|part| part[..row].fill(0.0));
        let (first, last) = (-((half - 1) / hop), (out.len() as i64 + half - 1) / hop);
        for k in (first..=last).step_by(V::LANES) {
            cancel.check()?;
            let width = V::LANES.min((last - k + 1) as usize);
            let start = |lane: usize| (((k + lane as i64) * hop) as f64 * rate).round() as i64 - half;
            plan.cut(samples, scale, frames, (0..width).map(start));
            let [spectra, _] = plan.spectra(frames, [&mut *a, &mut *b]);
            psi_of(&spectra[..2 * bins], alpha, phases, &mut psi[..2 * bins]);
            rotate_to_rows(spectra, psi, x, row);
            plan.cut(samples, scale, frames, (0..width).map(|lane| start(lane) - hop));
            let [spectra, _] = plan.spectra(frames, [&mut *a, &mut *b]);
            rotate_to_rows(spectra, psi, x_before, row);
            for lane in 0..width {
                propagate(lane, bins, row, x, x_before, y, phases);
            }
            from_rows(y, row, a);
            plan.signals([&mut *a, &mut *b], frames);
            for lane in 0..width {
                plan.overlap_add(frames, lane, (k + lane as i64) * hop - half, out);
            }
            let newest = width * row..(width + 1) * row;
            y.re.copy_within(newest.clone(), 0);
            y.im.copy_within(newest, 0);
        }
        Ok(())
    }
}

/// The part `from..to` of a frame of `length` at `start` that lies inside `0..size`.
fn overlap(start: i64, length: usize, size: usize) -> (usize, usize) {
    let clamp = |edge: i64| (edge - start).clamp(0, length as i64) as usize;
    let (from, to) = (clamp(0), clamp(size as i64));
    (from.min(to), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_windows_add_up_to_one() {
        for sample_rate in [1_000, 16_000, 44_100, 768_000] {
            let plan = Vocoder::new(sample_rate).unwrap();
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
    fn every_level_and_length_of_frame_agrees() {
        let sine = |hz: f64, i: i32| (std::f64::consts::TAU * hz * f64::from(i) / 16_000.0).sin() as f32;
        let clip: Vec<f32> = (0..9000).map(|i| sine(440.0, i) + sine(1234.5, i)).collect();
        for length in [128, 256, 512, 1024, 2048, 4096] {
            let stretched = |level: SimdLevel| {
                let (plan, mut out) = (Vocoder::with_level(length, level), vec![0.0; 8000]);
                let scratch = &mut plan.scratch();
                plan.stretch_into(&clip, 1.1, &mut out, scratch, &Cancel::default()).unwrap();
                out
            };
            let plain = stretched(SimdLevel::all()[0]);
            let loudest = plain[1000..7000].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
            assert!((1.5..2.5).contains(&loudest), "{length}: {loudest}");
            let energy = |samples: &mut dyn Iterator<Item = f32>| samples.map(|x| x * x).sum::<f32>();
            let whole = energy(&mut plain.iter().copied());
            for level in SimdLevel::all() {
                // Levels round differently, and a bin between two pulls that cancel follows either: faint ones do.
                let rest = energy(&mut plain.iter().zip(stretched(level)).map(|(a, b)| a - b)) / whole;
                assert!(rest < 1e-8, "{length} {level:?}: {} dB", 10.0 * rest.log10());
            }
        }
    }

    #[test]
    fn frames_overlap_with_the_clip_as_far_as_it_reaches() {
        assert_eq!(overlap(-3, 8, 100), (3, 8));
        assert_eq!(overlap(96, 8, 100), (0, 4));
        assert_eq!(overlap(-9, 8, 100), (8, 8));
        assert_eq!(overlap(101, 8, 100), (0, 0));
    }
}
