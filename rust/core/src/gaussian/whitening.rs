//! From a covariance to a factor that whitens it.

use crate::par::Cancel;
use crate::{Error, Result};

/// First ridge tried on a singular covariance, in units of its mean eigenvalue; tenfold until it suffices.
const FIRST_RIDGE: f64 = 1e-6;
/// A Cholesky pivot below this part of its diagonal entry is rounding, or as good as that.
const SINGULAR: f64 = 1e-11;

/// A factor `W`, upper triangular, with `W W' = (S + ridge t I)^-1`, where t = trace(S) / dim.
#[derive(Clone, Debug)]
pub struct Whitening {
    /// `(dim, dim)`, row-major.
    pub factor: Vec<f64>,
    /// The ridge that was needed; 0 for a positive definite covariance.
    pub ridge: f64,
}

/// Whiten a covariance, `(dim, dim)` row-major; only its upper triangle is read.
///
/// A covariance that is singular to working precision (a Cholesky pivot at most 1e-11 of its diagonal
/// entry) gets a ridge of 1e-6 of its mean eigenvalue, or the smallest tenfold of it that suffices. A covariance
/// of zeros is replaced by the identity, and its ridge is given as 1.
///
/// # Errors
/// [`Error::Array`] if entries are not finite, a variance is negative, or the matrix is no covariance at all;
/// [`Error::Interrupted`].
pub fn whitening(covariance: &[f64], dim: usize, cancel: &Cancel) -> Result<Whitening> {
    if dim == 0 || covariance.len() != dim * dim {
        let given = format!("{} numbers", covariance.len());
        return Err(Error::array("covariance", given, format!("a square matrix of dimension {dim} above 0")));
    }
    let variances = || covariance.iter().step_by(dim + 1);
    if covariance.iter().any(|v| !v.is_finite()) || variances().any(|&v| v < 0.0) {
        let given = "an infinite or NaN entry, or a negative variance";
        return Err(Error::array("covariance", given, "finite numbers and variances of at least 0"));
    }
    let mean_eigenvalue = variances().map(|v| v / dim as f64).sum::<f64>();
    if !mean_eigenvalue.is_finite() {
        return Err(Error::array("covariance", "a trace beyond float64", "smaller numbers"));
    }
    if mean_eigenvalue == 0.0 {
        let factor = (0..dim * dim).map(|i| f64::from(u8::from(i.is_multiple_of(dim + 1)))).collect();
        return Ok(Whitening { factor, ridge: 1.0 });
    }
    let mut ridge = 0.0;
    while ridge <= 1.0 {
        let mut work = covariance.to_vec();
        work.iter_mut().step_by(dim + 1).for_each(|v| *v += ridge * mean_eigenvalue);
        if cholesky(&mut work, dim, cancel)? {
            return Ok(Whitening { factor: inverse(&work, dim, cancel)?, ridge });
        }
        ridge = if ridge == 0.0 { FIRST_RIDGE } else { ridge * 10.0 };
    }
    Err(Error::array(
        "covariance",
        "a matrix with large negative eigenvalues",
        "a positive semidefinite matrix",
    ))
}

/// Overwrite the upper triangle of `s` by U with `S = U' U`; false if a pivot vanishes.
fn cholesky(s: &mut [f64], dim: usize, cancel: &Cancel) -> Result<bool> {
    let diagonal: Vec<f64> = s.iter().step_by(dim + 1).copied().collect();
    for k in 0..dim {
        cancel.check()?;
        let (upper, lower) = s.split_at_mut((k + 1) * dim);
        let row = &mut upper[k * dim..];
        let pivot = row[k];
        // `!(a > b)` also holds for a NaN
        if !(pivot > SINGULAR * diagonal[k] && pivot > f64::MIN_POSITIVE) {
            return Ok(false);
        }
        let root = pivot.sqrt();
        row[k..].iter_mut().for_each(|v| *v /= root);
        for i in k + 1..dim {
            let scale = row[i];
            let target = &mut lower[(i - k - 1) * dim..][..dim];
            for (t, &u) in target[i..].iter_mut().zip(&row[i..]) {
                *t -= scale * u;
            }
        }
    }
    Ok(true)
}

