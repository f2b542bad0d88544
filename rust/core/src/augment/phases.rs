//! The phases of the time stretch: what each frame's bins are rotated by.
//!
//! All but one number for each peak is independent of the frame before, and done for as many frames at once as a vector
//! has lanes. The symbols are those of Laroche and Dolson (1999) and of Prusa and Holighaus (2017):
//!
//! - `x`, the spectrum of an analysis frame; `x_before`, that of the frame one synthesis hop before it; `y`, the
//!   spectrum of the synthesis frame.
//! - `alpha`, by which time is stretched.
//! - `psi`, a rotation for each bin: the sum, from the first bin up, of `alpha - 1` times the phase's gradient over
//!   frequency.
//! - `z`, the rotation of a region around a peak: `y = z psi x`.
//!
//! `z` is the same for all bins from one valley to the next. At a peak it is the direction of
//!
//! `conj(psi) * (y of the frame before / x_before) * peak's power + weight * valley's power * z of the region below`,
//!
//! of which `z_time` is the first term.

use super::elementary::{atan2, sin_cos};
use crate::simd::{MAX_LANES, Vector, numbers};
use std::f32::consts::PI;

/// Neighbouring bins whose group delay is measured together.
const GROUP: usize = 8;

/// Weight of the rotation that comes from below, through the valley, against that from the previous frame.
/// More keeps clicks in quick succession together, less the level of noise.
const VERTICAL_WEIGHT: f32 = 2.0;

/// A group delay beyond this part of the frame's half is the window's own edge, not a click.
const DELAY_LIMIT: f32 = 0.8;

/// A rotation's length below which it is made 1 again; the squares of shorter ones are still normal numbers.
const SHORT: f32 = 1e-9;

/// Rows of complex numbers, real and imaginary parts apart.
pub(super) struct ComplexRows {
    pub(super) re: Vec<f32>,
    pub(super) im: Vec<f32>,
}

impl ComplexRows {
    pub(super) fn zeros(size: usize) -> Self {
        Self { re: vec![0.0; size], im: vec![0.0; size] }
    }

    #[inline(always)]
    fn row(&self, index: usize, size: usize) -> [&[f32]; 2] {
        [&self.re, &self.im].map(|part| &part[index * size..(index + 1) * size])
    }
}

/// What the phases of `lanes` frames need on their way.
pub(super) struct PhaseScratch {
    /// Group delays, then rotations, of each group of bins, a number for each lane.
    groups: ComplexRows,
    /// The power of a frame's bins.
    power: Vec<f32>,
    z_time: ComplexRows,
    z: ComplexRows,
    /// Peaks and valleys in turn.
    extrema: Vec<u32>,
}

impl PhaseScratch {
    /// Memory for rows of `row` numbers, of which `bins` are bins.
    pub(super) fn new(lanes: usize, bins: usize, row: usize) -> Self {
        Self {
            groups: ComplexRows::zeros(lanes * bins.div_ceil(GROUP)),
            power: vec![0.0; row],
            z_time: ComplexRows::zeros(row),
            z: ComplexRows::zeros(row + MAX_LANES),
            extrema: vec![0; row],
        }
    }
}

/// `psi` of the frames in the lanes of `x`.
#[inline(always)]
pub(super) fn psi_of<V: Vector>(x: &[V], alpha: f32, scratch: &mut PhaseScratch, psi: &mut [V]) {
    group_delays(x, &mut scratch.groups);
    scale_gradients::<V>(&mut scratch.groups, alpha);
    integrate(&scratch.groups, psi);
}

/// Energy-weighted sum of the phase steps between neighbours in each group of bins: its angle is the group delay.
///
/// The frame starts half a length before its centre, which turns every step by pi: hence the minus.
#[inline(always)]
fn group_delays<V: Vector>(x: &[V], delays: &mut ComplexRows) {
    let (x, _) = x.as_chunks::<2>();
    let mut below = [V::splat(0.0); 2];
    let sums = delays.re.chunks_exact_mut(V::LANES).zip(delays.im.chunks_exact_mut(V::LANES));
    for (group, (re, im)) in x.chunks(GROUP).zip(sums) {
        let mut sum = [V::splat(0.0); 2];
        for &[br, bi] in group {
            let [ar, ai] = below;
            sum[0] = sum[0] - br.mul_add(ar, bi * ai);
            sum[1] = sum[1] - bi.mul_sub(ar, br * ai);
            below = [br, bi];
        }
        sum[0].store(re);
        sum[1].store(im);
    }
}

