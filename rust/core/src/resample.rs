//! Any sample rate to any other: a polyphase windowed sinc, linear in phase and without delay.
//!
//! Output `m` lies at the time `m * from / to` of the input, outside of which the signal is taken as zero; there
//! are `ceil(n * to / from)` outputs. The low-pass is flat up to 0.913 of the lower Nyquist frequency and stops
//! at the Nyquist frequency itself (soxr's HQ has the same edges), by a Kaiser window of 130 dB (Kaiser 1974;
//! Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3). The tests measure errors below -110 dB in the
//! pass band, the sum of all stages, and aliases below -120 dB. Where the rate falls to less than 2/5, stages that halve it come first, each as short
//! as the band that is kept at the end allows.
//!
//! For each phase the taps lie side by side, so that every output is one inner product of contiguous memory.

use crate::par::Cancel;
use crate::{Error, Result};
use std::borrow::Cow;
use std::f64::consts::PI;
use std::ops::Range;

/// The highest sample rate, in Hz, that can be converted from or to.
pub const MAX_RATE: u32 = 384_000;

/// Pass band as a fraction of the lower of the two Nyquist frequencies; the stop band begins at 1.
const PASS_BAND: f64 = 0.913;
/// Attenuation of the stop band.
const ATTENUATION_DB: f64 = 130.0;
/// Kaiser's shape parameter for that attenuation.
const BETA: f64 = 0.1102 * (ATTENUATION_DB - 8.7);
/// Terms of the Bessel function's series: the next is below 1e-18 of the sum.
const BESSEL_TERMS: u32 = 36;
/// From this ratio on the rate is halved first.
const HALVING_RATIO: f64 = 2.5;
/// Taps are padded to a multiple of this, for inner products without a remainder.
const LANES: usize = 16;
/// Up to this size a table has a row for every phase that occurs.
const MAX_EXACT_TAPS: usize = 1 << 18;
/// Rows of the table that is interpolated otherwise: by cubics between 128 phases the error is 2e-9.
const INTERPOLATED_PHASES: usize = 128;
/// Outputs between two looks at the cancel flag.
const BLOCK: usize = 1 << 14;

/// A conversion between two rates: made once, used for many clips, shared by threads.
#[derive(Debug)]
pub struct Resampler {
    from: u32,
    to: u32,
    stages: Vec<Stage>,
}

impl Resampler {
    /// Plan the conversion from one rate to another.
    ///
    /// # Errors
    /// [`Error::Parameter`] for rates outside 1 to [`MAX_RATE`].
    pub fn new(from: u32, to: u32) -> Result<Self> {
        for (name, rate) in [("from_rate", from), ("to_rate", to)] {
            if rate == 0 || rate > MAX_RATE {
                return Err(Error::parameter(name, rate, format!("1 to {MAX_RATE} Hz")));
            }
        }
        let mut stages = Vec::new();
        if from != to {
            // The rate before the last stage is from / 2^halvings.
            let (mut rate, mut scaled_to) = (f64::from(from), u64::from(to));
            while rate / f64::from(to) >= HALVING_RATIO {
                // What would fold onto the band that is kept at the end is stopped; the rest is left to later stages.
                let edge = 0.5 * f64::from(to) / rate;
                stages.push(Stage::new(2, 1, PASS_BAND * edge, 0.5 - edge));
                rate *= 0.5;
                scaled_to *= 2;
            }
            let divisor = gcd(u64::from(from), scaled_to);
            let edge = 0.5 * (f64::from(to) / rate).min(1.0);
            stages.push(Stage::new(u64::from(from) / divisor, scaled_to / divisor, PASS_BAND * edge, edge));
        }
        Ok(Self { from, to, stages })
    }

