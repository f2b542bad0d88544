//! The inner products of one change of rate: stretches of the signal side by side, one for each lane.
//!
//! Outputs repeat their phases, so lanes that lie whole periods apart want the same taps at the same time. A tap is
//! then one number for all lanes, no sum runs across lanes, and every load is aligned. Some neighbouring outputs
//! (`TILE`) share each row of samples that is loaded, and two vectors of lanes each tap.

use super::filter::Filter;
use super::{Signal, Stage};
use crate::par::Cancel;
use crate::simd::{Aligned, Kernel, MAX_LANES, SimdLevel, Vector, vectors};
use crate::{Result, memory};

/// Neighbouring outputs of a lane that are computed at once.
pub(super) const TILE: usize = 4;
/// Outputs of a lane between two transpositions: what they read fits into the second cache.
const CHUNK: usize = 512;

/// The working memory of one thread.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Input samples of a chunk, a row of lanes for each.
    rows: Vec<Aligned>,
    /// Outputs of a chunk, likewise.
    results: Vec<f32>,
    /// Taps of a tile, where the filter has no table of all phases.
    taps: Vec<f32>,
}

/// One stage over a signal: `out` holds the outputs from number `first` on.
pub(super) struct Polyphase<'a> {
    pub(super) stage: &'a Stage,
    pub(super) signal: Signal<'a>,
    pub(super) first: i64,
    pub(super) out: &'a mut [f32],
    pub(super) workspace: &'a mut Workspace,
    pub(super) level: SimdLevel,
    pub(super) cancel: &'a Cancel,
}

impl Kernel for Polyphase<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<()> {
        let periods = self.out.len().div_ceil(self.stage.phases as usize);
        if periods > V::LANES { self.lanes::<V, 2>(periods) } else { self.lanes::<V, 1>(periods) }
    }
}

impl Polyphase<'_> {
    /// All outputs, `VECTORS * V::LANES` stretches of whole periods at once.
    #[inline(always)]
    fn lanes<V: Vector, const VECTORS: usize>(self, periods: usize) -> Result<()> {
        let Self { stage, signal, first, out, workspace, level, cancel } = self;
        let periods = periods.div_ceil(VECTORS * V::LANES);
        let stretch = periods * stage.phases as usize;
        let stride = periods * stage.step as usize;
        let filter = &stage.filter;
        for start in (0..stretch.min(out.len())).step_by(CHUNK) {
            cancel.check()?;
            let count = CHUNK.min(stretch - start).min(out.len() - start).next_multiple_of(TILE);
            let (place, phase) = stage.place(first + start as i64);
            let (last, _) = stage.place(first + (start + count) as i64 - 1);
            let reads = (last - place) as usize + filter.span();
            workspace.reserve(level, reads.next_multiple_of(V::LANES) * VECTORS, count, VECTORS, filter)?;
            let (rows, _) = vectors::<V>(&mut workspace.rows).as_chunks_mut::<VECTORS>();
            gather(&signal, place - (filter.half() as i64 - 1), stride, reads, rows);
            let results = &mut workspace.results[..count * VECTORS * V::LANES];
            convolve(stage, phase, rows, &mut workspace.taps, results);
            scatter::<V, VECTORS>(&workspace.results, count.min(stretch - start), start, stretch, out);
        }
        Ok(())
    }
}

impl Workspace {
    fn reserve(
        &mut self,
        level: SimdLevel,
        rows: usize,
        count: usize,
        vectors: usize,
        filter: &Filter,
    ) -> Result<()> {
        Aligned::make_room(level, rows, &mut self.rows)?;
        let results = count.next_multiple_of(MAX_LANES) * vectors * level.lanes();
        if self.results.len() < results {
            memory::resize(&mut self.results, results, 0.0)?;
        }
        if self.taps.len() < TILE * filter.pitch() {
            memory::resize(&mut self.taps, TILE * filter.pitch(), 0.0)?;
        }
        Ok(())
    }
}

/// Row `i` of lane `l` becomes sample `first + l * stride + i` of the signal, zero outside of it.
#[inline(always)]
fn gather<V: Vector, const VECTORS: usize>(
    signal: &Signal<'_>,
    first: i64,
    stride: usize,
    count: usize,
    rows: &mut [[V; VECTORS]],
) {
    for (block, rows) in rows.chunks_exact_mut(V::LANES).take(count.div_ceil(V::LANES)).enumerate() {
        for vector in 0..VECTORS {
            let skipped = vector * V::LANES * stride + block * V::LANES;
            let transposed = signal.transposed::<V>(first + skipped as i64, stride);
            for (row, &value) in rows.iter_mut().zip(transposed.as_ref()) {
                row[vector] = value;
            }
        }
    }
}

