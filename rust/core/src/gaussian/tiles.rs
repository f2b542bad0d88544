//! One form of some rows, a tile at a time: centred, transposed so that each lane holds one row, and multiplied by the
//! factor.

use super::Sample;
use super::form::{Factor, Form, Narrow};
use super::packed::{PackedFactor, Real};
use crate::simd::{Aligned, Kernel, Lanes, MAX_LANES, RowLoader, SimdLevel, Vector, prefetch, vectors};
use std::array::from_fn;

/// Vectors of rows that are multiplied by the factor together. With four columns they keep eight sums in registers: enough
/// to hide the latency of the additions, and no more than sixteen registers hold beside what is being multiplied.
const VECTORS: usize = 2;
/// So many vectors are a tile, and so many tiles of float64 go through the factor together: it does not fit into the
/// nearest cache, of large ones not even into the next, and is read once for all of them.
const WIDE_TILES: usize = 4;
/// A float32 result below this is computed again: its terms may have been denormal.
const NARROW_LEAST: f32 = 1e-30;

/// What a thread needs to compute forms; made once, used for all its rows.
pub(super) struct TileScratch {
    /// Centred rows with features and rows exchanged: `(tiles, dim, vectors)` vectors, float32 or as many bytes of float64.
    features: Vec<Aligned>,
    /// Rows that float32 could not decide.
    again: Vec<u32>,
}

impl TileScratch {
    pub(super) fn new(level: SimdLevel, dim: usize) -> Self {
        Self { features: Aligned::zeros(level, WIDE_TILES * dim * VECTORS), again: Vec::new() }
    }
}

/// Take up to `TILES` tiles of rows through the factor: their results, and the sums over the features of `check`.
///
/// `centred(rows, start)` are the features of some rows from `start` on, as many as there are lanes, centred; what
/// lies behind the last feature is never looked at.
#[inline(always)]
fn norms<'x, T: Sample, L: Lanes<Scalar: Real>, P: RowLoader<L>, const TILES: usize>(
    features: &mut [Aligned],
    packed: &PackedFactor<L::Scalar>,
    (x, dim): (&'x [T], usize),
    rows: &[u32],
    centred: impl Fn([&'x [T]; MAX_LANES], usize) -> P,
    check: impl Fn(L, L) -> L,
    between: impl Fn(usize, usize),
) -> [([L; VECTORS], [L; VECTORS]); TILES] {
    let features = &mut vectors::<L>(features).as_chunks_mut::<VECTORS>().0[..TILES * dim];
    let mut checks = [[L::splat(L::Scalar::ZERO); VECTORS]; TILES];
    for (v, rows) in rows.chunks(L::LANES).enumerate() {
        let (tile, r) = (v / VECTORS, v % VECTORS);
        // Lanes without a row repeat the last one, and nobody reads their results.
        let row = |lane: usize| match lane < L::LANES {
            true => &x[rows[lane.min(rows.len() - 1)] as usize * dim..][..dim],
            false => &[][..],
        };
        let rows: [&[T]; MAX_LANES] = from_fn(row);
        let mut sum = checks[tile][r];
        let features = &mut features[tile * dim..][..dim];
        for (start, features) in (0..dim).step_by(L::LANES).zip(features.chunks_mut(L::LANES)) {
            let transposed = L::transposed(&centred(rows, start));
            let transposed = transposed.as_ref();
            if features.len() == L::LANES {
                // A number that the compiler knows: the vectors go from registers to their places.
                for k in 0..L::LANES {
                    sum = check(transposed[k], sum);
                    features[k][r] = transposed[k];
                }
            } else {
                for (feature, &y) in features.iter_mut().zip(transposed) {
                    sum = check(y, sum);
                    feature[r] = y;
                }
            }
        }
        checks[tile][r] = sum;
    }
    let used = rows.len().div_ceil(VECTORS * L::LANES);
    let mut values = [[L::splat(L::Scalar::ZERO); VECTORS]; TILES];
    packed.squared_norms(&features[..used * dim], dim, &mut values[..used], between);
    from_fn(|tile| (values[tile], checks[tile]))
}

/// Where the results of some rows go: row `i` to `values[i * stride + at]`.
pub(super) struct Target<'a> {
    pub(super) values: &'a mut [f64],
    pub(super) stride: usize,
    pub(super) at: usize,
}

/// One form of some rows of `x`.
pub(super) struct TileJob<'a, T> {
    pub(super) form: &'a Form,
    pub(super) factor: &'a Factor,
    pub(super) x: &'a [T],
    pub(super) rows: &'a [u32],
    /// While row `i` of `rows` is used, row `ahead + i` of `x` is fetched, if there is one.
    pub(super) ahead: usize,
    pub(super) scratch: &'a mut TileScratch,
    pub(super) target: Target<'a>,
}

impl<T: Sample> Kernel for TileJob<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let factor = self.factor;
        let (Some(narrow), Some(x)) = (&factor.narrow, T::narrow(self.x)) else {
            return self.wide::<V>(self.rows);
        };
        self.scratch.again.clear();
        let mut rest = self.rows;
        while !rest.is_empty() {
            rest = self.narrow_tile::<V>(narrow, x, rest);
        }
        if !self.scratch.again.is_empty() {
            let again = std::mem::take(&mut self.scratch.again);
            self.wide::<V>(&again);
            self.scratch.again = again;
        }
    }
}

