//! Any sample rate to any other: a polyphase windowed sinc, linear in phase and without delay.
//!
//! Output `m` lies at the time `m * from / to` of the input, outside of which the signal is taken as zero; there
//! are `ceil(n * to / from)` outputs. The low-pass is flat up to 0.913 of the lower Nyquist frequency and stops
//! at the Nyquist frequency itself (soxr's HQ has the same edges), by a Kaiser window. The tests measure errors below
//! -115 dB in the pass band, the sum of all stages, and aliases below -120 dB. Where the rate falls to less than 2/5,
//! stages that halve it come first, each as short as the band that is kept at the end allows, and half of their taps
//! are zero.

mod filter;
mod polyphase;
mod stream;
#[cfg(test)]
mod tests;

use crate::memory::{self, zeros};
use crate::par::Cancel;
use crate::simd::SimdLevel;
use crate::{Error, Result};
use filter::{Band, Filter};
use polyphase::{Polyphase, TILE, Workspace};
use std::ops::Range;

pub use stream::StreamResampler;

/// The highest sample rate, in Hz, that can be converted from or to.
pub const MAX_RATE: u32 = 384_000;

/// Most samples that one call returns: 16 GiB of float32.
pub const MAX_SAMPLES: u64 = 1 << 32;

/// Pass band as a fraction of the lower of the two Nyquist frequencies; the stop band begins at 1.
const PASS_BAND: f64 = 0.913;
/// Attenuation of the last stage.
const ATTENUATION_DB: f64 = 130.0;
/// Attenuation of the stages before it, of which there may be several, and which Kaiser's formula makes a little too
/// short.
const HALVING_ATTENUATION_DB: f64 = 140.0;
/// From this ratio on the rate is halved first.
const HALVING_RATIO: f64 = 2.5;

/// A conversion between two rates: made once, used for many clips, shared by threads.
#[derive(Debug)]
pub struct Resampler {
    from: u64,
    to: u64,
    stages: Vec<Stage>,
    level: SimdLevel,
}

/// The working memory of one thread, for any number of conversions.
#[derive(Debug, Default)]
pub struct ResampleScratch {
    workspace: Workspace,
    /// What the stages before the last yield, and what they read.
    between: [Vec<f32>; 2],
}

impl Resampler {
    /// Plan the conversion from one rate to another for the fastest level of this processor.
    ///
    /// # Errors
    /// [`Error::Parameter`] for rates outside 1 to [`MAX_RATE`].
    pub fn new(from: u32, to: u32) -> Result<Self> {
        Self::with_level(from, to, SimdLevel::best())
    }

    /// A plan for a given level. Levels differ by rounding, by less than 1e-6 of the clip's greatest magnitude.
    ///
    /// # Errors
    /// As [`Resampler::new`].
    pub fn with_level(from: u32, to: u32, level: SimdLevel) -> Result<Self> {
        for (name, rate) in [("from_rate", from), ("to_rate", to)] {
            if rate == 0 || rate > MAX_RATE {
                return Err(Error::parameter(name, rate, format!("1 to {MAX_RATE} Hz")));
            }
        }
        Ok(Self::ratio(u64::from(from), u64::from(to), level))
    }

    /// The conversion between rates that are in a ratio of two numbers, neither of them 0.
    pub(crate) fn ratio(from: u64, to: u64, level: SimdLevel) -> Self {
        let mut stages = Vec::new();
        if from != to {
            // The rate before the last stage is from / 2^halvings.
            let (mut rate, mut scaled_to) = (from as f64, to);
            while rate / to as f64 >= HALVING_RATIO {
                stages.push(Stage::halving(0.5 * to as f64 / rate, level));
                rate *= 0.5;
                scaled_to *= 2;
            }
            let divisor = gcd(from, scaled_to);
            let edge = 0.5 * (to as f64 / rate).min(1.0);
            let band = Band { pass: PASS_BAND * edge, stop: edge, attenuation_db: ATTENUATION_DB };
            stages.push(Stage::new(from / divisor, scaled_to / divisor, band, level));
        }
        Self { from, to, stages, level }
    }

    /// The rate that it converts to.
    #[must_use]
    pub fn target_rate(&self) -> u32 {
        u32::try_from(self.to).unwrap_or(u32::MAX)
    }

