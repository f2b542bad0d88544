//! The inner loop of the quadratic forms: a few rows against panels of sixteen columns.

/// Columns of a panel: the lanes of the accumulators.
pub(super) const LANES: usize = 16;
/// Rows that go through the panels together, so that each weight is loaded once for all of them.
pub(super) const ROWS: usize = 4;

/// The arithmetic that the inner loop needs.
pub(super) trait Real:
    Copy + std::ops::Add<Output = Self> + std::ops::AddAssign + std::ops::Mul<Output = Self>
{
    const ZERO: Self;
    fn of(value: f64) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    fn of(value: f64) -> Self {
        value
    }
}

/// A `dim x dim` factor cut into panels of [`LANES`] columns, each without the rows that are zero at its top and
/// bottom: a triangular factor costs half of a dense one.
#[derive(Debug)]
pub(super) struct Panels<T>(Vec<Panel<T>>);

#[derive(Debug)]
struct Panel<T> {
    first_row: usize,
    weights: Vec<[T; LANES]>,
}

impl<T: Real> Panels<T> {
    pub(super) fn new(factor: &[f64], dim: usize) -> Self {
        let panel = |start: usize| {
            let width = LANES.min(dim - start);
            let row = |k: usize| &factor[k * dim + start..][..width];
            let used = |k: &usize| row(*k).iter().any(|&w| w != 0.0);
            let first_row = (0..dim).find(used).unwrap_or(dim);
            let end_row = (first_row..dim).rfind(used).map_or(first_row, |k| k + 1);
            let weights = (first_row..end_row).map(|k| {
                std::array::from_fn(|lane| row(k).get(lane).map_or(T::ZERO, |&weight| T::of(weight)))
            });
            Panel { first_row, weights: weights.collect() }
        };
        Self((0..dim).step_by(LANES).map(panel).collect())
    }

    /// `|W' y|^2` of [`ROWS`] rows at once; `rows[k][r]` is feature `k` of row `r`.
    ///
    /// The order of the additions is fixed, so the result is the same on every processor and for any batch.
    #[inline(always)]
    pub(super) fn squared_norms(&self, rows: &[[T; ROWS]]) -> [T; ROWS] {
        let mut total = [[T::ZERO; LANES]; ROWS];
        for panel in &self.0 {
            let mut sums = [[T::ZERO; LANES]; ROWS];
            for (y, weights) in rows[panel.first_row..].iter().zip(&panel.weights) {
                for r in 0..ROWS {
                    for lane in 0..LANES {
                        sums[r][lane] += y[r] * weights[lane];
                    }
                }
            }
            for r in 0..ROWS {
                for lane in 0..LANES {
                    total[r][lane] += sums[r][lane] * sums[r][lane];
                }
            }
        }
        total.map(|lanes| lanes.into_iter().fold(T::ZERO, |sum, lane| sum + lane))
    }
}