    /// Samples that come out for `samples` that go in: `ceil(samples * to / from)`.
    #[must_use]
    pub fn len(&self, samples: usize) -> u64 {
        let exact = (samples as u128 * u128::from(self.to)).div_ceil(u128::from(self.from));
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// Convert one channel.
    ///
    /// # Errors
    /// [`Error::Array`] where the result is longer than [`crate::decode::MAX_SAMPLES`], [`Error::Interrupted`].
    pub fn process(&self, samples: &[f32], cancel: &Cancel) -> Result<Vec<f32>> {
        let len = self.len(samples.len());
        if len > crate::decode::MAX_SAMPLES {
            let given = format!("{len} samples after resampling from {} to {} Hz", self.from, self.to);
            return Err(Error::array("samples", given, format!("at most {}", crate::decode::MAX_SAMPLES)));
        }
        if samples.is_empty() || self.stages.is_empty() {
            return Ok(samples.to_vec());
        }
        let mut signal = Signal { start: 0, samples: Cow::Borrowed(samples) };
        let all = 0..len as i64;
        // From the end backwards: what each stage must yield so that the next has what it reads.
        let mut wanted: Vec<Range<i64>> = Vec::with_capacity(self.stages.len());
        for stage in self.stages.iter().skip(1).rev() {
            wanted.push(stage.reads(wanted.last().unwrap_or(&all)));
        }
        for stage in &self.stages {
            let range = wanted.pop().map_or(all.clone(), |wanted| {
                // The tails of the later filters reach far beyond a short signal, where there are only zeros.
                let reached = stage.reaches(&signal.range());
                wanted.start.max(reached.start)..wanted.end.min(reached.end)
            });
            signal = stage.run(&signal, range, cancel)?;
        }
        Ok(signal.samples.into_owned())
    }
}

/// A stretch of a signal that is zero before and after.
struct Signal<'a> {
    /// Index of the first sample; filters have tails before 0.
    start: i64,
    samples: Cow<'a, [f32]>,
}

impl Signal<'_> {
    fn range(&self) -> Range<i64> {
        self.start..self.start + self.samples.len() as i64
    }

    /// The samples of a range, with zeros outside of the stretch.
    fn padded(&self, range: &Range<i64>) -> Vec<f32> {
        let mut out = vec![0.0; usize::try_from(range.end - range.start).unwrap_or(0)];
        let shared = self.start.max(range.start)..self.range().end.min(range.end);
        if !shared.is_empty() {
            let within = |origin: i64| (shared.start - origin) as usize..(shared.end - origin) as usize;
            out[within(range.start)].copy_from_slice(&self.samples[within(self.start)]);
        }
        out
    }
}

/// One filter with one change of rate: output `m` lies at the input position `m * step / phases`.
#[derive(Debug)]
struct Stage {
    step: u64,
    phases: u64,
    /// Taps on either side of an output; a row has twice as many.
    half: usize,
    /// Whether the table has a row for each phase, or rows to interpolate between.
    exact: bool,
    /// Rows of `2 * half` taps.
    table: Vec<f32>,
}

impl Stage {
    /// Band edges in cycles per input sample.
    fn new(step: u64, phases: u64, pass: f64, stop: f64) -> Self {
        let taps = (ATTENUATION_DB - 7.95) / (2.285 * 2.0 * PI * (stop - pass)) + 1.0;
        let half = ((taps / 2.0).ceil() as usize).next_multiple_of(LANES / 2);
        let exact = phases as usize * 2 * half <= MAX_EXACT_TAPS;
        let kernel = Kernel { cutoff: pass + stop, half: half as f64 };
        // An interpolated table begins one row early and ends two rows late.
        let offsets: Vec<f64> = if exact {
            (0..phases).map(|row| row as f64 / phases as f64).collect()
        } else {
            let rows = INTERPOLATED_PHASES as i32 + 2;
            (-1..=rows).map(|row| f64::from(row) / INTERPOLATED_PHASES as f64).collect()
        };
        let table = offsets.into_iter().flat_map(|offset| kernel.row(offset)).collect();
        Self { step, phases, half, exact, table }
    }

    /// The input that a range of outputs depends on.
    fn reads(&self, outputs: &Range<i64>) -> Range<i64> {
        let (first, _) = self.place(outputs.start);
        let (last, _) = self.place(outputs.end - 1);
        first - (self.half as i64 - 1)..last + self.half as i64 + 1
    }

    /// The outputs that a range of inputs reaches, with a little to spare.
    fn reaches(&self, inputs: &Range<i64>) -> Range<i64> {
        let (step, phases) = (i128::from(self.step), i128::from(self.phases));
        let output = |input: i64| (i128::from(input) * phases).div_euclid(step) as i64;
        output(inputs.start - self.half as i64)..output(inputs.end + self.half as i64) + 2
    }

