//! Resampling by any ratio with a windowed sinc, for the pitch shift.
//!
//! The ratio is replaced by the nearest fraction within 3 parts in a million (0.005 cent), so that the
//! filter's phases repeat and are tabulated exactly. The Kaiser window keeps images and aliases 100 dB down;
//! the band up to 0.9 of the lower Nyquist frequency passes.

use std::f64::consts::PI;
use std::sync::OnceLock;

/// Zero crossings of the sinc on each side.
const CROSSINGS: usize = 64;
/// Cut-off (-6 dB) as a part of the Nyquist frequency.
const CUTOFF: f64 = 0.95;
/// Parameter of the Kaiser window: 100 dB.
const BETA: f64 = 10.06;
/// Points of the tabulated sinc between two zero crossings; linear interpolation is then 1e-6 off at most.
const POINTS: usize = 1024;
/// Relative error that the fraction may have.
const TOLERANCE: f64 = 3e-6;

/// A ratio of output to input pitch as a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    numerator: u64,
    denominator: u64,
}

impl Ratio {
    /// The fraction with the smallest terms within the tolerance, by continued fractions.
    pub(super) fn nearest(value: f64) -> Self {
        let (mut old, mut new) = ((0_u64, 1_u64), (1_u64, 0_u64));
        let mut rest = value;
        loop {
            let whole = rest.floor();
            let next = (whole as u64 * new.0 + old.0, whole as u64 * new.1 + old.1);
            (old, new) = (new, next);
            if (new.0 as f64 / new.1 as f64 / value - 1.0).abs() < TOLERANCE {
                return Self { numerator: new.0, denominator: new.1 };
            }
            rest = (rest - whole).recip();
        }
    }

    pub(super) fn value(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

/// Play a clip `ratio` times as fast, pitch and all: `out[i]` is the clip's value at sample `i * ratio`.
///
/// `padded` is working memory.
pub(super) fn resample_into(samples: &[f32], ratio: Ratio, out: &mut Vec<f32>, padded: &mut Vec<f32>) {
    let bank = Bank::new(ratio);
    padded.clear();
    padded.resize(bank.reach, 0.0);
    padded.extend_from_slice(samples);
    let length = (samples.len() as f64 / ratio.value()).ceil() as usize;
    let end = length as u64 * ratio.numerator / ratio.denominator;
    padded.resize(padded.len().max(end as usize + bank.width), 0.0);
    out.clear();
    out.extend((0..length as u64).map(|i| {
        let place = i * ratio.numerator;
        let (whole, phase) = (place / ratio.denominator, place % ratio.denominator);
        dot(bank.taps(phase as usize), &padded[whole as usize..])
    }));
}

/// The filter of every phase.
struct Bank {
    /// Taps of one phase, a multiple of 8.
    width: usize,
    /// How many input samples before an output's place its first tap lies.
    reach: usize,
    taps: Vec<f32>,
}

impl Bank {
    fn new(ratio: Ratio) -> Self {
        let cutoff = ratio.value().recip().min(1.0);
        let reach = (CROSSINGS as f64 / cutoff).ceil() as usize;
        let width = (2 * reach).next_multiple_of(8);
        let table = prototype();
        let scale = cutoff * POINTS as f64;
        let mut taps = Vec::with_capacity(width * ratio.denominator as usize);
        for phase in 0..ratio.denominator {
            let centre = reach as f64 + phase as f64 / ratio.denominator as f64;
            taps.extend((0..width).map(|i| {
                let place = (i as f64 - centre).abs() * scale;
                let point = (place as usize).min(table.len() - 2);
                let (a, b) = (table[point], table[point + 1]);
                cutoff as f32 * (a + (b - a) * (place - point as f64).min(1.0) as f32)
            }));
        }
        Self { width, reach, taps }
    }

    fn taps(&self, phase: usize) -> &[f32] {
        &self.taps[phase * self.width..(phase + 1) * self.width]
    }
}

/// Right half of the windowed sinc, a few zeros behind it.
fn prototype() -> &'static [f32] {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let last = CROSSINGS * POINTS;
        let value = |i: usize| {
            let t = i as f64 / POINTS as f64;
            let window =
                bessel(BETA * (1.0 - (i as f64 / last as f64).powi(2)).max(0.0).sqrt()) / bessel(BETA);
            let x = PI * CUTOFF * t;
            let sinc = if i == 0 { 1.0 } else { x.sin() / x };
            if i < last { (CUTOFF * sinc * window) as f32 } else { 0.0 }
        };
        (0..last + 2).map(value).collect()
    })
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..60 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

/// Scalar product of the taps with as many samples; eight sums side by side, so that it vectorises.
fn dot(taps: &[f32], samples: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (taps, samples) in taps.chunks_exact(8).zip(samples.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += taps[lane] * samples[lane];
        }
    }
    sums.iter().sum()
}