impl Signal<'_> {
    /// Lane `i` of vector `j` is the sample `first + i * stride + j`, zero outside of the signal.
    #[inline(always)]
    fn transposed<V: Vector>(&self, first: i64, stride: usize) -> V::Transposed {
        let begin = first - self.start;
        let end = begin + ((V::LANES - 1) * stride + V::LANES) as i64;
        if begin >= 0 && end <= self.samples.len() as i64 {
            return V::load_transposed(&self.samples[begin as usize..], stride);
        }
        let mut edge = [0.0; MAX_LANES * MAX_LANES];
        for (lane, edge) in edge.chunks_exact_mut(V::LANES).take(V::LANES).enumerate() {
            self.copy(first + (lane * stride) as i64, edge);
        }
        V::load_transposed(&edge, V::LANES)
    }
}

/// The inner products of one chunk: `results` has a row of lanes for each output.
#[inline(always)]
fn convolve<V: Vector, const VECTORS: usize>(
    stage: &Stage,
    mut phase: u64,
    rows: &[[V; VECTORS]],
    taps: &mut [f32],
    results: &mut [f32],
) {
    let filter = &stage.filter;
    let (whole, part) = ((stage.step / stage.phases) as usize, stage.step % stage.phases);
    let (span, margin) = (filter.span(), filter.pitch() - filter.span());
    let mut at = 0;
    for results in results.chunks_exact_mut(TILE * VECTORS * V::LANES) {
        let base = at;
        let mut rows_of_taps = taps.chunks_exact_mut(filter.pitch());
        let taps: [&[f32]; TILE] = std::array::from_fn(|_| {
            let row = rows_of_taps.next().unwrap_or_default();
            let row = &filter.row(phase, row)[margin - (at - base)..][..span];
            at += whole;
            phase += part;
            if phase >= stage.phases {
                phase -= stage.phases;
                at += 1;
            }
            row
        });
        let rows = &rows[base..base + span];
        let sums = if stage.half_band { half_band_tile(rows, taps, filter.half()) } else { tile(rows, taps) };
        for (out, sum) in results.chunks_exact_mut(V::LANES).zip(sums.as_flattened()) {
            sum.store(out);
        }
    }
}

/// Inner products of rows of samples with several rows of taps.
///
/// Terms are added in their order. The zeros in a row's margins change no sum, so an output is the same to the bit
/// wherever in a tile it stands.
#[inline(always)]
fn tile<V: Vector, const VECTORS: usize>(
    rows: &[[V; VECTORS]],
    taps: [&[f32]; TILE],
) -> [[V; VECTORS]; TILE] {
    let taps = taps.map(|taps| &taps[..rows.len()]);
    let mut sums = [[V::splat(0.0); VECTORS]; TILE];
    for (i, row) in rows.iter().enumerate() {
        for (sums, taps) in sums.iter_mut().zip(taps) {
            let tap = V::splat(taps[i]);
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = value.mul_add(tap, *sum);
            }
        }
    }
    sums
}

/// [`tile`] of a filter of one phase and step 2 whose taps are zero at even distances from the middle one, but for that.
#[inline(always)]
fn half_band_tile<V: Vector, const VECTORS: usize>(
    rows: &[[V; VECTORS]],
    taps: [&[f32]; TILE],
    half: usize,
) -> [[V; VECTORS]; TILE] {
    let (middle, first) = (half - 1, half % 2);
    let tap = V::splat(taps[0][middle]);
    let mut sums = [[V::splat(0.0); VECTORS]; TILE];
    for (output, sums) in sums.iter_mut().enumerate() {
        for (sum, &value) in sums.iter_mut().zip(&rows[middle + 2 * output]) {
            *sum = value * tap;
        }
    }
    // Of an odd number of rows the last meets margins, and the one tap where the window has come down to zero.
    let (pairs, _) = rows[first..].as_chunks::<2>();
    let taps = taps.map(|taps| &taps[first..].as_chunks::<2>().0[..pairs.len()]);
    for (i, [row, _]) in pairs.iter().enumerate() {
        for (sums, taps) in sums.iter_mut().zip(taps) {
            let tap = V::splat(taps[i][0]);
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = value.mul_add(tap, *sum);
            }
        }
    }
    sums
}

/// The first `count` results of a chunk to their places: lane `l` has the outputs from `l * stretch` on.
#[inline(always)]
fn scatter<V: Vector, const VECTORS: usize>(
    results: &[f32],
    count: usize,
    start: usize,
    stretch: usize,
    out: &mut [f32],
) {
    let width = VECTORS * V::LANES;
    let mut line = [0.0; MAX_LANES];
    for block in (0..count).step_by(V::LANES) {
        for vector in 0..VECTORS {
            let transposed = V::load_transposed(&results[block * width + vector * V::LANES..], width);
            for (lane, value) in transposed.as_ref().iter().enumerate() {
                let to = (vector * V::LANES + lane) * stretch + start + block;
                let length = V::LANES.min(count - block).min(out.len().saturating_sub(to));
                if length == V::LANES {
                    value.store(&mut out[to..]);
                } else if length > 0 {
                    value.store(&mut line);
                    out[to..to + length].copy_from_slice(&line[..length]);
                }
            }
        }
    }
}
