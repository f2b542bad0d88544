//! The work of the time stretch: spectra of several frames side by side in the lanes of vectors, then frame after
//! frame the rotations, bin after bin.
//!
//! What a frame's rotations need of the frame before it is one number for each peak. All else is done for as many
//! frames at once as a vector has lanes: the transforms, the group delays and the rotation `turns` that they add up to
//! from the first bin on. In terms of a bin's rotation over its turn, the vocoder's rules are short: it is the same
//! for all bins from one valley to the next, and at a peak it is the direction of
//!
//! `conj(turn) * (previous output over earlier input) * peak's power + weight * valley's power * the one below`.

use super::elementary::{atan2, sin_cos};
use super::time_stretch::{DELAY_LIMIT, GROUP, StretchScratch, Stretcher, VERTICAL_WEIGHT};
use crate::Result;
use crate::par::Cancel;
use crate::simd::{Block, Kernel, Level, Vector, numbers, vectors};
use std::f32::consts::PI;

/// Floats that a row of bins is filled by at a time: the widest vector.
const STRIPE: usize = 16;

/// A rotation's length below which it is made 1 again; the squares of shorter ones are still normal numbers.
const SHORT: f32 = 1e-9;

/// One clip's stretch. `out` is silent.
pub(super) struct Stretch<'a> {
    pub(super) plan: &'a Stretcher,
    pub(super) samples: &'a [f32],
    /// What the samples are to be multiplied by.
    pub(super) scale: f32,
    pub(super) rate: f64,
    pub(super) out: &'a mut [f32],
    pub(super) scratch: &'a mut StretchScratch,
    pub(super) cancel: &'a Cancel,
}

/// Rows of complex numbers, real and imaginary parts apart.
#[derive(Default)]
pub(super) struct Rows {
    re: Vec<f32>,
    im: Vec<f32>,
}

impl Rows {
    pub(super) fn zeros(size: usize) -> Self {
        Self { re: vec![0.0; size], im: vec![0.0; size] }
    }

    #[inline(always)]
    fn row(&self, index: usize, size: usize) -> [&[f32]; 2] {
        [&self.re, &self.im].map(|part| &part[index * size..(index + 1) * size])
    }
}

/// What the bins of one frame need on their way.
pub(super) struct Line {
    power: Vec<f32>,
    /// The direction that the previous frame gives a peak, times its power.
    pull: Rows,
    /// The rotation over the turn.
    common: Rows,
    /// Peaks and valleys in turn.
    extrema: Vec<u32>,
}

impl Line {
    pub(super) fn new(row: usize) -> Self {
        Self {
            power: vec![0.0; row],
            pull: Rows::zeros(row),
            common: Rows::zeros(row + STRIPE),
            extrema: vec![0; row],
        }
    }
}

/// Memory for so many pairs of vectors.
pub(super) fn pairs(level: Level, count: usize) -> Vec<Block> {
    Block::zeros(level, 2 * count)
}

impl Kernel for Stretch<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<()> {
        let Self { plan, samples, scale, rate, out, scratch, cancel } = self;
        let (half, hop, row) = (plan.length() as i64 / 2, plan.hop() as i64, plan.row());
        let twist = 1.0 / rate as f32 - 1.0;
        let StretchScratch { frames, buffers, turns, delays, aim, earlier, output, line } = scratch;
        let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..2 * row]);
        let turns = &mut vectors::<V>(turns)[..2 * row];
        [&mut output.re, &mut output.im].into_iter().for_each(|part| part[..row].fill(0.0));
        let (first, last) = (-((half - 1) / hop), (out.len() as i64 + half - 1) / hop);
        for k in (first..=last).step_by(V::LANES) {
            cancel.check()?;
            let width = V::LANES.min((last - k + 1) as usize);
            let start = |lane: usize| (((k + lane as i64) * hop) as f64 * rate).round() as i64 - half;
            plan.cut(samples, scale, frames, (0..width).map(start));
            let [spectra, _] = plan.spectra(frames, [&mut *a, &mut *b]);
            delays_of(&spectra[..2 * plan.bins()], delays);
            rotations::<V>(delays, twist);
            add_up(delays, &mut turns[..2 * plan.bins()]);
            turn(spectra, turns);
            to_rows(spectra, aim, row);
            plan.cut(samples, scale, frames, (0..width).map(|lane| start(lane) - hop));
            let [spectra, _] = plan.spectra(frames, [&mut *a, &mut *b]);
            turn(spectra, turns);
            to_rows(spectra, earlier, row);
            for lane in 0..width {
                rotate(lane, plan.bins(), row, aim, earlier, output, line);
            }
            from_rows(output, row, a);
            plan.signals([&mut *a, &mut *b], frames);
            for lane in 0..width {
                plan.overlap_add(frames, lane, (k + lane as i64) * hop - half, out);
            }
            let newest = width * row..(width + 1) * row;
            output.re.copy_within(newest.clone(), 0);
            output.im.copy_within(newest, 0);
        }
        Ok(())
    }
}