/// `W = U^-1` of an upper triangular `U`, zeros below the diagonal: then `W' (x - mean)` is white.
pub(super) fn inverse(upper: &[f64], dim: usize, cancel: &Cancel) -> Result<Vec<f64>> {
    // Row j of M = L^-1 (L = U') is built from the rows above it; W is M transposed.
    let mut inverse = vec![0.0; dim * dim];
    for j in 0..dim {
        cancel.check()?;
        let (done, rest) = inverse.split_at_mut(j * dim);
        let row = &mut rest[..=j];
        for m in 0..j {
            let scale = upper[m * dim + j];
            for (target, &above) in row[..=m].iter_mut().zip(&done[m * dim..]) {
                *target -= scale * above;
            }
        }
        let pivot = upper[j * dim + j];
        row[..j].iter_mut().for_each(|v| *v /= pivot);
        row[j] = 1.0 / pivot;
    }
    let mut factor = vec![0.0; dim * dim];
    for j in 0..dim {
        for k in 0..=j {
            factor[k * dim + j] = inverse[j * dim + k];
        }
    }
    Ok(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::RandomStream;
    use proptest::prelude::*;

    fn gram(dim: usize, rows: usize, seed: u64) -> Vec<f64> {
        let mut stream = RandomStream::new(&[seed]);
        let x: Vec<f64> = (0..rows * dim).map(|_| stream.uniform_in(-1.0, 1.0)).collect();
        let entry = |i: usize| (0..rows).map(|r| x[r * dim + i / dim] * x[r * dim + i % dim]).sum::<f64>();
        (0..dim * dim).map(entry).collect()
    }

    /// W' S W, which must be the identity.
    fn whitened(w: &[f64], s: &[f64], dim: usize) -> Vec<f64> {
        let product = |a: &dyn Fn(usize, usize) -> f64, b: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..dim * dim).map(|i| (0..dim).map(|k| a(i / dim, k) * b(k, i % dim)).sum()).collect()
        };
        let sw = product(&|i, k| s[i * dim + k], &|k, j| w[k * dim + j]);
        product(&|i, k| w[k * dim + i], &|k, j| sw[k * dim + j])
    }

    proptest! {
        #[test]
        fn whitening_whitens(dim in 1_usize..20, seed in any::<u64>(), scale in -100_i32..100) {
            let scale = 10_f64.powi(scale);
            let s: Vec<f64> = gram(dim, 2 * dim + 3, seed).into_iter().map(|v| v * scale).collect();
            let result = whitening(&s, dim, &Cancel::default()).unwrap();
            prop_assert_eq!(result.ridge, 0.0);
            for (i, v) in whitened(&result.factor, &s, dim).into_iter().enumerate() {
                let expected = if i % (dim + 1) == 0 { 1.0 } else { 0.0 };
                prop_assert!((v - expected).abs() < 1e-6, "{} at {}", v, i);
            }
        }

        #[test]
        fn a_covariance_of_few_rows_never_fails(dim in 2_usize..20, rows in 0_usize..20, seed in any::<u64>()) {
            let result = whitening(&gram(dim, rows, seed), dim, &Cancel::default()).unwrap();
            prop_assert!([0.0, FIRST_RIDGE, 1.0].contains(&result.ridge));
            prop_assert!(result.factor.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn a_singular_covariance_gets_the_documented_ridge() {
        let mut s = gram(20, 10, 1);
        let result = whitening(&s, 20, &Cancel::default()).unwrap();
        assert_eq!(result.ridge, FIRST_RIDGE);
        let trace: f64 = s.iter().step_by(21).sum();
        s.iter_mut().step_by(21).for_each(|v| *v += FIRST_RIDGE * trace / 20.0);
        for (i, v) in whitened(&result.factor, &s, 20).into_iter().enumerate() {
            assert!((v - f64::from(u8::from(i % 21 == 0))).abs() < 1e-6);
        }
    }

    #[test]
    fn zeros_become_the_identity_and_one_zero_variance_a_ridge() {
        let identity = whitening(&[0.0; 9], 3, &Cancel::default()).unwrap();
        assert_eq!(identity.factor, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let half = whitening(&[4.0, 0.0, 0.0, 0.0], 2, &Cancel::default()).unwrap();
        assert_eq!(half.ridge, 1e-6);
        assert!((half.factor[3] - 1.0 / (2e-6_f64).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        assert!(whitening(&[1.0, 5.0, 5.0, 1.0], 2, &Cancel::default()).is_err());
        assert!(whitening(&[1.0, 0.0, 0.0, -1.0], 2, &Cancel::default()).is_err());
        assert!(whitening(&[f64::NAN], 1, &Cancel::default()).is_err());
        assert!(whitening(&[f64::MAX, 0.0, 0.0, f64::MAX], 2, &Cancel::default()).is_ok());
        assert!(whitening(&[1.0, 0.0], 2, &Cancel::default()).is_err());
        assert!(whitening(&[], 0, &Cancel::default()).is_err());
    }
}
