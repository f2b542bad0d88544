//! The inner loop of the quadratic forms: a factor packed in panels of four columns, against rows that lie in lanes,
//! one row in each.

use crate::simd::Lanes;

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

    /// `|W' y|^2` of each lane of `R` vectors; `rows[k][r]` is feature `k` of the rows in vector `r`.
    ///
    /// Lanes never mix and the order of the additions is fixed: a row's result does not depend on its neighbours.
    /// After each panel `between(panel, panels)` is called, which may have something fetched.
    #[inline(always)]
    pub(super) fn squared_norms<L: Lanes<Scalar = T>, const R: usize>(
        &self,
        rows: &[[L; R]],
        between: impl Fn(usize, usize),
    ) -> [L; R] {
        let zero = L::splat(T::ZERO);
        let mut total = [zero; R];
        for (at, panel) in self.0.iter().enumerate() {
            let mut sums = [[zero; R]; COLUMNS];
            let mut add = |from: usize, y: &[L; R], weights: &[T; COLUMNS]| {
                for column in from..COLUMNS {
                    let weight = L::splat(weights[column]);
                    for r in 0..R {
                        sums[column][r] = y[r].mul_add(weight, sums[column][r]);
                    }
                }
            };
            let rows = &rows[panel.first_row..][..panel.weights.len()];
            // Four rows at a time: how often a short loop turns is foreseen, and a long one is not.
            let (fours, rest) = panel.weights.as_chunks::<COLUMNS>();
            let (four_rows, rest_rows) = rows.as_chunks::<COLUMNS>();
            let tail = usize::from(panel.triangular_tail);
            for (y, weights) in four_rows.iter().zip(&fours[..fours.len() - tail]) {
                (0..COLUMNS).for_each(|k| add(0, &y[k], &weights[k]));
            }
            if panel.triangular_tail {
                let at = fours.len() - 1;
                (0..COLUMNS).for_each(|k| add(k, &four_rows[at][k], &fours[at][k]));
            }
            rest_rows.iter().zip(rest).for_each(|(y, weights)| add(0, y, weights));
            for r in 0..R {
                let mut squares = sums[0][r] * sums[0][r];
                for column in &sums[1..] {
                    squares = column[r].mul_add(column[r], squares);
                }
                total[r] = total[r] + squares;
            }
            between(at, self.0.len());
        }
        total
    }
}
