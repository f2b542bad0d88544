//! One form of some rows, a tile at a time: centred, transposed so that each lane holds one row, and multiplied by the
//! factor.

use super::Sample;
use super::form::{Factor, Form, Narrow};
use crate::simd::{Aligned, Kernel, Lanes, MAX_LANES, RowLoader, SimdLevel, Vector, prefetch, vectors};
use std::array::from_fn;

/// Vectors of rows that are multiplied by the factor together. With four columns they keep eight sums in registers: enough
/// to hide the latency of the additions, and no more than sixteen registers hold beside what is being multiplied.
const VECTORS: usize = 2;
/// So many vectors are a tile, and so many tiles of float64 go through the factor together: it does not fit into the
/// nearest cache, of large ones not even into the next, and is read once for all of them.
const WIDE_TILES: usize = 8;
/// A float32 result below this is computed again: its terms may have been denormal.
const NARROW_LEAST: f32 = 1e-30;

/// What a thread needs to compute forms; made once, used for all its rows.
pub(super) struct TileScratch {
    /// Centred rows with features and rows exchanged: `(tiles, dim, vectors)` vectors, float32 or as many bytes of float64.
    features: Vec<Aligned>,
    /// float64 rows that are not centred yet, in the same order.
    exchanged: Vec<Aligned>,
    /// Rows that float32 could not decide.
    again: Vec<u32>,
}

impl TileScratch {
    pub(super) fn new(level: SimdLevel, dim: usize) -> Self {
        let [features, exchanged] = [(); 2].map(|()| Aligned::zeros(level, WIDE_TILES * dim * VECTORS));
        Self { features, exchanged, again: Vec::new() }
    }
}

