//! The inner loop of the quadratic forms: a factor packed in panels of four columns, against rows that lie in lanes,
//! one row in each.

use crate::simd::Lanes;
use std::ops::Range;

/// Columns of a panel.
const COLUMNS: usize = 4;

/// The numbers of a panel.
pub(super) trait Real: Copy {
    const ZERO: Self;
    fn of(value: f64) -> Self;
    fn is_zero(self) -> bool;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    fn of(value: f64) -> Self {
        value as Self
    }
    fn is_zero(self) -> bool {
        self == 0.0
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    fn of(value: f64) -> Self {
        value
    }
    fn is_zero(self) -> bool {
        self == 0.0
    }
}

/// A `dim x dim` factor cut into panels of [`COLUMNS`] columns, each without the rows that are zero at its top and
/// bottom: a triangular factor costs half of a dense one.
#[derive(Debug)]
pub(super) struct PackedFactor<T>(Vec<Panel<T>>);

#[derive(Debug)]
struct Panel<T> {
    first_row: usize,
    /// Whether the last whole square of `weights` is zero below its diagonal, and so left out there.
    triangular_tail: bool,
    weights: Vec<[T; COLUMNS]>,
}

impl<T: Real> Panel<T> {
    /// Where the rows end that have weights in all columns.
    fn whole_end(&self) -> usize {
        let fours = self.weights.len() / COLUMNS - usize::from(self.triangular_tail);
        self.first_row + fours * COLUMNS
    }

    /// The weights of some rows that have any.
    fn rows(&self, rows: Range<usize>) -> &[[T; COLUMNS]] {
        &self.weights[rows.start - self.first_row..][..rows.len()]
    }

    /// Sums of the columns, and what those rows of a range add to them that have weights.
    #[inline(always)]
    fn add<L: Lanes<Scalar = T>>(&self, range: Range<usize>, rows: &[[L; 2]], mut sums: Sums<L>) -> Sums<L> {
        let start = range.start.max(self.first_row);
        let end = range.end.min(self.first_row + self.weights.len()).max(start);
        let whole_end = self.whole_end().clamp(start, end);
        // Four rows at a time: how often a short loop turns is foreseen, and a long one is not.
        let (fours, _) = self.rows(start..whole_end).as_chunks::<COLUMNS>();
        let (four_rows, _) = rows[start..whole_end].as_chunks::<COLUMNS>();
        for (y, w) in four_rows.iter().zip(fours) {
            sums = add::<_, 0>(&y[0], &w[0], sums);
            sums = add::<_, 0>(&y[1], &w[1], sums);
            sums = add::<_, 0>(&y[2], &w[2], sums);
            sums = add::<_, 0>(&y[3], &w[3], sums);
        }
        let at = start + fours.len() * COLUMNS;
        let mut rest = (&rows[at..end], self.rows(at..end));
        if self.triangular_tail
            && at == self.whole_end()
            && let (Some((y, rest_rows)), Some((w, weights))) =
                (rest.0.split_first_chunk::<COLUMNS>(), rest.1.split_first_chunk::<COLUMNS>())
        {
            sums = add::<_, 0>(&y[0], &w[0], sums);
            sums = add::<_, 1>(&y[1], &w[1], sums);
            sums = add::<_, 2>(&y[2], &w[2], sums);
            sums = add::<_, 3>(&y[3], &w[3], sums);
            rest = (rest_rows, weights);
        }
        for (y, w) in rest.0.iter().zip(rest.1) {
            sums = add::<_, 0>(y, w, sums);
        }
        sums
    }
}

impl<T: Real> PackedFactor<T> {
    pub(super) fn new(factor: &[f64], dim: usize) -> Self {
        let panel = |start: usize| {
            let width = COLUMNS.min(dim - start);
            let row = |k: usize| &factor[k * dim + start..][..width];
            let used = |k: &usize| row(*k).iter().any(|&w| w != 0.0);
            let first_row = (0..dim).find(used).unwrap_or(dim);
            let end_row = (first_row..dim).rfind(used).map_or(first_row, |k| k + 1);
            let weights = (first_row..end_row).map(|k| {
                std::array::from_fn(|column| row(k).get(column).map_or(T::ZERO, |&weight| T::of(weight)))
            });
            let weights: Vec<[T; COLUMNS]> = weights.collect();
            let square = weights.as_chunks::<COLUMNS>().0.last();
            let triangular_tail =
                square.is_some_and(|w| (0..COLUMNS).all(|k| w[k][..k].iter().all(|w| w.is_zero())));
            Panel { first_row, triangular_tail, weights }
        };
        Self((0..dim).step_by(COLUMNS).map(panel).collect())
    }

