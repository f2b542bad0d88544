//! One form of some rows: centred, turned so that each lane holds one row, and put through the panels.

use super::Sample;
use super::forms::{Factor, Form, Narrow};
use super::panels::{Panels, Real};
use crate::simd::{Block, Kernel, Lanes, Level, Vector, lanes, prefetch};
use std::array::from_fn;

/// Vectors of rows that go through the panels together, at most.
const MAX_VECTORS: usize = 4;
/// A float32 result below this is computed again: its terms may have been denormal.
const NARROW_LEAST: f32 = 1e-30;

/// What a thread needs to compute forms; made once, used for all its rows.
pub(super) struct Scratch {
    narrow: Turn<f32>,
    wide: Turn<f64>,
    /// Rows that float32 could not decide.
    again: Vec<u32>,
}

impl Scratch {
    pub(super) fn new(level: Level, dim: usize) -> Self {
        Self {
            narrow: Turn::new(level, dim, level.lanes()),
            wide: Turn::new(level, dim, level.lanes() / 2),
            again: Vec::new(),
        }
    }
}

/// Centred rows, as many as a vector has lanes, and the same with features and rows exchanged.
struct Turn<T> {
    /// `(lanes, stride)`.
    centred: Vec<T>,
    /// Whole vectors to a row; what lies behind the features is never looked at.
    stride: usize,
    /// `(dim, vectors)` vectors.
    turned: Vec<Block>,
}

impl<T: Real> Turn<T> {
    fn new(level: Level, dim: usize, lanes: usize) -> Self {
        let stride = dim.next_multiple_of(lanes);
        let turned = Block::zeros(level, dim * MAX_VECTORS);
        Self { centred: vec![T::ZERO; lanes * stride], stride, turned }
    }

    /// Take up to `R` vectors of rows through the panels: their results, and the sums over the features of `check`.
    #[inline(always)]
    fn norms<L: Lanes<Scalar = T>, const R: usize>(
        &mut self,
        panels: &Panels<T>,
        dim: usize,
        rows: &[u32],
        centre: impl Fn(u32, &mut [T]),
        check: impl Fn(L, L) -> L,
        between: impl Fn(usize, usize),
    ) -> ([L; R], [L; R]) {
        let turned = &mut lanes::<L>(&mut self.turned).as_chunks_mut::<R>().0[..dim];
        for (r, rows) in rows.chunks(L::COUNT).enumerate() {
            // Lanes without a row keep what was there before; nobody reads their results.
            for (y, &row) in self.centred.chunks_exact_mut(self.stride).zip(rows) {
                centre(row, &mut y[..dim]);
            }
            for (start, turned) in (0..dim).step_by(L::COUNT).zip(turned.chunks_mut(L::COUNT)) {
                let square = L::columns(&self.centred[start..], self.stride);
                let square = square.as_ref();
                if turned.len() == L::COUNT {
                    // A known number of features: the square goes from registers to its place.
                    (0..L::COUNT).for_each(|k| turned[k][r] = square[k]);
                } else {
                    turned.iter_mut().zip(square).for_each(|(feature, &y)| feature[r] = y);
                }
            }
        }
        let mut checks = [L::splat(T::ZERO); R];
        for y in &*turned {
            for r in 0..R {
                checks[r] = check(y[r], checks[r]);
            }
        }
        (panels.squared_norms(turned, between), checks)
    }
}

/// Where the results of some rows go: row `i` to `values[i * stride + at]`.
pub(super) struct Target<'a> {
    pub(super) values: &'a mut [f64],
    pub(super) stride: usize,
    pub(super) at: usize,
}

/// One form of some rows of `x`.
pub(super) struct Job<'a, T> {
    pub(super) form: &'a Form,
    pub(super) factor: &'a Factor,
    pub(super) x: &'a [T],
    pub(super) rows: &'a [u32],
    pub(super) scratch: &'a mut Scratch,
    pub(super) target: Target<'a>,
}

impl<T: Sample> Kernel for Job<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let factor = self.factor;
        let Some(narrow) = factor.narrow.as_ref().filter(|_| T::NARROW) else {
            return self.wide::<V>(self.rows);
        };
        self.scratch.again.clear();
        let mut rest = self.rows;
        // 32 registers hold the sums of four vectors, 16 those of three; two are enough to hide the latency.
        while !rest.is_empty() {
            rest = match V::LANES {
                16 if rest.len() > 3 * V::LANES => self.narrow_tile::<V, 4>(narrow, rest),
                8 if rest.len() > 2 * V::LANES => self.narrow_tile::<V, 3>(narrow, rest),
                _ => self.narrow_tile::<V, 2>(narrow, rest),
            };
        }
        if !self.scratch.again.is_empty() {
            let again = std::mem::take(&mut self.scratch.again);
            self.wide::<V>(&again);
            self.scratch.again = again;
        }
    }
}