    /// Samples that come out for `samples` that go in: `ceil(samples * to / from)`.
    #[must_use]
    pub fn len(&self, samples: u64) -> u64 {
        let exact = (u128::from(samples) * u128::from(self.to)).div_ceil(u128::from(self.from));
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// Input samples behind the place of an output, at most, that it depends on.
    pub(crate) fn reach(&self) -> usize {
        self.stages.iter().enumerate().map(|(halvings, stage)| (stage.filter.half() + 1) << halvings).sum()
    }

    /// Convert channels of equal length that lie one after the other, as their results do.
    ///
    /// # Errors
    /// [`Error::Array`] where the result has more than [`MAX_SAMPLES`] samples, or more than there is memory for;
    /// [`Error::Interrupted`].
    pub fn process_channels(&self, samples: &[f32], channels: usize, cancel: &Cancel) -> Result<Vec<f32>> {
        let frames = samples.len().checked_div(channels).unwrap_or(0);
        let frames_out = self.len(frames as u64);
        let len = frames_out.saturating_mul(channels as u64);
        let refused = |expected| {
            let given = format!("{len} samples after resampling from {} to {} Hz", self.from, self.to);
            Error::array("samples", given, expected)
        };
        if len > MAX_SAMPLES {
            return Err(refused(format!("at most {MAX_SAMPLES}")));
        }
        let mut out = usize::try_from(len).ok().and_then(|len| zeros(len).ok());
        let out = out.as_mut().ok_or_else(|| refused("no more than there is memory for".to_owned()))?;
        if out.is_empty() {
            return Ok(vec![]);
        }
        let mut scratch = ResampleScratch::default();
        let outs = out.chunks_exact_mut(frames_out as usize);
        for (samples, out) in samples.chunks_exact(frames).zip(outs) {
            self.process_into(samples, out, &mut scratch, cancel)?;
        }
        Ok(std::mem::take(out))
    }

    /// Convert one channel into an array of any length: its rest is cut off, or silence follows.
    ///
    /// # Errors
    /// [`Error::Array`] where there is no memory for what lies between two stages; [`Error::Interrupted`].
    pub fn process_into(
        &self,
        samples: &[f32],
        out: &mut [f32],
        scratch: &mut ResampleScratch,
        cancel: &Cancel,
    ) -> Result<()> {
        let Some((last, halvings)) = self.stages.split_last() else {
            let shared = samples.len().min(out.len());
            out[..shared].copy_from_slice(&samples[..shared]);
            out[shared..].fill(0.0);
            return Ok(());
        };
        if out.is_empty() {
            return Ok(());
        }
        let ResampleScratch { workspace, between: [from, to] } = scratch;
        let mut start = 0;
        for (index, stage) in halvings.iter().enumerate() {
            let samples = if index == 0 { samples } else { from.as_slice() };
            let signal = Signal { start, samples };
            let wanted = self.wanted(index, out.len());
            // The tails of the later filters reach far beyond a short signal, where there are only zeros.
            let reached = stage.reaches(&signal.range());
            start = wanted.start.max(reached.start);
            memory::resize(to, usize::try_from(wanted.end.min(reached.end) - start).unwrap_or(0), 0.0)?;
            let first = start;
            let kernel = Polyphase { stage, signal, first, out: to, workspace, level: self.level, cancel };
            self.level.run(kernel)?;
            std::mem::swap(from, to);
        }
        let samples = if halvings.is_empty() { samples } else { from.as_slice() };
        let signal = Signal { start, samples };
        self.level.run(Polyphase { stage: last, signal, first: 0, out, workspace, level: self.level, cancel })
    }

    /// What a stage must yield so that the stages behind it have what they read for the first `count` outputs.
    fn wanted(&self, stage: usize, count: usize) -> Range<i64> {
        let later = self.stages[stage + 1..].iter().rev();
        later.fold(0..count as i64, |outputs, stage| stage.reads(&outputs))
    }
}

/// A stretch of a signal that is zero before and after.
struct Signal<'a> {
    /// Index of the first sample; filters have tails before 0.
    start: i64,
    samples: &'a [f32],
}

impl Signal<'_> {
    fn range(&self) -> Range<i64> {
        self.start..self.start + self.samples.len() as i64
    }

    /// Copy the samples from `first` on that lie within the stretch; what lies outside stays as it is.
    fn copy(&self, first: i64, to: &mut [f32]) {
        let shared = self.start.max(first)..self.range().end.min(first + to.len() as i64);
        if !shared.is_empty() {
            let within = |origin: i64| (shared.start - origin) as usize..(shared.end - origin) as usize;
            to[within(first)].copy_from_slice(&self.samples[within(self.start)]);
        }
    }
}

/// One filter with one change of rate: output `m` lies at the input position `m * step / phases`.
#[derive(Debug)]
struct Stage {
    step: u64,
    phases: u64,
    filter: Filter,
    /// Whether of the taps at even distances from the middle one only that itself is not zero.
    half_band: bool,
}

impl Stage {
    /// Half the rate, of a signal that is kept up to `edge` at the end, in cycles per input sample.
    ///
    /// What would fold onto that band is stopped; the rest is left to later stages. Both edges are as far from a quarter
    /// of the rate, so that every second tap is zero.
    fn halving(edge: f64, level: SimdLevel) -> Self {
        let band = Band { pass: edge, stop: 0.5 - edge, attenuation_db: HALVING_ATTENUATION_DB };
        Self { half_band: true, ..Self::new(2, 1, band, level) }
    }

    fn new(step: u64, phases: u64, band: Band, level: SimdLevel) -> Self {
        // How far apart the windows of neighbouring outputs can begin.
        let margin = ((TILE as u64 - 1) * step).div_ceil(phases);
        let filter = Filter::new(phases, band, margin as usize, level);
        Self { step, phases, filter, half_band: false }
    }

    /// The input that a range of outputs depends on.
    fn reads(&self, outputs: &Range<i64>) -> Range<i64> {
        let half = self.filter.half() as i64;
        let (first, _) = self.place(outputs.start);
        let (last, _) = self.place(outputs.end - 1);
        first - (half - 1)..last + half + 1
    }

    /// The outputs that a range of inputs reaches, with a little to spare.
    fn reaches(&self, inputs: &Range<i64>) -> Range<i64> {
        let (step, phases) = (i128::from(self.step), i128::from(self.phases));
        let half = self.filter.half() as i64;
        let output = |input: i64| (i128::from(input) * phases).div_euclid(step) as i64;
        output(inputs.start - half)..output(inputs.end + half) + 2
    }

    /// The output behind the last that depends on no input from `end` on.
    fn complete(&self, end: i64) -> i64 {
        let place = i128::from(end - self.filter.half() as i64);
        -(-place * i128::from(self.phases)).div_euclid(i128::from(self.step)) as i64
    }

    /// Input index before an output, and the phase between that and the next.
    fn place(&self, output: i64) -> (i64, u64) {
        let position = i128::from(output) * i128::from(self.step);
        let phases = i128::from(self.phases);
        (position.div_euclid(phases) as i64, position.rem_euclid(phases) as u64)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
