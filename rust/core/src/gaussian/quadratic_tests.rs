//! Quadratic forms at every level against a plain float64 loop.

use super::*;
use crate::gaussian::whitening;
use crate::rng::RandomStream;
use proptest::prelude::*;

fn normals(stream: &mut RandomStream, count: usize) -> Vec<f64> {
    let normal = |_| (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0;
    (0..count).map(normal).collect()
}

fn reference<T: Sample>(row: &[T], mean: &[f64], factor: &[f64]) -> f64 {
    let dim = mean.len();
    let y: Vec<f64> = row.iter().zip(mean).map(|(&x, m)| x.into() - m).collect();
    (0..dim).map(|j| (0..dim).map(|k| factor[k * dim + j] * y[k]).sum::<f64>().powi(2)).sum()
}

/// Rows drawn from a Gaussian of the given condition number, its mean and its whitening factor.
fn gaussian(dim: usize, rows: usize, condition: f64, seed: u64) -> (Vec<f32>, Vec<f64>, Vec<f64>) {
    let mut stream = RandomStream::new(&[seed]);
    let spread = |k: usize| condition.powf(-0.5 * k as f64 / (dim as f64 - 1.0).max(1.0));
    // Householder reflections mix the features and keep the eigenvalues.
    let mirrors: Vec<Vec<f64>> = (0..dim.min(12)).map(|_| normals(&mut stream, dim)).collect();
    let mix = |y: &[f64]| -> Vec<f64> {
        mirrors.iter().fold(y.to_vec(), |y, v| {
            let length = v.iter().map(|v| v * v).sum::<f64>();
            let along = 2.0 * y.iter().zip(v).map(|(a, b)| a * b).sum::<f64>() / length;
            y.iter().zip(v).map(|(a, b)| a - along * b).collect()
        })
    };
    let mean: Vec<f64> = normals(&mut stream, dim).iter().map(|m| 30.0 * m).collect();
    let mut x = Vec::new();
    for _ in 0..rows {
        let y: Vec<f64> = normals(&mut stream, dim).iter().enumerate().map(|(k, y)| y * spread(k)).collect();
        x.extend(mix(&y).iter().zip(&mean).map(|(y, m)| (y + m) as f32));
    }
    let mut covariance = vec![0.0; dim * dim];
    for k in 0..dim {
        let mut unit = vec![0.0; dim];
        unit[k] = spread(k);
        let column = mix(&unit);
        (0..dim * dim).for_each(|i| covariance[i] += column[i / dim] * column[i % dim]);
    }
    (x, mean, whitening(&covariance, dim, &Cancel::default()).unwrap().factor)
}

fn one_thread() -> Option<NonZeroUsize> {
    NonZeroUsize::new(1)
}

fn plan_of(dim: usize, means: &[f64], factors: &[f64], which: &[usize]) -> QuadraticForms {
    QuadraticForms::new(dim, means, factors, which, &Cancel::default()).unwrap()
}

impl QuadraticForms {
    /// [`Self::all_into`] a new array.
    fn all<T: Sample>(
        &self,
        x: &[T],
        measure: Measure,
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        let mut out = vec![f64::NAN; x.len() / self.dim * self.count()];
        self.all_into(x, measure, &mut out, threads, cancel).map(|()| out)
    }

    /// [`Self::own_into`] a new array.
    fn own<T: Sample>(
        &self,
        x: &[T],
        index: &[i64],
        measure: Measure,
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        let mut out = vec![f64::NAN; x.len() / self.dim];
        self.own_into(x, index, measure, &mut out, threads, cancel).map(|()| out)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn float32_rows_are_exact_to_1e_5(
        dim in 1_usize..80, rows in 1_usize..140, log_condition in 0.0_f64..6.0, seed in any::<u64>()
    ) {
        let (x, mean, factor) = gaussian(dim, rows, 10_f64.powf(log_condition), seed);
        for level in SimdLevel::all() {
            let forms = plan_of(dim, &mean, &factor, &[0]).with_level(level);
            let got = forms.all(&x, Measure::Square, one_thread(), &Cancel::default()).unwrap();
            for (row, got) in x.chunks_exact(dim).zip(got) {
                let expected = reference(row, &mean, &factor);
                prop_assert!((got - expected).abs() <= 1e-5 * expected, "{:?} {} {}", level, got, expected);
            }
        }
    }

    #[test]
    fn float64_rows_and_any_factors(
        dim in 1_usize..70, rows in 1_usize..80, below in 0_usize..70, above in 0_usize..70, seed in any::<u64>(),
        forms in 1_usize..4
    ) {
        let mut stream = RandomStream::new(&[seed]);
        let (x, means) = (normals(&mut stream, rows * dim), normals(&mut stream, forms * dim));
        // Zeros beyond some diagonals: dense, triangular either way, or a band.
        let mut factors = normals(&mut stream, dim * dim * 2);
        for (at, w) in factors.iter_mut().enumerate() {
            let (row, column) = (at / dim % dim, at % dim);
            *w *= f64::from(u8::from(row <= column + below && column <= row + above));
        }
        let which: Vec<usize> = (0..forms).map(|form| form % 2).collect();
        for level in SimdLevel::all() {
            let plan = plan_of(dim, &means, &factors, &which).with_level(level);
            let all = plan.all(&x, Measure::Square, one_thread(), &Cancel::default()).unwrap();
            for (at, got) in all.iter().enumerate() {
                let form = at % forms;
                let factor = &factors[which[form] * dim * dim..][..dim * dim];
                let expected = reference(&x[at / forms * dim..][..dim], &means[form * dim..][..dim], factor);
                prop_assert!((got - expected).abs() <= 1e-11 * expected, "{:?} {} {}", level, got, expected);
            }
        }
    }

    #[test]
    fn a_row_has_one_result_in_any_batch(
        rows in 1_usize..30, copies in 1_usize..120, seed in any::<u64>(), log_condition in 0.0_f64..7.0
    ) {
        let dim = 17;
        let (x, mean, factor) = gaussian(dim, rows, 10_f64.powf(log_condition), seed);
        let means: Vec<f64> = mean.iter().copied().chain(mean.iter().map(|m| m + 0.5)).collect();
        let plan = plan_of(dim, &means, &factor, &[0, 0]);
        let levels = SimdLevel::all();
        let plan = plan.with_level(levels[seed as usize % levels.len()]);
        let batch = x.repeat(copies);
        let all = plan.all(&batch, Measure::Square, NonZeroUsize::new(3), &Cancel::default()).unwrap();
        let mut stream = RandomStream::new(&[seed, 1]);
        let index: Vec<i64> = (0..rows * copies).map(|_| stream.below(2) as i64).collect();
        let own = plan.own(&batch, &index, Measure::Square, NonZeroUsize::new(2), &Cancel::default()).unwrap();
        for (at, own) in own.into_iter().enumerate() {
            prop_assert_eq!(own.to_bits(), all[at * 2 + index[at] as usize].to_bits());
            let row = &batch[at * dim..][..dim];
            let alone = plan.all(row, Measure::Square, one_thread(), &Cancel::default()).unwrap();
            prop_assert_eq!(own.to_bits(), alone[index[at] as usize].to_bits());
        }
    }
}

#[test]
fn extremes_of_float32_keep_their_digits() {
    let plan = |scale: f64| plan_of(2, &[0.0, 0.0], &[scale, 0.0, 0.0, scale], &[0]);
    for (x, scale) in [(3e-40_f32, 1.0), (3e38, 1.0), (1e-20, 1e20), (1e30, 1e-40), (0.0, 1.0), (1e-30, 1.0)]
    {
        let got = plan(scale).all(&[x, x], Measure::Square, one_thread(), &Cancel::default()).unwrap()[0];
        let expected = 2.0 * (f64::from(x) * scale).powi(2);
        assert!((got - expected).abs() <= 1e-5 * expected, "{x} {scale}: {got} {expected}");
    }
}

#[test]
fn float32_is_left_out_where_it_would_seldom_do() {
    let tried = |condition| {
        let (_, mean, factor) = gaussian(64, 0, condition, 7);
        plan_of(64, &mean, &factor, &[0]).factors[0].narrow.is_some()
    };
    assert_eq!([1.0, 1e2, 1e4, 1e6].map(tried), [true, true, true, false]);
    // of a factor with a row of zeros nothing is known before
    let dense = plan_of(2, &[0.0; 2], &[1.0, 1.0, 0.0, 0.0], &[0]);
    assert!(dense.factors[0].narrow.is_some());
}

#[test]
fn levels_with_fused_multiply_add_agree_to_the_bit() {
    let fused: Vec<SimdLevel> = SimdLevel::all().into_iter().skip(1).collect();
    for condition in [10.0, 1e4, 1e6] {
        let (x, mean, factor) = gaussian(37, 300, condition, 3);
        let at = |&level: &SimdLevel| {
            let plan = plan_of(37, &mean, &factor, &[0]).with_level(level);
            plan.all(&x, Measure::Distance, one_thread(), &Cancel::default()).unwrap()
        };
        let results: Vec<Vec<f64>> = fused.iter().map(at).collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "condition {condition}");
    }
}

#[test]
fn a_batch_of_clips_under_a_large_factor_is_exact() {
    for dim in [128, 131, 256] {
        let mut stream = RandomStream::new(&[dim as u64]);
        let (x, mean) = (normals(&mut stream, 65 * dim), normals(&mut stream, dim));
        let factor = normals(&mut stream, dim * dim);
        for level in SimdLevel::all() {
            let plan = plan_of(dim, &mean, &factor, &[0]).with_level(level);
            let squares = plan.all(&x, Measure::Square, one_thread(), &Cancel::default()).unwrap();
            for (row, got) in x.chunks_exact(dim).zip(squares) {
                let expected = reference(row, &mean, &factor);
                assert!((got - expected).abs() <= 1e-13 * expected, "{level:?} {dim}: {got} {expected}");
            }
        }
    }
}

#[test]
fn distances_are_roots_and_outputs_must_fit() {
    let (x, mean, factor) = gaussian(5, 9000, 10.0, 4);
    let means = [&mean[..], &[1.0; 5]].concat();
    let plan = plan_of(5, &means, &factor, &[0, 0]);
    let (cancel, index) = (Cancel::default(), vec![1; 9000]);
    let squares = plan.all(&x, Measure::Square, None, &cancel).unwrap();
    let mut given = vec![f64::NAN; 18_000];
    plan.all_into(&x, Measure::Distance, &mut given, None, &cancel).unwrap();
    assert!(squares.iter().zip(&given).all(|(s, d)| s.sqrt() == *d));
    let mut own = vec![f64::NAN; 9000];
    plan.own_into(&x, &index, Measure::Distance, &mut own, None, &cancel).unwrap();
    assert!(own.iter().zip(given.chunks(2)).all(|(own, all)| *own == all[1]));
    for size in [0, 8999, 9001] {
        let mut wrong = vec![0.0; size];
        let error = plan.own_into(&x, &index, Measure::Square, &mut wrong, None, &cancel).unwrap_err();
        assert!(error.to_string().starts_with(&format!("out: {size} places")), "{error}");
    }
}

#[test]
fn the_row_of_a_bad_number_is_that_of_the_whole_input() {
    let plan = plan_of(2, &[0.0; 4], &[1.0, 0.0, 0.0, 0.0], &[0, 0]);
    let mut x = vec![0.0_f32; 20_000];
    x[2 * 9001 + 1] = f32::NAN;
    let index: Vec<i64> = (0..10_000).map(|row| row % 2).collect();
    let cancel = Cancel::default();
    for error in
        [plan.all(&x, Measure::Square, None, &cancel), plan.own(&x, &index, Measure::Square, None, &cancel)]
    {
        assert_eq!(
            error.unwrap_err().to_string().split("; ").next(),
            Some("x: row 9001 holds NaN in column 1")
        );
    }
}

#[test]
fn bad_input_is_named() {
    let plan = plan_of(2, &[0.0, 0.0], &[1.0, 0.0, 0.0, 0.0], &[0]);
    let cancel = Cancel::default();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = plan.all(&[0.0, 1.0, 1.0, bad], Measure::Square, None, &cancel).unwrap_err().to_string();
        assert!(error.starts_with(&format!("x: row 1 holds {bad} in column 1")), "{error}");
    }
    let large = plan.all(&[1e200, 0.0], Measure::Square, None, &cancel).unwrap_err().to_string();
    assert!(large.contains("row 0 is so large"), "{large}");
    assert!(plan.all(&[1.0_f32; 3], Measure::Square, None, &cancel).is_err());
    assert!(plan.own(&[1.0_f32; 2], &[-1], Measure::Square, None, &cancel).is_err());
    assert!(plan.own(&[1.0_f32; 2], &[1], Measure::Square, None, &cancel).is_err());
    assert!(plan.own(&[1.0_f32; 2], &[0, 0], Measure::Square, None, &cancel).is_err());
    assert_eq!(plan.all(&[0.0_f32; 0], Measure::Square, None, &cancel).unwrap(), [0.0; 0]);
    let new = |dim, means: &[f64], factors: &[f64], which: &[usize]| {
        QuadraticForms::new(dim, means, factors, which, &Cancel::default()).unwrap_err().to_string()
    };
    assert!(new(0, &[], &[], &[]).contains("means"));
    assert!(new(1, &[0.0], &[], &[0]).contains("numbers below 0"));
    assert!(new(2, &[0.0; 2], &[1.0; 3], &[0]).contains("2 x 2"));
    assert!(new(1, &[0.0], &[f64::NAN], &[0]).contains("factors: NaN"));
    assert!(new(1, &[f64::INFINITY], &[1.0], &[0]).contains("means: inf"));
}