/// From the delays to the factor by which `psi` changes from one bin of a group to the next.
#[inline(always)]
fn scale_gradients<V: Vector>(groups: &mut ComplexRows, alpha: f32) {
    let limit = DELAY_LIMIT * (1.0 / alpha).min(1.0);
    let smooth = |part: &mut [f32]| {
        // Half of each neighbour is added.
        let mut below = [0.0; MAX_LANES];
        let last = part.len() - V::LANES;
        for first in (0..part.len()).step_by(V::LANES) {
            for lane in 0..V::LANES {
                let here = part[first + lane];
                let above = if first < last { part[first + V::LANES + lane] } else { 0.0 };
                part[first + lane] = here + 0.5 * (below[lane] + above);
                below[lane] = here;
            }
        }
    };
    smooth(&mut groups.re);
    smooth(&mut groups.im);
    for (re, im) in groups.re.iter_mut().zip(&mut groups.im) {
        let gradient = atan2(*im, *re);
        let over = gradient.abs() * (1.0 / PI) - limit;
        let excess = if over > 0.0 { over } else { 0.0 } / (1.0 - limit);
        (*im, *re) = sin_cos((alpha - 1.0) * gradient * (1.0 - excess));
    }
}

/// `psi` of each bin: the product of the factors of all bins up to it.
#[inline(always)]
fn integrate<V: Vector>(factors: &ComplexRows, psi: &mut [V]) {
    let (psi, _) = psi.as_chunks_mut::<2>();
    let (one_half, three_halves) = (V::splat(0.5), V::splat(1.5));
    let mut product = [V::splat(1.0), V::splat(0.0)];
    let groups = factors.re.chunks_exact(V::LANES).zip(factors.im.chunks_exact(V::LANES));
    for (psi, (re, im)) in psi.chunks_mut(GROUP).zip(groups) {
        let factor = [V::load(re), V::load(im)];
        for to in psi {
            product = times(product, factor);
            *to = product;
        }
        // One step of Newton's towards length 1, so that rounding does not add up.
        let square = product[0].mul_add(product[0], product[1] * product[1]);
        let correction = three_halves - one_half * square;
        product = [product[0] * correction, product[1] * correction];
    }
}

#[inline(always)]
fn times<V: Vector>(a: [V; 2], b: [V; 2]) -> [V; 2] {
    [a[0].mul_sub(b[0], a[1] * b[1]), a[0].mul_add(b[1], a[1] * b[0])]
}

/// From `x` to `psi x`, and from lanes to one row for each lane.
#[inline(always)]
pub(super) fn rotate_to_rows<V: Vector>(x: &mut [V], psi: &[V], rows: &mut ComplexRows, row: usize) {
    let (bins, _) = x.as_chunks_mut::<2>();
    for (bin, &psi) in bins.iter_mut().zip(psi.as_chunks::<2>().0) {
        *bin = times(*bin, psi);
    }
    let flat = numbers(x);
    for (part, rows) in [&mut rows.re, &mut rows.im].into_iter().enumerate() {
        for bin in (0..row).step_by(V::LANES) {
            let transposed = V::load_transposed(&flat[(2 * bin + part) * V::LANES..], 2 * V::LANES);
            for (lane, bins) in transposed.as_ref().iter().enumerate() {
                bins.store(&mut rows[lane * row + bin..]);
            }
        }
    }
}

/// From rows, the first of which belongs to the frame before, to lanes.
#[inline(always)]
pub(super) fn from_rows<V: Vector>(rows: &ComplexRows, row: usize, spectrum: &mut [V]) {
    let (x, _) = spectrum.as_chunks_mut::<2>();
    for (part, rows) in [&rows.re, &rows.im].into_iter().enumerate() {
        for (block, x) in x[..row].chunks_exact_mut(V::LANES).enumerate() {
            let transposed = V::load_transposed(&rows[row + block * V::LANES..], row);
            for (x, &lanes) in x.iter_mut().zip(transposed.as_ref()) {
                x[part] = lanes;
            }
        }
    }
}