impl<T: Sample> Job<'_, T> {
    /// The first rows of `rows` in float32; those that float64 must decide are noted. Returns the other rows.
    #[inline(always)]
    fn narrow_tile<'r, V: Vector, const R: usize>(&mut self, narrow: &Narrow, rows: &'r [u32]) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(R * V::LANES));
        let (x, form, dim) = (self.x, self.form, self.form.mean.len());
        let centre = |row: u32, y: &mut [f32]| {
            let x = &x[row as usize * dim..][..dim];
            let (whole, last) = y.as_chunks_mut::<16>();
            let terms = (form.narrow_mean.as_chunks::<16>().0.iter().zip(narrow.lengths.as_chunks::<16>().0))
                .zip(form.narrow_rest.as_chunks::<16>().0);
            for ((y, x), ((high, length), rest)) in whole.iter_mut().zip(x.as_chunks::<16>().0).zip(terms) {
                *y = from_fn(|i| (x[i].narrow() - high[i]) * length[i] - rest[i]);
            }
            for (y, k) in last.iter_mut().zip(dim / 16 * 16..) {
                *y = (x[k].narrow() - form.narrow_mean[k]) * narrow.lengths[k] - form.narrow_rest[k];
            }
        };
        let square = |y: V, sum| y.mul_add(y, sum);
        let (values, spreads) = self.scratch.narrow.norms::<V, R>(
            &narrow.panels,
            dim,
            rows,
            centre,
            square,
            ahead(x, dim, rest, R * V::LANES),
        );
        for ((rows, value), spread) in rows.chunks(V::LANES).zip(values).zip(spreads) {
            let (mut v, mut s) = ([0.0; 16], [0.0; 16]);
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

    #[inline(always)]
    fn wide<V: Vector>(&mut self, mut rest: &[u32]) {
        while !rest.is_empty() {
            rest = match V::Wide::COUNT {
                8 if rest.len() > 24 => self.wide_tile::<V::Wide, 4>(rest),
                4 if rest.len() > 8 => self.wide_tile::<V::Wide, 3>(rest),
                _ => self.wide_tile::<V::Wide, 2>(rest),
            };
        }
    }

    /// The first rows of `rows` in float64. Returns the other rows.
    #[inline(always)]
    fn wide_tile<'r, L: Lanes<Scalar = f64>, const R: usize>(&mut self, rows: &'r [u32]) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(R * L::COUNT));
        let (x, form, dim) = (self.x, self.form, self.form.mean.len());
        let centre = |row: u32, y: &mut [f64]| {
            let x = &x[row as usize * dim..][..dim];
            let (whole, last) = y.as_chunks_mut::<8>();
            let terms = x.as_chunks::<8>().0.iter().zip(form.mean.as_chunks::<8>().0);
            for (y, (x, mean)) in whole.iter_mut().zip(terms) {
                *y = from_fn(|i| x[i].into() - mean[i]);
            }
            for (y, k) in last.iter_mut().zip(dim / 8 * 8..) {
                *y = x[k].into() - form.mean[k];
            }
        };
        // Zero unless a number is not finite: a factor with a row of zeros must not hide that.
        let poison = |y: L, sum| y.mul_add(L::splat(0.0), sum);
        let (values, poisons) = self.scratch.wide.norms::<L, R>(
            &self.factor.wide,
            dim,
            rows,
            centre,
            poison,
            ahead(x, dim, rest, R * L::COUNT),
        );
        for ((rows, value), poison) in rows.chunks(L::COUNT).zip(values).zip(poisons) {
            let mut results = [0.0; 8];
            (value + poison).store(&mut results);
            for (&row, value) in rows.iter().zip(results) {
                self.target.values[row as usize * self.target.stride + self.target.at] = value;
            }
        }
        rest
    }
}

/// What to do after each panel: have a share of the rows that come next fetched, as nothing else is read meanwhile.
#[inline(always)]
fn ahead<T>(x: &[T], dim: usize, next: &[u32], rows: usize) -> impl Fn(usize, usize) {
    let next = &next[..next.len().min(rows)];
    move |panel, panels| {
        for &row in &next[next.len() * panel / panels..next.len() * (panel + 1) / panels] {
            prefetch(&x[row as usize * dim..][..dim]);
        }
    }
}
