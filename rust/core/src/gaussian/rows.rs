//! One form of some rows: centred, turned so that each lane holds one row, and put through the panels.

use super::Sample;
use super::forms::{Factor, Form, Narrow};
use super::panels::{Panels, Real};
use crate::simd::{Block, Kernel, Lanes, Level, Vector, lanes_of, prefetch};

/// Vectors of rows that go through the panels together, at most.
const MAX_VECTORS: usize = 4;
/// Lanes of the widest float32 vector: what is added or multiplied feature by feature is padded to a multiple of it.
pub(super) const LANES: usize = 16;
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
        let turned = &mut lanes_of::<L>(&mut self.turned).as_chunks_mut::<R>().0[..dim];
        for (r, rows) in rows.chunks(L::COUNT).enumerate() {
            // Lanes without a row keep what was there before; nobody reads their results.
            for (y, &row) in self.centred.chunks_exact_mut(self.stride).zip(rows) {
                centre(row, y);
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
    /// Rows that another job will ask for next.
    pub(super) after: &'a [u32],
    pub(super) scratch: &'a mut Scratch,
    pub(super) target: Target<'a>,
}

impl<T: Sample> Kernel for Job<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let factor = self.factor;
        let (Some(narrow), Some(x)) = (&factor.narrow, T::narrow(self.x)) else {
            return self.wide::<V>(self.rows);
        };
        self.scratch.again.clear();
        let mut rest = self.rows;
        // 32 registers hold the sums of four vectors, 16 those of three; two are enough to hide the latency.
        while !rest.is_empty() {
            rest = match V::LANES {
                16 if rest.len() > 3 * V::LANES => self.narrow_tile::<V, 4>(narrow, x, rest),
                8 if rest.len() > 2 * V::LANES => self.narrow_tile::<V, 3>(narrow, x, rest),
                _ => self.narrow_tile::<V, 2>(narrow, x, rest),
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
    fn narrow_tile<'r, V: Vector, const R: usize>(
        &mut self,
        narrow: &Narrow,
        x: &[f32],
        rows: &'r [u32],
    ) -> &'r [u32] {
        let (rows, rest) = rows.split_at(rows.len().min(R * V::LANES));
        let (form, dim) = (self.form, self.form.mean.len());
        let centre = |row: u32, y: &mut [f32]| {
            let x = &x[row as usize * dim..][..dim];
            let terms = form.narrow_mean.chunks_exact(V::LANES).zip(narrow.lengths.chunks_exact(V::LANES));
            let terms = terms.zip(form.narrow_rest.chunks_exact(V::LANES));
            for ((y, x), ((mean, length), rest)) in
                y.chunks_exact_mut(V::LANES).zip(x.chunks(V::LANES)).zip(terms)
            {
                let x = if x.len() == V::LANES { <V as Vector>::load(x) } else { padded(x) };
                let y_scaled = (x - <V as Vector>::load(mean))
                    .mul_sub(<V as Vector>::load(length), <V as Vector>::load(rest));
                Vector::store(y_scaled, y);
            }
        };
        let square = |y: V, sum| y.mul_add(y, sum);
        let (values, spreads) = self.scratch.narrow.norms::<V, R>(
            &narrow.panels,
            dim,
            rows,
            centre,
            square,
            ahead(x, dim, rest, self.after, R * V::LANES),
        );
        for ((rows, value), spread) in rows.chunks(V::LANES).zip(values).zip(spreads) {
            let (mut v, mut s) = ([0.0; LANES], [0.0; LANES]);
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
            for ((y, &x), mean) in y.iter_mut().zip(x).zip(&form.mean) {
                *y = x.into() - mean;
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
            ahead(x, dim, rest, self.after, R * L::COUNT),
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

/// The last features of a row, and zeros.
#[inline(always)]
fn padded<V: Vector>(x: &[f32]) -> V {
    let mut whole = [0.0; LANES];
    whole[..x.len()].copy_from_slice(x);
    <V as Vector>::load(&whole)
}

/// What to do after each panel: have a share of the rows that come next fetched, as nothing else is read meanwhile.
#[inline(always)]
fn ahead<'a, T>(
    x: &'a [T],
    dim: usize,
    rest: &'a [u32],
    after: &'a [u32],
    rows: usize,
) -> impl Fn(usize, usize) + 'a {
    let next = if rest.is_empty() { after } else { rest };
    let next = &next[..next.len().min(rows)];
    move |panel, panels| {
        for &row in &next[next.len() * panel / panels..next.len() * (panel + 1) / panels] {
            prefetch(&x[row as usize * dim..][..dim]);
        }
    }
}
