//! Mean and covariance of each machine ID, or one covariance for all.

use super::moments::{Moments, moments};
use super::{Sample, rows_of};
use crate::par::Cancel;
use crate::simd::SimdLevel;
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// How a covariance is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covariance {
    /// Divided by the number of rows; by rows less IDs where all IDs share it.
    Empirical,
    /// Shrunk towards a multiple of the identity: Ledoit and Wolf (2004), as scikit-learn's `ledoit_wolf`.
    LedoitWolf,
    /// Shrunk towards a multiple of the identity: Chen, Wiesel, Eldar and Hero (2010), as scikit-learn's `oas`.
    Oas,
}

/// What to fit.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of features of a row.
    pub dim: usize,
    /// Number of machine IDs.
    pub ids: usize,
    /// The estimator.
    pub covariance: Covariance,
    /// One covariance for all IDs.
    pub shared: bool,
}

/// One Gaussian for each ID; several IDs may have the same covariance.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    /// `(ids, dim)`, row-major.
    pub means: Vec<f64>,
    /// `(covariances, dim, dim)`, row-major.
    pub covariances: Vec<f64>,
    /// For each ID the index of its covariance.
    pub which: Vec<usize>,
    /// Weight of the identity in each covariance; 0 for [`Covariance::Empirical`].
    pub shrinkages: Vec<f64>,
}

