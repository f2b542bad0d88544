//! Quadratic forms of any rows, means and factors, at every level, against plain float64.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offkey_core::gaussian::{Measure, QuadraticForms, Sample, whitening};
use offkey_core::par::Cancel;
use offkey_core::simd::SimdLevel;
use offkey_fuzz::Choices;
use std::num::NonZeroUsize;

/// Relative error that float32 arithmetic may leave. The kernel estimates 1e-5 from what roundings do as a rule; here
/// rows are chosen to have them all point one way.
const NARROW_ERROR: f64 = 1e-4;

fuzz_target!(|bytes: &[u8]| {
    let choices = &mut Choices(bytes);
    let (dim, forms) = (1 + choices.below(40) as usize, 1 + choices.below(4) as usize);
    let factors: Vec<f64> = (0..1 + choices.below(2)).flat_map(|_| factor(choices, dim)).collect();
    let count = factors.len() / (dim * dim);
    let which: Vec<usize> = (0..forms).map(|_| choices.below(count as u32) as usize).collect();
    let means = numbers(choices, forms * dim);
    let Ok(plan) = QuadraticForms::new(dim, &means, &factors, &which, &Cancel::default()) else { return };
    drop(plan);
    let rows = 1 + choices.below(70) as usize;
    let setup = Setup { dim, means, factors, which };
    if choices.below(3) == 0 {
        setup.check(&numbers(choices, rows * dim), 0.0);
    } else {
        let x: Vec<f32> = numbers(choices, rows * dim).iter().map(|&x| x as f32).collect();
        setup.check(&x, NARROW_ERROR);
    }
});

struct Setup {
    dim: usize,
    means: Vec<f64>,
    factors: Vec<f64>,
    which: Vec<usize>,
}

impl Setup {
    fn check<T: Sample>(&self, x: &[T], narrow_error: f64) {
        let (forms, one) = (self.which.len(), NonZeroUsize::new(1));
        let expected: Vec<(f64, f64)> = x
            .chunks_exact(self.dim)
            .flat_map(|row| (0..forms).map(move |form| self.definition(row, form)))
            .collect();
        let mut fused: Option<Vec<u64>> = None;
        for level in SimdLevel::all() {
            let cancel = Cancel::default();
            let plan = QuadraticForms::new(self.dim, &self.means, &self.factors, &self.which, &cancel);
            let plan = plan.expect("forms that were good before").with_level(level);
            let mut all = vec![f64::NAN; expected.len()];
            if plan.all_into(x, Measure::Square, &mut all, one, &cancel).is_err() {
                let near = |&(value, error): &(f64, f64)| !((value + error) * 2.0).is_finite();
                let bad = x.iter().any(|&x| !x.into().is_finite());
                assert!(bad || expected.iter().any(near), "refused without cause");
                return;
            }
            assert!(x.iter().all(|&x| x.into().is_finite()));
            for (at, (&got, &(value, error))) in all.iter().zip(&expected).enumerate() {
                let allowed = error + narrow_error * value;
                assert!(
                    got >= 0.0 && (got - value).abs() <= allowed,
                    "{level:?} {at}: {got} for {value} +- {allowed}, dim {}",
                    self.dim
                );
            }
            let bits: Vec<u64> = all.iter().map(|value| value.to_bits()).collect();
            self.check_alone(&plan, x, &bits);
            if level != SimdLevel::all()[0] {
                assert!(fused.get_or_insert_with(|| bits.clone()) == &bits, "levels differ");
            }
        }
    }

    /// A row's result is the same without its neighbours, and in the call for one form of each row.
    fn check_alone<T: Sample>(&self, plan: &QuadraticForms, x: &[T], all: &[u64]) {
        let (forms, one, cancel) = (self.which.len(), NonZeroUsize::new(1), Cancel::default());
        let rows = x.len() / self.dim;
        let index: Vec<i64> = (0..rows).map(|row| (row * 7 % forms) as i64).collect();
        let mut own = vec![f64::NAN; rows];
        plan.own_into(x, &index, Measure::Square, &mut own, one, &cancel)
            .expect("rows that were good before");
        for (row, own) in own.iter().enumerate() {
            assert_eq!(own.to_bits(), all[row * forms + index[row] as usize]);
        }
        let last = &x[(rows - 1) * self.dim..];
        let mut alone = vec![f64::NAN; forms];
        plan.all_into(last, Measure::Square, &mut alone, one, &cancel).expect("a row that was good before");
        assert!(alone.iter().zip(&all[(rows - 1) * forms..]).all(|(alone, all)| alone.to_bits() == *all));
    }

    /// `|W' (x - mean)|^2`, and how far roundings of float64 may take it from there.
    fn definition<T: Sample>(&self, row: &[T], form: usize) -> (f64, f64) {
        let dim = self.dim;
        let mean = &self.means[form * dim..][..dim];
        let factor = &self.factors[self.which[form] * dim * dim..][..dim * dim];
        let y: Vec<f64> = row.iter().zip(mean).map(|(&x, mean)| x.into() - mean).collect();
        let unit = f64::EPSILON * (dim as f64 + 4.0);
        (0..dim).fold((0.0, f64::MIN_POSITIVE), |(value, error), column| {
            let terms = (0..dim).map(|k| factor[k * dim + column] * y[k]);
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
            let off = unit * size + f64::MIN_POSITIVE;
            (value + sum * sum, error + 2.0 * off * sum.abs() + off * off + unit * sum * sum)
        })
    }
}

/// A factor: of a covariance, triangular or dense.
fn factor(choices: &mut Choices<'_>, dim: usize) -> Vec<f64> {
    let mut values = numbers(choices, dim * dim);
    match choices.below(3) {
        0 => {
            let product =
                |i: usize, j: usize| (0..dim).map(|k| values[k * dim + i] * values[k * dim + j]).sum();
            let covariance: Vec<f64> = (0..dim * dim).map(|at| product(at / dim, at % dim)).collect();
            match whitening(&covariance, dim, &Cancel::default()) {
                Ok(whitening) => whitening.factor,
                Err(_) => values,
            }
        }
        1 => {
            (0..dim * dim).filter(|at| at / dim > at % dim).for_each(|at| values[at] = 0.0);
            values
        }
        _ => values,
    }
}

/// Numbers of one magnitude, as a rule; the first are the fuzzer's, and the others follow from those.
fn numbers(choices: &mut Choices<'_>, count: usize) -> Vec<f64> {
    let exponent = match choices.byte() {
        usual @ ..200 => i32::from(usual % 5) - 2,
        any => 3 * (i32::from(any) - 228),
    };
    let (scale, offset) = (10_f64.powi(exponent), [0.0, 1.0, 1e3, 1e6][choices.below(4) as usize]);
    let own = choices.below(65_536) as usize % 400;
    let wild = choices.below(64) == 63;
    let mut state = u64::from(choices.byte());
    let number = |at: usize| {
        if at < own && !choices.is_empty() {
            let value = f64::from(choices.signed(16) as i32) / 256.0;
            if wild && value > 120.0 {
                f64::from_bits(choices.signed(63) as u64)
            } else {
                scale * (value + offset)
            }
        } else {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            scale * ((state >> 40) as f64 / f64::from(1 << 24) - 0.5 + offset)
        }
    };
    (0..count).map(number).collect()
}
