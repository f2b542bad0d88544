//! The low-pass of one change of rate, tabulated for the phases that its outputs have.

use crate::simd::{Kernel, SimdLevel, Vector};
use std::f64::consts::PI;

/// Terms of the Bessel function's series: at 140 dB the next is below 1e-12 of the window's middle.
const BESSEL_TERMS: u32 = 25;
/// Rows of the table that others are interpolated from: by cubics between 128 phases the error is 2e-9.
const DENSE: u32 = 128;
/// Up to this size a table has a row for every phase that occurs.
const MAX_TAPS: usize = 1 << 18;

/// Rows of taps, one for each phase, with zeros on both sides so that neighbouring outputs can share a window.
#[derive(Debug)]
pub(super) struct Filter {
    phases: u64,
    /// Taps on either side of an output.
    half: usize,
    margin: usize,
    table: Vec<f32>,
    /// Whether the table lacks rows, so that they are interpolated when they are needed.
    interpolated: bool,
}

/// What a low-pass shall do. Edges are in cycles per input sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    /// Where the pass band ends.
    pub(super) pass: f64,
    /// Where the stop band begins.
    pub(super) stop: f64,
    /// Attenuation of the stop band.
    pub(super) attenuation_db: f64,
}

impl Filter {
    /// A low-pass for outputs that lie at multiples of `1 / phases` between two input samples; `margin` zeros stand
    /// on both sides of a row.
    pub(super) fn new(phases: u64, band: Band, margin: usize, level: SimdLevel) -> Self {
        let Band { pass, stop, attenuation_db } = band;
        let taps = (attenuation_db - 7.95) / (2.285 * 2.0 * PI * (stop - pass)) + 1.0;
        let half = (taps / 2.0).ceil() as usize;
        let beta = 0.1102 * (attenuation_db - 8.7);
        let dense = phases > u64::from(DENSE);
        let rows = if dense { -1..i64::from(DENSE) + 2 } else { 0..phases as i64 };
        let between = if dense { DENSE } else { phases as u32 };
        let mut filter = Self { phases, half, margin, table: Vec::new(), interpolated: dense };
        let cutoff = pass + stop;
        filter.table = level.run(Design { cutoff, beta, half, margin, rows, between });
        if dense && phases as usize * filter.pitch() <= MAX_TAPS {
            filter.table = level.run(Expansion(&filter));
            filter.interpolated = false;
        }
        filter
    }

    /// Taps on either side of an output: it depends on `half - 1` samples before its place and `half + 1` from there.
    pub(super) fn half(&self) -> usize {
        self.half
    }

    /// Number of input samples that the window of some neighbouring outputs spans.
    pub(super) fn span(&self) -> usize {
        2 * self.half + self.margin
    }

    /// Length of a row with its margins.
    pub(super) fn pitch(&self) -> usize {
        self.span() + self.margin
    }

    /// The row of a phase with its margins; `space` is as long and holds it if it is not in the table.
    #[inline(always)]
    pub(super) fn row<'a>(&'a self, phase: u64, space: &'a mut [f32]) -> &'a [f32] {
        if self.interpolated {
            self.interpolate(phase, space);
            return space;
        }
        &self.table[phase as usize * self.pitch()..][..self.pitch()]
    }

    /// Lagrange's cubic through the rows at -1, 0, 1, 2 of the dense table.
    #[inline(always)]
    fn interpolate(&self, phase: u64, out: &mut [f32]) {
        let place = phase as f64 / self.phases as f64 * f64::from(DENSE);
        let (index, f) = (place as usize, place.fract());
        let weights = [
            -f * (f - 1.0) * (f - 2.0) / 6.0,
            (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0,
            -(f + 1.0) * f * (f - 2.0) / 2.0,
            (f + 1.0) * f * (f - 1.0) / 6.0,
        ];
        let [w0, w1, w2, w3] = weights.map(|weight| weight as f32);
        let row = |k: usize| &self.table[(index + k) * self.pitch()..][..self.pitch()];
        let rows = row(0).iter().zip(row(1)).zip(row(2).iter().zip(row(3)));
        for (out, ((a, b), (c, d))) in out.iter_mut().zip(rows) {
            *out = (w0 * a + w3 * d) + (w1 * b + w2 * c);
        }
    }
}

/// A row for every phase, from the dense table. Plain loops: the level only decides how they are compiled.
struct Expansion<'a>(&'a Filter);

impl Kernel for Expansion<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        let mut table = vec![0.0; self.0.phases as usize * self.0.pitch()];
        for (phase, row) in table.chunks_exact_mut(self.0.pitch()).enumerate() {
            self.0.interpolate(phase as u64, row);
        }
        table
    }
}

