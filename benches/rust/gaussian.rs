//! Scoring, fitting and ranking of embeddings of 64 numbers.

use crate::Kernel;
use crate::inputs::numbers;
use offkey_core::gaussian::{self, Covariance, Measure, Plan, QuadraticForms};
use offkey_core::par::Cancel;
use offkey_core::ranking::counts_from;
use std::hint::black_box;
use std::num::NonZeroUsize;

const DIM: usize = 64;
const ROWS: usize = 10_000;
/// Rows of a batch of clips.
const CLIPS: usize = 64;
const SCORES: usize = 100_000;

fn rows() -> Vec<f32> {
    numbers(7, ROWS * DIM).into_iter().map(|x| x as f32).collect()
}

/// Identity and some rank: symmetric, well conditioned.
fn covariance() -> Vec<f64> {
    let direction = numbers(8, DIM);
    let entry = |i: usize, j: usize| direction[i] * direction[j] + f64::from(u8::from(i == j));
    (0..DIM * DIM).map(|at| entry(at / DIM, at % DIM)).collect()
}

/// Distances of rows to the means of their own IDs.
pub(crate) fn distances(ids: usize) -> Kernel {
    let factor = gaussian::whitening(&covariance(), DIM, &Cancel::default()).expect("a covariance").factor;
    let forms = QuadraticForms::new(
        DIM,
        &numbers(9, ids * DIM),
        &factor.repeat(ids),
        &Vec::from_iter(0..ids),
        &Cancel::default(),
    );
    let (forms, x) = (forms.expect("means and factors that fit"), rows());
    let index: Vec<i64> = (0..ROWS).map(|row| (row * 7 / 3 % ids) as i64).collect();
    let (mut out, cancel) = (vec![0.0; ROWS], Cancel::default());
    Box::new(move || {
        let done = forms.own_into(&x, &index, Measure::Distance, &mut out, NonZeroUsize::new(1), &cancel);
        done.expect("finite rows");
        black_box(&mut out);
    })
}

/// Squared distances of float64 rows to all of some means under one dense factor, in batches as `spectral` has them.
pub(crate) fn dense_forms(dim: usize, ids: usize) -> Kernel {
    let (means, factor) = (numbers(13, ids * dim), numbers(14, dim * dim));
    let forms = QuadraticForms::new(dim, &means, &factor, &vec![0; ids], &Cancel::default());
    let (forms, x) = (forms.expect("means and factors that fit"), numbers(15, CLIPS * dim));
    let (mut out, cancel) = (vec![0.0; CLIPS * ids], Cancel::default());
    Box::new(move || {
        let done = forms.all_into(&x, Measure::Square, &mut out, NonZeroUsize::new(1), &cancel);
        done.expect("finite rows");
        black_box(&mut out);
    })
}

/// Distances of float64 rows under a triangular factor.
pub(crate) fn triangular_form() -> Kernel {
    let factor = gaussian::whitening(&covariance(), DIM, &Cancel::default()).expect("a covariance").factor;
    let forms = QuadraticForms::new(DIM, &numbers(9, DIM), &factor, &[0], &Cancel::default());
    let (forms, x) = (forms.expect("means and factors that fit"), numbers(7, ROWS * DIM));
    let (mut out, cancel) = (vec![0.0; ROWS], Cancel::default());
    Box::new(move || {
        let done = forms.all_into(&x, Measure::Square, &mut out, NonZeroUsize::new(1), &cancel);
        done.expect("finite rows");
        black_box(&mut out);
    })
}

/// Mean and covariance after Ledoit and Wolf, of one ID.
pub(crate) fn fit() -> Kernel {
    let (x, index, cancel) = (rows(), vec![0; ROWS], Cancel::default());
    let plan = Plan { dim: DIM, ids: 1, covariance: Covariance::LedoitWolf, shared: false };
    Box::new(move || {
        black_box(gaussian::fit(&x, &index, plan, NonZeroUsize::new(1), &cancel).expect("finite rows"));
    })
}

/// The Cholesky factor that whitens.
pub(crate) fn whitening() -> Kernel {
    let covariance = covariance();
    Box::new(move || {
        black_box(gaussian::whitening(&covariance, DIM, &Cancel::default()).expect("a covariance"));
    })
}

/// Counts for an ROC curve.
pub(crate) fn ranking() -> Kernel {
    let sorted = |seed| {
        let mut values = numbers(seed, SCORES);
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (values, thresholds) = (sorted(11), sorted(12));
    Box::new(move || {
        black_box(counts_from(&values, &thresholds, &Cancel::default()).expect("nobody stops it"));
    })
}