    /// Input index before an output, and the phase between that and the next.
    fn place(&self, output: i64) -> (i64, u64) {
        let position = i128::from(output) * i128::from(self.step);
        let phases = i128::from(self.phases);
        (position.div_euclid(phases) as i64, position.rem_euclid(phases) as u64)
    }

    /// The outputs of a range, which is not empty.
    fn run(&self, signal: &Signal<'_>, range: Range<i64>, cancel: &Cancel) -> Result<Signal<'static>> {
        let inputs = self.reads(&range);
        let padded = signal.padded(&inputs);
        let (first, mut phase) = self.place(range.start);
        let mut at = (first - (self.half as i64 - 1) - inputs.start) as usize;
        let (whole, part) = ((self.step / self.phases) as usize, self.step % self.phases);
        let mut samples = vec![0.0; (range.end - range.start) as usize];
        for block in samples.chunks_mut(BLOCK) {
            cancel.check()?;
            for out in block {
                *out = self.output(&padded[at..at + 2 * self.half], phase);
                at += whole;
                phase += part;
                if phase >= self.phases {
                    phase -= self.phases;
                    at += 1;
                }
            }
        }
        Ok(Signal { start: range.start, samples: Cow::Owned(samples) })
    }

    fn output(&self, window: &[f32], phase: u64) -> f32 {
        let row = |index: usize| &self.table[index * 2 * self.half..][..2 * self.half];
        if self.exact {
            return dot(window, row(phase as usize));
        }
        let place = phase as f64 / self.phases as f64 * INTERPOLATED_PHASES as f64;
        let (index, f) = (place as usize, place.fract());
        // Lagrange's cubic through the rows at -1, 0, 1, 2.
        let weights = [
            -f * (f - 1.0) * (f - 2.0) / 6.0,
            (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0,
            -(f + 1.0) * f * (f - 2.0) / 2.0,
            (f + 1.0) * f * (f - 1.0) / 6.0,
        ];
        let term = |k: usize| weights[k] * f64::from(dot(window, row(index + k)));
        (term(0) + term(1) + term(2) + term(3)) as f32
    }
}

/// The continuous impulse response.
struct Kernel {
    /// Twice the middle of the transition band, in cycles per input sample.
    cutoff: f64,
    /// Half of the window's length.
    half: f64,
}

impl Kernel {
    /// The taps for an output that lies `offset` behind an input sample; their sum is 1.
    fn row(&self, offset: f64) -> Vec<f32> {
        let times: Vec<f64> =
            (0..2 * self.half as i64).map(|tap| tap as f64 - (self.half - 1.0) - offset).collect();
        let window = self.window(&times);
        let sinc = |t: f64| {
            let x = PI * self.cutoff * t;
            if x == 0.0 { 1.0 } else { x.sin() / x }
        };
        let row: Vec<f64> = times.iter().zip(window).map(|(&t, window)| window * sinc(t)).collect();
        let sum: f64 = row.iter().sum();
        row.into_iter().map(|tap| (tap / sum) as f32).collect()
    }

    /// Kaiser's window but for a constant factor: the modified Bessel function of order 0, by its series.
    fn window(&self, times: &[f64]) -> Vec<f64> {
        let edges: Vec<f64> = times.iter().map(|t| 1.0 - (t / self.half).powi(2)).collect();
        let mut values = vec![1.0; times.len()];
        for k in (1..=BESSEL_TERMS).rev() {
            // All times of a row at once, so that the compiler can put several in one register.
            let factor = (0.5 * BETA / f64::from(k)).powi(2);
            for (value, edge) in values.iter_mut().zip(&edges) {
                *value = 1.0 + factor * edge * *value;
            }
        }
        for (value, edge) in values.iter_mut().zip(&edges) {
            *value = if *edge > 0.0 { *value } else { 0.0 };
        }
        values
    }
}

/// Inner product in [`LANES`] separate sums, which the compiler keeps in vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, _) = a.as_chunks::<LANES>();
    let (b, _) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    // By arrays of fixed size: an index that varies would keep the sums out of registers.
    let eight: [f32; 8] = std::array::from_fn(|lane| sums[lane] + sums[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