impl<'a, T: Sample> TileJob<'a, T> {
    /// The first rows of `rows` in float32; those that float64 must decide are noted. Returns the other rows.
    #[inline(always)]
    fn narrow_tile<'r, V: Vector>(&mut self, narrow: &Narrow, x: &[f32], rows: &'r [u32]) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(VECTORS * V::LANES));
        let (form, dim) = (self.form, self.form.mean.len());
        let centred = |rows, start| NarrowRows { narrow, form, rows, start };
        let square = |y: V, sum| y.mul_add(y, sum);
        let between = self.fetch(rows, rest);
        let [(values, spreads)] = norms::<_, V, _, 1>(
            &mut self.scratch.features,
            &narrow.packed,
            (x, dim),
            rows,
            centred,
            square,
            between,
        );
        for ((rows, value), spread) in rows.chunks(V::LANES).zip(values).zip(spreads) {
            let (mut v, mut s) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
            value.store(&mut v);
            spread.store(&mut s);
            for ((&row, value), spread) in rows.iter().zip(v).zip(s) {
                if value >= NARROW_LEAST && value.is_finite() && spread <= narrow.limit * value {
                    self.target.values[row as usize * self.target.stride + self.target.at] = f64::from(value);
                } else {
                    self.scratch.again.push(row);
                }
            }
        }
        rest
    }

    /// What to do after each panel of a tile of rows: have a share of the rows fetched that are due, as nothing else is
    /// read meanwhile.
    #[inline(always)]
    fn fetch(&self, tile: &[u32], rest: &[u32]) -> impl Fn(usize, usize) + use<'a, T> {
        let (dim, done) = (self.form.mean.len(), self.rows.len().saturating_sub(tile.len() + rest.len()));
        let due = self.x.get(self.ahead.saturating_add(done).saturating_mul(dim)..).unwrap_or(&[]);
        let due = &due[..due.len().min(tile.len() * dim)];
        move |panel, panels| prefetch(&due[due.len() * panel / panels..due.len() * (panel + 1) / panels])
    }

    #[inline(always)]
    fn wide<V: Vector>(&mut self, mut rest: &[u32]) {
        while rest.len() > VECTORS * V::Wide::LANES {
            rest = self.wide_tiles::<V::Wide, WIDE_TILES>(rest);
        }
        if !rest.is_empty() {
            self.wide_tiles::<V::Wide, 1>(rest);
        }
    }

    /// The first rows of `rows` in float64. Returns the other rows.
    #[inline(always)]
    fn wide_tiles<'r, L: Lanes<Scalar = f64>, const TILES: usize>(&mut self, rows: &'r [u32]) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(TILES * VECTORS * L::LANES));
        let (x, form, dim) = (self.x, self.form, self.form.mean.len());
        let centred = |rows, start| WideRows { form, rows, start };
        // Zero unless a number is not finite: a factor with a row of zeros must not hide that.
        let poison = |y: L, sum| y.mul_add(L::splat(0.0), sum);
        let between = self.fetch(rows, rest);
        let tiles = norms::<_, L, _, TILES>(
            &mut self.scratch.features,
            &self.factor.wide,
            (x, dim),
            rows,
            centred,
            poison,
            between,
        );
        for (rows, (values, poisons)) in rows.chunks(VECTORS * L::LANES).zip(tiles) {
            for ((rows, value), poison) in rows.chunks(L::LANES).zip(values).zip(poisons) {
                let mut results = [0.0; MAX_LANES / 2];
                (value + poison).store(&mut results);
                for (&row, value) in rows.iter().zip(results) {
                    self.target.values[row as usize * self.target.stride + self.target.at] = value;
                }
            }
        }
        rest
    }
}

/// The features of float32 rows from `start` on, centred and scaled, and anything behind the last.
struct NarrowRows<'a> {
    form: &'a Form,
    narrow: &'a Narrow,
    rows: [&'a [f32]; MAX_LANES],
    start: usize,
}

impl<V: Vector> RowLoader<V> for NarrowRows<'_> {
    #[inline(always)]
    fn row(&self, lane: usize) -> V {
        let (row, start) = (self.rows[lane], self.start);
        let x = if start + V::LANES <= row.len() {
            V::load(&row[start..start + V::LANES])
        } else {
            let mut whole = [0.0; MAX_LANES];
            whole[..row.len() - start].copy_from_slice(&row[start..]);
            V::load(&whole)
        };
        let load = |from: &[f32]| V::load(&from[start..]);
        (x - load(&self.form.narrow_mean)).mul_sub(load(&self.narrow.lengths), load(&self.form.narrow_rest))
    }
}

/// The features of rows from `start` on, centred, and zeros behind the last.
struct WideRows<'a, T> {
    form: &'a Form,
    rows: [&'a [T]; MAX_LANES],
    start: usize,
}

impl<T: Sample, L: Lanes<Scalar = f64>> RowLoader<L> for WideRows<'_, T> {
    #[inline(always)]
    fn row(&self, lane: usize) -> L {
        let (row, mean) = (&self.rows[lane][self.start..], &self.form.mean[self.start..]);
        if row.len() >= L::LANES {
            return loaded::<T, L>(row) - L::load(mean);
        }
        let mut y = [0.0; MAX_LANES / 2];
        for ((y, &x), mean) in y.iter_mut().zip(row).zip(mean) {
            *y = x.into() - mean;
        }
        L::load(&y)
    }
}

/// The first numbers of a row.
#[inline(always)]
fn loaded<T: Sample, L: Lanes<Scalar = f64>>(row: &[T]) -> L {
    if let Some(row) = T::narrow(row) {
        return L::load_f32(row);
    }
    let mut whole = [0.0; MAX_LANES / 2];
    whole[..L::LANES].iter_mut().zip(row).for_each(|(to, &x)| *to = x.into());
    L::load(&whole)
}