    /// `|W' y|^2` of each lane of tiles of two vectors, added to `totals`; `tiles[t * dim + k][r]` is feature `k` of the
    /// rows in vector `r` of tile `t`.
    ///
    /// Lanes never mix and the order of the additions is fixed: a row's result does not depend on its neighbours.
    /// After each two panels `between(done, pairs)` is called, which may have something fetched.
    #[inline(always)]
    pub(super) fn squared_norms<L: Lanes<Scalar = T>>(
        &self,
        tiles: &[[L; 2]],
        dim: usize,
        totals: &mut [[L; 2]],
        between: impl Fn(usize, usize),
    ) {
        let zero = [[L::splat(T::ZERO); 2]; COLUMNS];
        for (at, panels) in self.0.chunks(2).enumerate() {
            // Two panels stay in the nearest cache while all tiles pass by.
            for (rows, total) in tiles.chunks_exact(dim).zip(&mut *totals) {
                match panels {
                    [first, second] if L::REGISTERS >= 32 => {
                        let [first, second] = both(first, second, rows);
                        *total = with_squares(with_squares(*total, first), second);
                    }
                    _ => {
                        for panel in panels {
                            *total = with_squares(*total, panel.add(0..dim, rows, zero));
                        }
                    }
                }
            }
            between(at, self.0.len().div_ceil(2));
        }
    }
}

/// Sums of four columns for each lane of two vectors.
type Sums<L> = [[L; 2]; COLUMNS];

/// Sums of the columns of two panels, side by side where both have weights: sixteen sums hide all latency.
#[inline(always)]
fn both<T: Real, L: Lanes<Scalar = T>>(first: &Panel<T>, second: &Panel<T>, rows: &[[L; 2]]) -> [Sums<L>; 2] {
    let zero = [[L::splat(T::ZERO); 2]; COLUMNS];
    let start = first.first_row.max(second.first_row);
    let end = first.whole_end().min(second.whole_end()).max(start);
    let mut a = first.add(0..start, rows, zero);
    let mut b = second.add(0..start, rows, zero);
    let weights = first.rows(start..end).iter().zip(second.rows(start..end));
    for (y, (u, v)) in rows[start..end].iter().zip(weights) {
        a = add::<_, 0>(y, u, a);
        b = add::<_, 0>(y, v, b);
    }
    [first.add(end..rows.len(), rows, a), second.add(end..rows.len(), rows, b)]
}

/// Sums of the columns from `FROM` on, and what one more row adds to them. No loop: it would keep the sums in memory.
#[inline(always)]
fn add<L: Lanes, const FROM: usize>(y: &[L; 2], weights: &[L::Scalar; COLUMNS], sums: Sums<L>) -> Sums<L> {
    let [a, b, c, d] = sums;
    [
        if FROM > 0 { a } else { times(y, weights[0], a) },
        if FROM > 1 { b } else { times(y, weights[1], b) },
        if FROM > 2 { c } else { times(y, weights[2], c) },
        times(y, weights[3], d),
    ]
}

#[inline(always)]
fn times<L: Lanes>(y: &[L; 2], weight: L::Scalar, sum: [L; 2]) -> [L; 2] {
    let weight = L::splat(weight);
    [y[0].mul_add(weight, sum[0]), y[1].mul_add(weight, sum[1])]
}

/// Totals and the squares of a panel's columns.
#[inline(always)]
fn with_squares<L: Lanes>(totals: [L; 2], [a, b, c, d]: Sums<L>) -> [L; 2] {
    [
        with_squares_of(totals[0], [a[0], b[0], c[0], d[0]]),
        with_squares_of(totals[1], [a[1], b[1], c[1], d[1]]),
    ]
}

/// The same of one vector. No closure for `from_fn`: that is not inlined, and its arithmetic neither.
#[inline(always)]
fn with_squares_of<L: Lanes>(total: L, [a, b, c, d]: [L; COLUMNS]) -> L {
    let squares = b.mul_add(b, a * a);
    total + d.mul_add(d, c.mul_add(c, squares))
}
