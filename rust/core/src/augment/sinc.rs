//! Resampling by any ratio with a windowed sinc, for the pitch shift.
//!
//! The ratio is replaced by the nearest fraction within 3 parts in a million (0.005 cent), so that places are
//! exact and the filter's phases repeat. The Kaiser window keeps images and aliases 100 dB down; the band up
//! to 0.9 of the lower Nyquist frequency passes.

use std::f64::consts::PI;
use std::sync::OnceLock;

/// Zero crossings of the sinc on each side.
const CROSSINGS: usize = 64;
/// Samples beyond the end that matter to the last value when the pitch falls.
pub(super) const MARGIN: usize = CROSSINGS + 1;
/// Cut-off (-6 dB) as a part of the Nyquist frequency.
const CUTOFF: f64 = 0.95;
/// Parameter of the Kaiser window: 100 dB.
const BETA: f64 = 10.06;
/// Points of the tabulated sinc between two zero crossings; linear interpolation is then 1e-6 off at most.
const POINTS: usize = 1024;
/// Most phases that are tabulated; if a ratio has more, neighbouring ones are interpolated, 1e-6 off at most.
const PHASES: u64 = 1024;
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

/// Play a clip `ratio` times as fast, pitch and all: `out[i]` is the clip's value at sample `i * ratio`, and
/// silence behind its end.
///
/// `padded` is working memory.
pub(super) fn resample_into(samples: &[f32], ratio: Ratio, out: &mut [f32], padded: &mut Vec<f32>) {
    let bank = Bank::new(ratio);
    padded.clear();
    padded.resize(bank.reach, 0.0);
    padded.extend_from_slice(samples);
    let last = out.len() as u64 * ratio.numerator / ratio.denominator;
    padded.resize(padded.len().max(last as usize + bank.width), 0.0);
    let (mut place, mut phase) = (0_usize, 0_u64);
    for out in out {
        *out = bank.value(phase, &padded[place..]);
        phase += ratio.numerator % ratio.denominator;
        place += (ratio.numerator / ratio.denominator) as usize;
        if phase >= ratio.denominator {
            phase -= ratio.denominator;
            place += 1;
        }
    }
}

/// The filter at evenly spaced phases from 0 to 1.
struct Bank {
    /// Taps of one phase, a multiple of 8.
    width: usize,
    /// How many input samples before an output's place its first tap lies.
    reach: usize,
    /// Tabulated phases for each of the ratio's.
    density: f64,
    taps: Vec<f32>,
}

impl Bank {
    fn new(ratio: Ratio) -> Self {
        let cutoff = ratio.value().recip().min(1.0);
        let reach = (CROSSINGS as f64 / cutoff).ceil() as usize;
        let width = (2 * reach).next_multiple_of(8);
        let table = prototype();
        let scale = cutoff * POINTS as f64;
        let phases = ratio.denominator.min(PHASES);
        let mut taps = Vec::with_capacity(width * (phases as usize + 1));
        for phase in 0..=phases {
            let centre = reach as f64 + phase as f64 / phases as f64;
            taps.extend((0..width).map(|i| {
                let place = (i as f64 - centre).abs() * scale;
                let point = (place as usize).min(table.len() - 2);
                let (a, b) = (table[point], table[point + 1]);
                cutoff as f32 * (a + (b - a) * (place - point as f64).min(1.0) as f32)
            }));
        }
        Self { width, reach, density: phases as f64 / ratio.denominator as f64, taps }
    }

    /// The filtered value at a phase of the ratio, for the padded samples from its place on.
    fn value(&self, phase: u64, samples: &[f32]) -> f32 {
        let place = phase as f64 * self.density;
        let row = place as usize;
        let rest = (place - row as f64) as f32;
        let value = dot(self.taps(row), samples);
        if rest == 0.0 { value } else { value + rest * (dot(self.taps(row + 1), samples) - value) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(hz: f64, length: usize, ratio: f64) -> Vec<f64> {
        (0..length).map(|i| (2.0 * PI * hz * i as f64 * ratio).sin()).collect()
    }

    fn resample(samples: &[f64], ratio: Ratio) -> Vec<f64> {
        let samples: Vec<f32> = samples.iter().map(|&x| x as f32).collect();
        let mut out = vec![0.0; (samples.len() as f64 / ratio.value()) as usize];
        resample_into(&samples, ratio, &mut out, &mut Vec::new());
        out.into_iter().map(f64::from).collect()
    }

    /// Largest difference away from the ends, in dB below full scale.
    fn difference_db(a: &[f64], b: &[f64]) -> f64 {
        let inside = a.len() / 4..a.len() * 3 / 4;
        let worst = inside.map(|i| (a[i] - b[i]).abs()).fold(0.0, f64::max);
        20.0 * worst.log10()
    }

    #[test]
    fn ratios_of_semitones_are_close_and_short() {
        for cents in -2400..=2400 {
            let exact = (f64::from(cents) / 1200.0).exp2();
            let ratio = Ratio::nearest(exact);
            assert!((ratio.value() / exact - 1.0).abs() < TOLERANCE);
        }
        assert_eq!(Ratio::nearest(2.0), Ratio { numerator: 2, denominator: 1 });
        assert_eq!(Ratio::nearest(0.75), Ratio { numerator: 3, denominator: 4 });
    }

    #[test]
    fn tones_below_the_cut_off_pass_and_those_above_vanish() {
        // The last two have more phases than the table.
        for ratio in [0.25, 0.667_419_927, 1.122_462_048, 1.498_307_077, 3.9, 1.000_03, 0.999_123_4] {
            let ratio = Ratio::nearest(ratio);
            let nyquist = 0.5 * ratio.value().recip().min(1.0);
            for part in [0.01, 0.3, 0.89] {
                let out = resample(&tone(part * nyquist, 8000, 1.0), ratio);
                let exact = tone(part * nyquist, out.len(), ratio.value());
                let error = difference_db(&out, &exact);
                assert!(error < -90.0, "{part} of Nyquist at {ratio:?}: {error} dB");
            }
            if ratio.value() > 1.02 {
                let out = resample(&tone(1.01 * nyquist, 8000, 1.0), ratio);
                let alias = difference_db(&out, &vec![0.0; out.len()]);
                assert!(alias < -90.0, "alias at {ratio:?}: {alias} dB");
            }
        }
    }

    proptest! {
        #[test]
        fn any_length_and_ratio_stays_bounded(
            ratio in 0.25_f64..4.0,
            length in 0_usize..500,
            asked in 0_usize..3000,
        ) {
            let mut out = vec![f32::NAN; asked];
            resample_into(&vec![1.0; length], Ratio::nearest(ratio), &mut out, &mut Vec::new());
            prop_assert!(out.iter().all(|x| x.abs() < 1.5));
        }
    }
}