impl Stretcher {
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
            let square = V::columns(&frames[block * V::LANES..], self.frame_stride());
            to.copy_from_slice(square.as_ref());
        }
        let [packed, spectrum] = self.fft.transform([a, b]);
        self.part(packed, spectrum);
        [spectrum, packed]
    }

    /// From the spectrum `z` of packed samples, halved, to that of the real ones, as `mel::stft` does for the power.
    #[inline(always)]
    fn part<V: Vector>(&self, packed: &[V], spectrum: &mut [V]) {
        let half = self.length() / 2;
        let z = &packed.as_chunks::<2>().0[..half];
        let x = &mut spectrum.as_chunks_mut::<2>().0[..=half];
        let (zero, two) = (V::splat(0.0), V::splat(2.0));
        x[0] = [(z[0][0] + z[0][1]) * two, zero];
        x[half] = [(z[0][0] - z[0][1]) * two, zero];
        x[half / 2] = [z[half / 2][0] * two, zero - z[half / 2][1] * two];
        let (low, high) = x.split_at_mut(half / 2 + 1);
        let outputs = low[1..half / 2].iter_mut().zip(high[..half / 2 - 1].iter_mut().rev());
        let pairs = z[1..half / 2].iter().zip(z[half / 2 + 1..].iter().rev());
        for (((low, high), (u, v)), &[c, s]) in outputs.zip(pairs).zip(&self.parting) {
            let (c, s) = (V::splat(c), V::splat(s));
            let (er, ei, dr, di) = (u[0] + v[0], u[1] - v[1], u[1] + v[1], v[0] - u[0]);
            let (pr, pi) = (dr.mul_sub(c, di * s), dr.mul_add(s, di * c));
            *low = [er + pr, ei + pi];
            *high = [er - pr, pi - ei];
        }
    }

    /// Frames of samples from the spectra in the first buffer; the sign of every second sample is turned and its size
    /// multiplied by the length, which the window of the synthesis undoes.
    #[inline(always)]
    fn signals<V: Vector>(&self, buffers: [&mut [V]; 2], frames: &mut [f32]) {
        let [spectrum, packed] = buffers;
        self.join(spectrum, packed);
        let [signal, _] = self.fft.transform([packed, spectrum]);
        let stride = self.frame_stride();
        for (block, from) in signal[..self.length()].chunks_exact(V::LANES).enumerate() {
            for (lane, samples) in V::columns(numbers(from), V::LANES).as_ref().iter().enumerate() {
                samples.store(&mut frames[lane * stride + block * V::LANES..]);
            }
        }
    }

    /// From the spectrum `x` of real samples to the conjugate of the packed one, which is
    /// `e - i w^k d` with `e = conj x[k] + x[h-k]` and `d = conj x[k] - x[h-k]`.
    #[inline(always)]
    fn join<V: Vector>(&self, spectrum: &[V], packed: &mut [V]) {
        let half = self.length() / 2;
        let x = &spectrum.as_chunks::<2>().0[..=half];
        let z = &mut packed.as_chunks_mut::<2>().0[..half];
        let two = V::splat(2.0);
        // A real signal's first and last bin are real; the rotation need not have kept them so.
        z[0] = [x[0][0] + x[half][0], x[half][0] - x[0][0]];
        z[half / 2] = [x[half / 2][0] * two, x[half / 2][1] * two];
        let (low, high) = z.split_at_mut(half / 2);
        let outputs = low[1..].iter_mut().zip(high[1..].iter_mut().rev());
        let pairs = x[1..half / 2].iter().zip(x[half / 2 + 1..half].iter().rev());
        for (((low, high), (u, v)), &[c, s]) in outputs.zip(pairs).zip(&self.parting) {
            let (c, s) = (V::splat(c), V::splat(s));
            let (er, ei, dr, di) = (u[0] + v[0], v[1] - u[1], u[0] - v[0], V::splat(0.0) - (u[1] + v[1]));
            let (pr, pi) = (dr.mul_sub(c, di * s), dr.mul_add(s, di * c));
            *low = [er + pi, ei - pr];
            *high = [er - pi, V::splat(0.0) - (ei + pr)];
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

/// Energy-weighted sum of the phase steps between neighbours in each group of bins: its angle is the group delay.
///
/// The frame starts half a length before its centre, which turns every step by pi: hence the minus.
#[inline(always)]
fn delays_of<V: Vector>(spectrum: &[V], delays: &mut Rows) {
    let (x, _) = spectrum.as_chunks::<2>();
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

/// From the delays to the factor by which the rotation of a group changes from bin to bin.
#[inline(always)]
fn rotations<V: Vector>(delays: &mut Rows, twist: f32) {
    let limit = DELAY_LIMIT * (1.0 / (1.0 + twist)).min(1.0);
    let smooth = |part: &mut [f32]| {
        // Half of each neighbour is added.
        let mut below = [0.0; STRIPE];
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
    smooth(&mut delays.re);
    smooth(&mut delays.im);
    for (re, im) in delays.re.iter_mut().zip(&mut delays.im) {
        let angle = atan2(*im, *re);
        let over = angle.abs() * (1.0 / PI) - limit;
        let excess = if over > 0.0 { over } else { 0.0 } / (1.0 - limit);
        (*im, *re) = sin_cos(twist * angle * (1.0 - excess));
    }
}

/// The turn of each bin: the product of the rotations of all bins up to it.
#[inline(always)]
fn add_up<V: Vector>(rotations: &Rows, turns: &mut [V]) {
    let (turns, _) = turns.as_chunks_mut::<2>();
    let (one_half, three_halves) = (V::splat(0.5), V::splat(1.5));
    let mut turn = [V::splat(1.0), V::splat(0.0)];
    let groups = rotations.re.chunks_exact(V::LANES).zip(rotations.im.chunks_exact(V::LANES));
    for (turns, (re, im)) in turns.chunks_mut(GROUP).zip(groups) {
        let factor = [V::load(re), V::load(im)];
        for to in turns {
            turn = times(turn, factor);
            *to = turn;
        }
        // One step of Newton's towards length 1, so that rounding does not add up.
        let square = turn[0].mul_add(turn[0], turn[1] * turn[1]);
        let stretch = three_halves - one_half * square;
        turn = [turn[0] * stretch, turn[1] * stretch];
    }
}

#[inline(always)]
fn times<V: Vector>(a: [V; 2], b: [V; 2]) -> [V; 2] {
    [a[0].mul_sub(b[0], a[1] * b[1]), a[0].mul_add(b[1], a[1] * b[0])]
}

#[inline(always)]
fn turn<V: Vector>(spectrum: &mut [V], turns: &[V]) {
    let (x, _) = spectrum.as_chunks_mut::<2>();
    for (x, &by) in x.iter_mut().zip(turns.as_chunks::<2>().0) {
        *x = times(*x, by);
    }
}

/// From lanes to one row for each lane.
#[inline(always)]
fn to_rows<V: Vector>(spectrum: &[V], rows: &mut Rows, row: usize) {
    let flat = numbers(spectrum);
    for (part, rows) in [&mut rows.re, &mut rows.im].into_iter().enumerate() {
        for bin in (0..row).step_by(V::LANES) {
            let square = V::columns(&flat[(2 * bin + part) * V::LANES..], 2 * V::LANES);
            for (lane, bins) in square.as_ref().iter().enumerate() {
                bins.store(&mut rows[lane * row + bin..]);
            }
        }
    }
}

/// From rows, the first of which belongs to the frame before, to lanes.
#[inline(always)]
fn from_rows<V: Vector>(rows: &Rows, row: usize, spectrum: &mut [V]) {
    let (x, _) = spectrum.as_chunks_mut::<2>();
    for (part, rows) in [&rows.re, &rows.im].into_iter().enumerate() {
        for (block, x) in x[..row].chunks_exact_mut(V::LANES).enumerate() {
            let square = V::columns(&rows[row + block * V::LANES..], row);
            for (x, &lanes) in x.iter_mut().zip(square.as_ref()) {
                x[part] = lanes;
            }
        }
    }
}

/// Rotate one frame's bins into the output's, region by region from the lowest peak to the highest.
#[inline(always)]
fn rotate(
    lane: usize,
    bins: usize,
    row: usize,
    aim: &Rows,
    earlier: &Rows,
    output: &mut Rows,
    line: &mut Line,
) {
    let ([ar, ai], [er, ei]) = (aim.row(lane, row), earlier.row(lane, row));
    let (before_re, re) = output.re[lane * row..(lane + 2) * row].split_at_mut(row);
    let (before_im, im) = output.im[lane * row..(lane + 2) * row].split_at_mut(row);
    let Line { power, pull, common, extrema } = line;
    let (power, pull_re, pull_im) = (&mut power[..row], &mut pull.re[..row], &mut pull.im[..row]);
    for b in 0..row {
        power[b] = ar[b] * ar[b] + ai[b] * ai[b];
        let (pr, pi) =
            (before_re[b] * er[b] + before_im[b] * ei[b], before_im[b] * er[b] - before_re[b] * ei[b]);
        let square = pr * pr + pi * pi;
        let square = if square > f32::MIN_POSITIVE { square } else { f32::MIN_POSITIVE };
        let weight = (er[b] * er[b] + ei[b] * ei[b]) / square.sqrt();
        pull_re[b] = pr * weight;
        pull_im[b] = pi * weight;
    }
    let count = find_turns(&power[..=bins], extrema);
    // `z` is the common rotation times any length: the square root that the next one waits for is its only slow step.
    let (mut z, mut length) = ([1.0_f32, 0.0], 1.0_f32);
    let (mut weight, mut start) = (0.0, 0);
    for &[peak, valley] in extrema[..count].as_chunks::<2>().0 {
        let (peak, valley) = (peak as usize, valley as usize);
        // The length never grows, as the two weights add up to 1.
        let total = er[peak] * er[peak] + ei[peak] * ei[peak] + weight;
        let share = 1.0 / if total > f32::MIN_POSITIVE { total } else { f32::MIN_POSITIVE };
        let (from_past, from_below) = ([pull_re[peak] * share, pull_im[peak] * share], weight * share);
        let next = [from_past[0] * length + z[0] * from_below, from_past[1] * length + z[1] * from_below];
        let square = next[0] * next[0] + next[1] * next[1];
        if square > SHORT * SHORT {
            (z, length) = (next, square.sqrt());
        } else if square > f32::MIN_POSITIVE {
            let shorter = square.sqrt();
            (z, length) = ([next[0] / shorter, next[1] / shorter], 1.0);
        }
        let unit = 1.0 / length;
        for at in (start..=valley).step_by(STRIPE) {
            common.re[at..at + STRIPE].copy_from_slice(&[z[0] * unit; STRIPE]);
            common.im[at..at + STRIPE].copy_from_slice(&[z[1] * unit; STRIPE]);
        }
        weight = VERTICAL_WEIGHT * power[valley];
        start = valley + 1;
    }
    let (common_re, common_im) = (&common.re[..row], &common.im[..row]);
    for b in 0..row {
        re[b] = ar[b] * common_re[b] - ai[b] * common_im[b];
        im[b] = ar[b] * common_im[b] + ai[b] * common_re[b];
    }
}

/// Write down where the power, rising at first, turns: peak, valley, peak and so on to a last peak, and the last bin as
/// the valley behind it. Returns how many there are. The power ends with a 0 that is no bin.
#[inline(always)]
fn find_turns(power: &[f32], turns: &mut [u32]) -> usize {
    let bins = power.len() - 1;
    let (mut count, mut rising) = (0, true);
    for b in 0..bins {
        let rises = power[b + 1] > power[b];
        // Written every time and kept where it counts: the power of noise would mislead any branch.
        turns[count] = b as u32;
        count += usize::from(rises != rising);
        rising = rises;
    }
    turns[count] = bins as u32 - 1;
    count + 1
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
    fn peaks_and_valleys_take_turns() {
        let turns = |power: &[f32]| {
            let mut turns = vec![0; power.len()];
            let count = find_turns(power, &mut turns);
            turns.truncate(count);
            turns
        };
        assert_eq!(turns(&[1.0, 2.0, 1.0, 3.0, 4.0, 2.0, 0.0]), [1, 2, 4, 5]);
        assert_eq!(turns(&[3.0, 2.0, 1.0, 0.0]), [0, 2]);
        assert_eq!(turns(&[1.0, 2.0, 3.0, 0.0]), [2, 2]);
        assert_eq!(turns(&[0.0; 5]), [0, 3]);
        assert_eq!(turns(&[5.0, 1.0, 1.0, 2.0, 0.0]), [0, 2, 3, 3]);
    }

    #[test]
    fn frames_overlap_with_the_clip_as_far_as_it_reaches() {
        assert_eq!(overlap(-3, 8, 100), (3, 8));
        assert_eq!(overlap(96, 8, 100), (0, 4));
        assert_eq!(overlap(-9, 8, 100), (8, 8));
        assert_eq!(overlap(101, 8, 100), (0, 0));
    }
}