/// The continuous impulse response at the phases `row / between`: Kaiser 1974; Oppenheim and Schafer, Discrete-Time
/// Signal Processing, 7.5.3.
struct Design {
    /// Twice the middle of the transition band, in cycles per input sample.
    cutoff: f64,
    /// Kaiser's shape parameter.
    beta: f64,
    half: usize,
    margin: usize,
    rows: std::ops::Range<i64>,
    between: u32,
}

impl Kernel for Design {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        let (taps, margin, first) = (2 * self.half, self.margin, self.rows.start);
        let pitch = taps + 2 * margin;
        let mut table = vec![0.0; (self.rows.end - first) as usize * pitch];
        // Sines of a row follow from these by the angle of its first tap.
        let sines: Vec<(f64, f64)> = (0..taps).map(|tap| (PI * self.cutoff * tap as f64).sin_cos()).collect();
        let mut space = [vec![0.0; taps], vec![0.0; taps]];
        for row in self.rows.clone() {
            let (earlier, this) = table.split_at_mut((row - first) as usize * pitch);
            // The response is even: a phase and what it lacks to 1 have the same taps in opposite order.
            let mirrored = i64::from(self.between) - row;
            if (first..row).contains(&mirrored) {
                let twin = &earlier[(mirrored - first) as usize * pitch..][..pitch];
                for (tap, twin) in this.iter_mut().zip(twin.iter().rev()) {
                    *tap = *twin;
                }
            } else {
                let offset = row as f64 / f64::from(self.between);
                self.taps(offset, &sines, &mut space, &mut this[margin..margin + taps]);
            }
        }
        table
    }
}

impl Design {
    /// The taps for an output that lies `offset` behind an input sample; their sum is 1.
    #[inline(always)]
    fn taps(&self, offset: f64, sines: &[(f64, f64)], space: &mut [Vec<f64>; 2], out: &mut [f32]) {
        let [values, edges] = space;
        let before = (self.half - 1) as f64 + offset;
        for (tap, edge) in edges.iter_mut().enumerate() {
            let part = (tap as f64 - before) / self.half as f64;
            *edge = (1.0 - part * part).max(0.0);
        }
        // Kaiser's window but for a constant factor: the modified Bessel function of order 0, by its series. All
        // taps at once, so that the compiler can put several in one register.
        values.fill(1.0);
        for k in (1..=BESSEL_TERMS).rev() {
            let factor = (0.5 * self.beta / f64::from(k)).powi(2);
            for (value, edge) in values.iter_mut().zip(edges.iter()) {
                *value = 1.0 + factor * edge * *value;
            }
        }
        let (sin, cos) = (PI * self.cutoff * before).sin_cos();
        let mut sum = 0.0;
        for (tap, ((value, edge), &(s, c))) in values.iter_mut().zip(edges.iter()).zip(sines).enumerate() {
            let x = PI * self.cutoff * (tap as f64 - before);
            let sinc = if x == 0.0 { 1.0 } else { (s * cos - c * sin) / x };
            *value = if *edge > 0.0 { *value * sinc } else { 0.0 };
            sum += *value;
        }
        for (out, value) in out.iter_mut().zip(values.iter()) {
            *out = (value / sum) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAND: Band = Band { pass: 0.4, stop: 0.44, attenuation_db: 130.0 };

    fn row(filter: &Filter, phase: u64) -> Vec<f32> {
        filter.row(phase, &mut vec![0.0; filter.pitch()]).to_vec()
    }

    #[test]
    fn an_interpolated_row_is_the_exact_one() {
        let level = SimdLevel::best();
        let exact = Filter::new(100, BAND, 4, level);
        for phases in [200, 100_000] {
            let other = Filter::new(phases, BAND, 4, level);
            assert_eq!(other.interpolated, phases > 1000);
            for phase in 0..100 {
                let pairs = row(&exact, phase).into_iter().zip(row(&other, phase * phases / 100));
                let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1.2e-7, "phase {phase} of {phases}: {worst:e}");
            }
        }
    }

    #[test]
    fn rows_sum_to_one_and_have_empty_margins() {
        for phases in [1, 2, 3, 128, 129, 320] {
            let filter = Filter::new(phases, BAND, 6, SimdLevel::best());
            for phase in 0..phases {
                let row = row(&filter, phase);
                assert!((row.iter().map(|&tap| f64::from(tap)).sum::<f64>() - 1.0).abs() < 1e-6);
                assert!(row[..6].iter().chain(&row[row.len() - 6..]).all(|&tap| tap == 0.0));
            }
        }
    }

    #[test]
    fn every_level_designs_the_same_filter() {
        for phases in [7, 320] {
            let expected = Filter::new(phases, BAND, 2, SimdLevel::best()).table;
            for level in SimdLevel::all() {
                assert_eq!(Filter::new(phases, BAND, 2, level).table, expected);
            }
        }
    }
}