/// `y` of one frame, behind that of the frame before it, from the rows `psi x` and `psi x_before`: region by region from
/// the lowest peak to the highest.
#[inline(always)]
pub(super) fn propagate(
    lane: usize,
    bins: usize,
    row: usize,
    x: &ComplexRows,
    x_before: &ComplexRows,
    y: &mut ComplexRows,
    scratch: &mut PhaseScratch,
) {
    let ([xr, xi], [br, bi]) = (x.row(lane, row), x_before.row(lane, row));
    let (past_re, yr) = y.re[lane * row..(lane + 2) * row].split_at_mut(row);
    let (past_im, yi) = y.im[lane * row..(lane + 2) * row].split_at_mut(row);
    let PhaseScratch { power, z_time, z, extrema, .. } = scratch;
    let (power, time_re, time_im) = (&mut power[..row], &mut z_time.re[..row], &mut z_time.im[..row]);
    for b in 0..row {
        power[b] = xr[b] * xr[b] + xi[b] * xi[b];
        let (pr, pi) = (past_re[b] * br[b] + past_im[b] * bi[b], past_im[b] * br[b] - past_re[b] * bi[b]);
        let square = pr * pr + pi * pi;
        let square = if square > f32::MIN_POSITIVE { square } else { f32::MIN_POSITIVE };
        let weight = (br[b] * br[b] + bi[b] * bi[b]) / square.sqrt();
        time_re[b] = pr * weight;
        time_im[b] = pi * weight;
    }
    let count = find_extrema(&power[..=bins], extrema);
    // `sum` is `z` times any length: the square root that the next one waits for is its only slow step.
    let (mut sum, mut length) = ([1.0_f32, 0.0], 1.0_f32);
    let (mut weight, mut start) = (0.0, 0);
    for &[peak, valley] in extrema[..count].as_chunks::<2>().0 {
        let (peak, valley) = (peak as usize, valley as usize);
        // The length never grows, as the two weights add up to 1.
        let total = br[peak] * br[peak] + bi[peak] * bi[peak] + weight;
        let share = 1.0 / if total > f32::MIN_POSITIVE { total } else { f32::MIN_POSITIVE };
        let (from_past, from_below) = ([time_re[peak] * share, time_im[peak] * share], weight * share);
        let next = [from_past[0] * length + sum[0] * from_below, from_past[1] * length + sum[1] * from_below];
        let square = next[0] * next[0] + next[1] * next[1];
        if square > SHORT * SHORT {
            (sum, length) = (next, square.sqrt());
        } else if square > f32::MIN_POSITIVE {
            let shorter = square.sqrt();
            (sum, length) = ([next[0] / shorter, next[1] / shorter], 1.0);
        }
        let unit = 1.0 / length;
        for at in (start..=valley).step_by(MAX_LANES) {
            z.re[at..at + MAX_LANES].copy_from_slice(&[sum[0] * unit; MAX_LANES]);
            z.im[at..at + MAX_LANES].copy_from_slice(&[sum[1] * unit; MAX_LANES]);
        }
        weight = VERTICAL_WEIGHT * power[valley];
        start = valley + 1;
    }
    let (zr, zi) = (&z.re[..row], &z.im[..row]);
    for b in 0..row {
        yr[b] = xr[b] * zr[b] - xi[b] * zi[b];
        yi[b] = xr[b] * zi[b] + xi[b] * zr[b];
    }
}

/// Write down where the power, rising at first, turns: peak, valley, peak and so on to a last peak, and the last bin as
/// the valley behind it. Returns how many there are. The power ends with a 0 that is no bin.
#[inline(always)]
fn find_extrema(power: &[f32], extrema: &mut [u32]) -> usize {
    let bins = power.len() - 1;
    let (mut count, mut rising) = (0, true);
    for b in 0..bins {
        let rises = power[b + 1] > power[b];
        // Written every time and kept where it counts: the power of noise would mislead any branch.
        extrema[count] = b as u32;
        count += usize::from(rises != rising);
        rising = rises;
    }
    extrema[count] = bins as u32 - 1;
    count + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_valleys_take_turns() {
        let extrema = |power: &[f32]| {
            let mut extrema = vec![0; power.len()];
            let count = find_extrema(power, &mut extrema);
            extrema.truncate(count);
            extrema
        };
        assert_eq!(extrema(&[1.0, 2.0, 1.0, 3.0, 4.0, 2.0, 0.0]), [1, 2, 4, 5]);
        assert_eq!(extrema(&[3.0, 2.0, 1.0, 0.0]), [0, 2]);
        assert_eq!(extrema(&[1.0, 2.0, 3.0, 0.0]), [2, 2]);
        assert_eq!(extrema(&[0.0; 5]), [0, 3]);
        assert_eq!(extrema(&[5.0, 1.0, 1.0, 2.0, 0.0]), [0, 2, 3, 3]);
    }
}