/// Fit one Gaussian for each ID; row `i` of `x` belongs to ID `index[i]`.
///
/// Everything is summed in float64 around the mean of each ID. With `shared`, one covariance is estimated from the
/// rows of all IDs, each row centred on its own ID's mean: `Empirical` divides by rows less IDs, the shrinkers treat
/// the centred rows as scikit-learn does with `assume_centered=True`. Without it, an ID with one row, or whose rows
/// are all equal, gets that shared covariance. IDs with one row say nothing on the covariance and are left out of it.
/// Features that vary by rounding only (4 eps of their mean) have variance 0.
///
/// # Errors
/// [`Error::Array`] if lengths disagree, an index is out of range, an ID has no row, or numbers are not finite.
pub fn fit<T: Sample>(
    x: &[T],
    index: &[usize],
    plan: Plan,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Fit> {
    fit_at(SimdLevel::best(), x, index, plan, threads, cancel)
}

fn fit_at<T: Sample>(
    level: SimdLevel,
    x: &[T],
    index: &[usize],
    plan: Plan,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Fit> {
    let rows = rows_of(x, plan.dim)?;
    if rows != index.len() {
        let given = format!("{} entries", index.len());
        return Err(Error::array("index", given, format!("one for each of the {rows} rows of x")));
    }
    let groups = group(index, plan.ids)?;
    let mut result = Fit::with_room(plan, &groups)?;
    let mut pool = Pool { sums: Moments::new(plan.dim), freedom: 0 };
    moments(x, plan.dim, &groups, level, threads, cancel, |own| {
        result.means.extend(&own.mean);
        pool.add(own);
        let shared = plan.shared || own.rows == 1 || own.trace() == 0.0;
        let which = if shared { SHARED } else { result.add(own, plan.covariance, own.rows) };
        result.which.push(which);
    })?;
    if result.which.contains(&SHARED) {
        let shared = result.add(&pool.sums, plan.covariance, pool.freedom);
        result.which.iter_mut().filter(|which| **which == SHARED).for_each(|which| *which = shared);
    }
    Ok(result)
}

/// Stands for the shared covariance, which comes last, until it is known.
const SHARED: usize = usize::MAX;

impl Fit {
    /// Nothing yet, but with room for every covariance.
    fn with_room(plan: Plan, groups: &[Vec<usize>]) -> Result<Self> {
        let own = if plan.shared { 0 } else { groups.iter().filter(|rows| rows.len() > 1).count() };
        let count = own + usize::from(own < groups.len());
        let mut fit = Self::default();
        let size = plan.dim.saturating_mul(plan.dim).saturating_mul(count);
        fit.covariances.try_reserve_exact(size).map_err(|_| {
            let given = format!("{} features in {count} covariances, too many for the memory", plan.dim);
            Error::array("x", given, "fewer features, fewer IDs, or one covariance that all IDs share")
        })?;
        Ok(fit)
    }

    /// Add a covariance; `freedom` divides the products of the empirical one. Returns its place.
    fn add(&mut self, sums: &Moments, kind: Covariance, freedom: usize) -> usize {
        let start = self.covariances.len();
        self.covariances.extend(&sums.products);
        self.shrinkages.push(estimate(&mut self.covariances[start..], sums, kind, freedom));
        self.shrinkages.len() - 1
    }
}

/// The rows of each ID, in order.
fn group(index: &[usize], ids: usize) -> Result<Vec<Vec<usize>>> {
    let mut groups = vec![Vec::new(); ids];
    for (row, &id) in index.iter().enumerate() {
        let Some(group) = groups.get_mut(id) else {
            return Err(Error::array("index", format!("{id} at row {row}"), format!("numbers below {ids}")));
        };
        group.push(row);
    }
    match groups.iter().position(Vec::is_empty) {
        Some(id) => {
            Err(Error::array("index", format!("no row of ID number {id}"), "at least one for each ID"))
        }
        None if ids == 0 => Err(Error::array("index", "no ID", "at least one")),
        None => Ok(groups),
    }
}

/// The sums over all IDs with more than one row, and their degrees of freedom, rows less IDs.
struct Pool {
    sums: Moments,
    freedom: usize,
}

impl Pool {
    fn add(&mut self, own: &Moments) {
        if own.rows > 1 {
            self.sums.rows += own.rows;
            self.freedom += own.rows - 1;
            self.sums.fourth += own.fourth;
            self.sums.products.iter_mut().zip(&own.products).for_each(|(total, v)| *total += v);
        }
    }
}

/// Make a covariance of products, and return its shrinkage; `freedom` divides those of the empirical one.
fn estimate(matrix: &mut [f64], sums: &Moments, kind: Covariance, freedom: usize) -> f64 {
    let dim = sums.mean.len();
    let divisor = if kind == Covariance::Empirical { freedom } else { sums.rows };
    let divisor = divisor.max(1) as f64; // without any row the products are zeros
    matrix.iter_mut().for_each(|v| *v /= divisor);
    let mean_variance = sums.trace() / divisor / dim as f64;
    // In units of the mean variance nothing overflows, whatever the scale of the features.
    let squares = || matrix.iter().map(|v| (v / mean_variance).powi(2)).sum::<f64>();
    let shrinkage = match kind {
        Covariance::Empirical => 0.0,
        _ if dim == 1 || mean_variance == 0.0 => 0.0,
        Covariance::LedoitWolf => {
            let fourth = sums.fourth / mean_variance / mean_variance / divisor;
            ledoit_wolf(squares(), fourth, dim as f64, divisor)
        }
        Covariance::Oas => oas(squares(), dim as f64, divisor),
    };
    if shrinkage > 0.0 {
        matrix.iter_mut().for_each(|v| *v *= 1.0 - shrinkage);
        matrix.iter_mut().step_by(dim + 1).for_each(|v| *v += shrinkage * mean_variance);
    }
    shrinkage
}

/// Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", section 3.3,
/// from the sum of squares of the covariance and the mean fourth power of the rows' lengths.
fn ledoit_wolf(squares: f64, fourth: f64, dim: f64, rows: f64) -> f64 {
    let distance = (squares - dim) / dim;
    let noise = ((fourth - squares) / rows / dim).min(distance);
    if noise <= 0.0 { 0.0 } else { noise / distance }
}

/// Chen, Wiesel, Eldar and Hero (2010), "Shrinkage algorithms for MMSE covariance estimation", equation 23,
/// without its terms 2 / dim, as in scikit-learn.
fn oas(squares: f64, dim: f64, rows: f64) -> f64 {
    let mean_square = squares / dim / dim;
    let denominator = (rows + 1.0) * (mean_square - 1.0 / dim);
    if denominator <= 0.0 { 1.0 } else { ((mean_square + 1.0) / denominator).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::RandomStream;
    use proptest::prelude::*;

    fn plan(dim: usize, ids: usize, covariance: Covariance, shared: bool) -> Plan {
        Plan { dim, ids, covariance, shared }
    }

    fn run<T: Sample>(x: &[T], index: &[usize], plan: Plan) -> Result<Fit> {
        fit(x, index, plan, NonZeroUsize::new(1), &Cancel::default())
    }

    #[test]
    fn means_and_covariances_by_hand() {
        let x = [1.0_f32, 2.0, 3.0, 6.0, 10.0, 10.0, 10.0, 14.0];
        let own = run(&x, &[0, 0, 1, 1], plan(2, 2, Covariance::Empirical, false)).unwrap();
        assert_eq!(own.means, [2.0, 4.0, 10.0, 12.0]);
        assert_eq!(own.covariances, [1.0, 2.0, 2.0, 4.0, 0.0, 0.0, 0.0, 4.0]);
        let shared = run(&x, &[0, 0, 1, 1], plan(2, 2, Covariance::Empirical, true)).unwrap();
        assert_eq!(shared.which, [0, 0]);
        assert_eq!(shared.covariances, [1.0, 2.0, 2.0, 8.0]);
    }

    #[test]
    fn an_id_with_one_row_or_equal_rows_gets_the_shared_covariance() {
        let x = [1.0, 2.0, 3.0, 6.0, 5.0, 5.0, 0.1, 0.3, 0.1, 0.3, 0.1, 0.3];
        let own = run(&x, &[0, 0, 1, 2, 2, 2], plan(2, 3, Covariance::Empirical, false)).unwrap();
        assert_eq!(own.which, [0, 1, 1]);
        // pooled over IDs 0 and 2: products of ID 0 over 5 rows less 2 IDs
        assert_eq!(own.covariances[4..], [2.0 / 3.0, 4.0 / 3.0, 4.0 / 3.0, 8.0 / 3.0]);
        for kind in [Covariance::Empirical, Covariance::LedoitWolf, Covariance::Oas] {
            let alone = run(&[1.0, 2.0], &[0], plan(2, 1, kind, false)).unwrap();
            assert_eq!(alone.covariances, [0.0; 4]);
        }
    }

    #[test]
    fn bad_input_is_named() {
        let p = plan(2, 2, Covariance::Oas, false);
        let text = |x: &[f64], index: &[usize]| run(x, index, p).unwrap_err().to_string();
        assert!(text(&[1.0, 2.0, 3.0], &[0]).contains("3 numbers"));
        assert!(text(&[1.0, 2.0, 3.0, 4.0], &[0]).contains("1 entries"));
        assert!(text(&[1.0, 2.0, 3.0, 4.0], &[0, 2]).contains("2 at row 1"));
        assert!(text(&[1.0, 2.0, 3.0, 4.0], &[0, 0]).contains("no row of ID number 1"));
        assert!(text(&[1.0, 2.0, f64::NAN, 4.0], &[0, 1]).contains("row 1 holds NaN in column 0"));
        assert!(text(&[1.0, 1e200, 3.0, 4.0, 5.0, -1e200], &[0, 1, 0]).contains("overflow"));
        assert!(run(&[1.0; 0], &[], plan(0, 1, Covariance::Oas, false)).is_err());
        assert!(run(&[1.0; 0], &[], plan(1, 0, Covariance::Oas, false)).is_err());
    }

    proptest! {
        #[test]
        fn the_threads_change_no_bit(rows in 8200_usize..9000, seed in any::<u64>(), shared in any::<bool>()) {
            let mut stream = RandomStream::new(&[seed]);
            let x: Vec<f32> = (0..rows * 3).map(|_| stream.uniform_in(-1e3, 1e3) as f32).collect();
            let index: Vec<usize> = (0..rows).map(|row| usize::from(row % 10 == 0)).collect();
            let p = plan(3, 2, Covariance::LedoitWolf, shared);
            let one = run(&x, &index, p).unwrap();
            let many = fit(&x, &index, p, NonZeroUsize::new(5), &Cancel::default()).unwrap();
            prop_assert_eq!(one.means, many.means);
            prop_assert_eq!(one.covariances, many.covariances);
        }

        #[test]
        fn every_level_gives_the_plain_sums(rows in 2_usize..150, dim in 1_usize..40, seed in any::<u64>()) {
            let mut stream = RandomStream::new(&[seed]);
            let x: Vec<f32> = (0..rows * dim).map(|_| stream.uniform_in(-3.0, 5.0) as f32).collect();
            let column = |i: usize| x.iter().skip(i).step_by(dim).map(|&v| f64::from(v));
            let means: Vec<f64> = (0..dim).map(|i| column(i).sum::<f64>() / rows as f64).collect();
            for level in SimdLevel::all() {
                let plan = plan(dim, 1, Covariance::Empirical, false);
                let got = fit_at(level, &x, &vec![0; rows], plan, None, &Cancel::default()).unwrap();
                for at in 0..dim * dim {
                    let (i, j) = (at / dim, at % dim);
                    let products = column(i).zip(column(j)).map(|(a, b)| (a - means[i]) * (b - means[j]));
                    let expected = products.sum::<f64>() / rows as f64;
                    prop_assert!((got.covariances[at] - expected).abs() < 1e-12, "{:?} at {}, {}", level, i, j);
                }
                prop_assert!(got.means.iter().zip(&means).all(|(a, b)| (a - b).abs() < 1e-14));
            }
        }

        #[test]
        fn the_shrinkage_is_the_same_at_every_level(dim in 2_usize..40, seed in any::<u64>()) {
            let mut stream = RandomStream::new(&[seed]);
            let x: Vec<f64> = (0..50 * dim).map(|_| stream.uniform_in(-1.0, 1.0)).collect();
            let plan = plan(dim, 1, Covariance::LedoitWolf, false);
            let at = |level| fit_at(level, &x, &[0; 50], plan, None, &Cancel::default()).unwrap().shrinkages[0];
            let shrinkages: Vec<f64> = SimdLevel::all().into_iter().map(at).collect();
            prop_assert!(shrinkages.iter().all(|s| (s - shrinkages[0]).abs() < 1e-12), "{:?}", shrinkages);
        }

        #[test]
        fn an_offset_moves_the_mean_only(dim in 1_usize..12, seed in any::<u64>(), offset in -1e6_f64..1e6) {
            let mut stream = RandomStream::new(&[seed]);
            let x: Vec<f64> = (0..40 * dim).map(|_| stream.uniform_in(-1.0, 1.0)).collect();
            let moved: Vec<f64> = x.iter().map(|v| v + offset).collect();
            for kind in [Covariance::Empirical, Covariance::LedoitWolf, Covariance::Oas] {
                let (a, b) = (run(&x, &[0; 40], plan(dim, 1, kind, false)).unwrap(),
                              run(&moved, &[0; 40], plan(dim, 1, kind, false)).unwrap());
                for (a, b) in a.covariances.iter().zip(&b.covariances) {
                    prop_assert!((a - b).abs() < 1e-8, "{} {}", a, b);
                }
                prop_assert!(a.shrinkages.iter().all(|s| (0.0..=1.0).contains(s)));
            }
        }
    }
}