/// Features and rows exchanged: `exchanged[tile * dim + k][r]` is feature `k` of the rows in vector `r` of a tile.
///
/// `loader(rows, start)` are the features of some rows from `start` on, as many as there are lanes; what lies behind the
/// last feature is never looked at.
#[inline(always)]
fn exchange<'x, T: Sample, L: Lanes, P: RowLoader<L>>(
    exchanged: &mut [[L; VECTORS]],
    (x, dim): (&'x [T], usize),
    rows: &[u32],
    loader: impl Fn([&'x [T]; MAX_LANES], usize) -> P,
) {
    for (v, rows) in rows.chunks(L::LANES).enumerate() {
        let (tile, r) = (v / VECTORS, v % VECTORS);
        // Lanes without a row repeat the last one, and nobody reads their results.
        let row = |lane: usize| match lane < L::LANES {
            true => &x[rows[lane.min(rows.len() - 1)] as usize * dim..][..dim],
            false => &[][..],
        };
        let rows: [&[T]; MAX_LANES] = from_fn(row);
        let exchanged = &mut exchanged[tile * dim..][..dim];
        for (start, features) in (0..dim).step_by(L::LANES).zip(exchanged.chunks_mut(L::LANES)) {
            let transposed = L::transposed(&loader(rows, start));
            let transposed = transposed.as_ref();
            if features.len() == L::LANES {
                // A number that the compiler knows: the vectors go from registers to their places.
                for k in 0..L::LANES {
                    features[k][r] = transposed[k];
                }
            } else {
                for (feature, &y) in features.iter_mut().zip(transposed) {
                    feature[r] = y;
                }
            }
        }
    }
}

/// A tile less a mean, and for each row a number that is zero unless a feature is not finite: a factor with a row of zeros
/// must not hide that.
#[inline(always)]
fn centre<L: Lanes<Scalar = f64>>(
    exchanged: &[[L; VECTORS]],
    mean: &[f64],
    centred: &mut [[L; VECTORS]],
) -> [L; VECTORS] {
    let [mut even, mut odd] = [[L::splat(0.0); VECTORS]; 2];
    // Two by two: one sum alone would wait for itself.
    let ((xs, last_x), (means, last_mean)) = (exchanged.as_chunks::<2>(), mean.as_chunks::<2>());
    let (ys, last_y) = centred.as_chunks_mut::<2>();
    for ((x, mean), y) in xs.iter().zip(means).zip(ys) {
        (y[0], even) = less(x[0], mean[0], even);
        (y[1], odd) = less(x[1], mean[1], odd);
    }
    for ((&x, &mean), y) in last_x.iter().zip(last_mean).zip(last_y) {
        (*y, even) = less(x, mean, even);
    }
    [even[0] + odd[0], even[1] + odd[1]]
}

/// A feature less its mean, and a sum of zeros with it.
#[inline(always)]
fn less<L: Lanes<Scalar = f64>>(
    x: [L; VECTORS],
    mean: f64,
    poison: [L; VECTORS],
) -> ([L; VECTORS], [L; VECTORS]) {
    let (zero, mean) = (L::splat(0.0), L::splat(mean));
    let y = [x[0] - mean, x[1] - mean];
    (y, [y[0].mul_add(zero, poison[0]), y[1].mul_add(zero, poison[1])])
}

/// Where the results of some rows go: row `i` to `values[i * stride + at]`.
pub(super) struct Target<'a> {
    pub(super) values: &'a mut [f64],
    pub(super) stride: usize,
    pub(super) at: usize,
}

/// Some rows of `x` by one form, or float64 rows by several, whose results stand side by side.
pub(super) struct TileJob<'a, T> {
    pub(super) forms: &'a [Form],
    pub(super) factors: &'a [Factor],
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
        let ([form], Some(x)) = (self.forms, T::narrow(self.x)) else {
            return self.wide::<V>(self.rows);
        };
        let Some(narrow) = &self.factors[form.factor].narrow else {
            return self.wide::<V>(self.rows);
        };
        self.scratch.again.clear();
        let mut rest = self.rows;
        while !rest.is_empty() {
            rest = self.narrow_tile::<V>((form, narrow), x, rest);
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
    fn narrow_tile<'r, V: Vector>(
        &mut self,
        (form, narrow): (&Form, &Narrow),
        x: &[f32],
        rows: &'r [u32],
    ) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(VECTORS * V::LANES));
        let dim = form.mean.len();
        let between = self.fetch(dim, rows, rest);
        let features = &mut vectors::<V>(&mut self.scratch.features).as_chunks_mut::<VECTORS>().0[..dim];
        exchange(features, (x, dim), rows, |rows, start| NarrowRows { narrow, form, rows, start });
        let [mut spreads, mut values] = [[V::splat(0.0); VECTORS]; 2];
        for y in &*features {
            spreads = [y[0].mul_add(y[0], spreads[0]), y[1].mul_add(y[1], spreads[1])];
        }
        narrow.packed.squared_norms(features, dim, std::slice::from_mut(&mut values), between);
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
    fn fetch(&self, dim: usize, tile: &[u32], rest: &[u32]) -> impl Fn(usize, usize) + use<'a, T> {
        let done = self.rows.len().saturating_sub(tile.len() + rest.len());
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

    /// The first rows of `rows` in float64: exchanged once for all forms. Returns the other rows.
    #[inline(always)]
    fn wide_tiles<'r, L: Lanes<Scalar = f64>, const TILES: usize>(&mut self, rows: &'r [u32]) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(TILES * VECTORS * L::LANES));
        let (x, dim) = (self.x, self.forms[0].mean.len());
        let between = self.fetch(dim, rows, rest);
        let TileScratch { features, exchanged, .. } = &mut *self.scratch;
        let used = rows.len().div_ceil(VECTORS * L::LANES);
        let [features, exchanged] = [features, exchanged]
            .map(|memory| &mut vectors::<L>(memory).as_chunks_mut::<VECTORS>().0[..used * dim]);
        exchange(exchanged, (x, dim), rows, |rows, start| WideRows { rows, start });
        for (at, form) in self.forms.iter().enumerate() {
            let [mut values, mut poisons] = [[[L::splat(0.0); VECTORS]; TILES]; 2];
            let tiles = exchanged.chunks_exact(dim).zip(features.chunks_exact_mut(dim));
            for ((exchanged, features), poison) in tiles.zip(&mut poisons) {
                *poison = centre(exchanged, &form.mean, features);
            }
            let between = |done, pairs| {
                if at == 0 {
                    between(done, pairs)
                }
            };
            self.factors[form.factor].wide.squared_norms(features, dim, &mut values[..used], between);
            let target = &mut self.target;
            for (rows, (values, poisons)) in
                rows.chunks(VECTORS * L::LANES).zip(values.into_iter().zip(poisons))
            {
                for ((rows, value), poison) in rows.chunks(L::LANES).zip(values).zip(poisons) {
                    let mut results = [0.0; MAX_LANES / 2];
                    (value + poison).store(&mut results);
                    for (&row, value) in rows.iter().zip(results) {
                        target.values[row as usize * target.stride + target.at + at] = value;
                    }
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

/// The features of rows from `start` on, and zeros behind the last.
struct WideRows<'a, T> {
    rows: [&'a [T]; MAX_LANES],
    start: usize,
}

impl<T: Sample, L: Lanes<Scalar = f64>> RowLoader<L> for WideRows<'_, T> {
    #[inline(always)]
    fn row(&self, lane: usize) -> L {
        let row = &self.rows[lane][self.start..];
        if row.len() >= L::LANES {
            if let Some(row) = T::narrow(row) {
                return L::load_f32(row);
            }
            if let Some(row) = T::wide(row) {
                return L::load(row);
            }
        }
        let mut x = [0.0; MAX_LANES / 2];
        x.iter_mut().zip(row).for_each(|(to, &x)| *to = x.into());
        L::load(&x)
    }
}
