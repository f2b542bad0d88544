//! One quadratic form as tiles of rows need it: a mean, and a factor in both precisions.

use super::packed::PackedFactor;
use super::whitening::inverse;
use crate::Result;
use crate::par::Cancel;
use crate::simd::MAX_LANES;
use std::ops::Range;

/// Relative error that float32 arithmetic may leave in a squared result, by the estimate of [`Narrow::error_limit`].
const NARROW_ERROR: f64 = 1e-5;
/// Rows of a factor must have lengths in this range for float32, so that no product is denormal or infinite.
const NARROW_RANGE: Range<f64> = 1e-15..1e15;

#[derive(Debug)]
pub(super) struct Form {
    pub(super) mean: Vec<f64>,
    /// The mean as float32; as all that is float32 here, padded with zeros to whole vectors.
    pub(super) narrow_mean: Vec<f32>,
    /// What float32 leaves of the mean, times the lengths of the factor's rows.
    pub(super) narrow_rest: Vec<f32>,
    pub(super) factor: usize,
}

impl Form {
    pub(super) fn new(mean: &[f64], factors: &[Factor], factor: usize) -> Self {
        let narrow_mean: Vec<f32> = padded(mean.iter().map(|&v| v as f32));
        let lengths = factors[factor].narrow.as_ref().map_or(&[][..], |narrow| &narrow.lengths);
        let rest = mean.iter().zip(&narrow_mean).zip(lengths);
        let narrow_rest = padded(rest.map(|((&v, &high), &l)| ((v - f64::from(high)) * f64::from(l)) as f32));
        Self { mean: mean.to_vec(), narrow_mean, narrow_rest, factor }
    }
}

fn padded(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.collect();
    values.resize(values.len().next_multiple_of(MAX_LANES), 0.0);
    values
}

#[derive(Debug)]
pub(super) struct Factor {
    pub(super) wide: PackedFactor<f64>,
    /// `None` if the factor leaves the range of float32, or float32 would seldom suffice.
    pub(super) narrow: Option<Narrow>,
}

impl Factor {
    /// A `dim x dim` factor, row-major.
    pub(super) fn new(factor: &[f64], dim: usize, cancel: &Cancel) -> Result<Self> {
        cancel.check()?;
        Ok(Self { wide: PackedFactor::new(factor, dim), narrow: Narrow::new(factor, dim, cancel)? })
    }
}

/// A factor in float32, its rows scaled to length 1.
#[derive(Debug)]
pub(super) struct Narrow {
    pub(super) packed: PackedFactor<f32>,
    /// Length of each row of the factor, by which centred features are multiplied instead.
    pub(super) lengths: Vec<f32>,
    /// Greatest allowed ratio of `sum (y_k lengths_k)^2` to the result.
    pub(super) limit: f32,
}

impl Narrow {
    fn new(factor: &[f64], dim: usize, cancel: &Cancel) -> Result<Option<Self>> {
        let lengths = factor.chunks_exact(dim).map(|row| row.iter().map(|w| w * w).sum::<f64>().sqrt());
        let lengths: Vec<f64> = lengths.collect();
        let limit = Self::error_limit(dim);
        if !lengths.iter().all(|v| *v == 0.0 || NARROW_RANGE.contains(v))
            || typical_spread(factor, dim, &lengths, cancel)?.is_some_and(|spread| spread > f64::from(limit))
        {
            return Ok(None);
        }
        let lengths = padded(lengths.into_iter().map(|v| v as f32));
        let scaled = |(at, &w): (usize, &f64)| if w == 0.0 { 0.0 } else { w / f64::from(lengths[at / dim]) };
        let scaled: Vec<f64> = factor.iter().enumerate().map(scaled).collect();
        Ok(Some(Self { packed: PackedFactor::new(&scaled, dim), lengths, limit }))
    }

    /// The result is `|v|^2` with `v = W' y`; an error `e` in `v` changes it by at most `2 |e| |v|`. In each entry
    /// of `v` the roundings of y (3, scaled by the length of W's row) and W (1) are independent with variance
    /// u^2 / 3, u = 2^-24: `|e|^2` is about `4 u^2 / 3 sum_k y_k^2 |W_k|^2`, here taken at three deviations. The
    /// partial sums add up to dim times as much, but then over many entries whose errors cancel; a quarter of it
    /// covers what was seen on rows of any direction (2 to 200 features, condition numbers to 1e8: 6e-6 at most).
    fn error_limit(dim: usize) -> f32 {
        let unit = f64::from(f32::EPSILON) / 2.0;
        (NARROW_ERROR / (2.0 * unit)).powi(2) as f32 * 3.0 / (36.0 + 0.25 * dim as f32)
    }
}

/// The ratio that [`Narrow::limit`] is about for rows whose `W' y` is white; None where the factor is not upper
/// triangular with an inverse, so that it cannot be known cheaply.
fn typical_spread(factor: &[f64], dim: usize, lengths: &[f64], cancel: &Cancel) -> Result<Option<f64>> {
    let row = |k: usize| &factor[k * dim..][..dim];
    if !(0..dim).all(|k| row(k)[k] != 0.0 && row(k)[..k].iter().all(|&w| w == 0.0)) {
        return Ok(None);
    }
    // y = M' v with M the inverse of W: feature k has the variance of column k of M.
    let mut variances = vec![0.0; dim];
    for line in inverse(factor, dim, cancel)?.chunks_exact(dim) {
        variances.iter_mut().zip(line).for_each(|(variance, m)| *variance += m * m);
    }
    let spread: f64 =
        variances.iter().zip(lengths).map(|(variance, length)| variance * length * length).sum();
    Ok(Some(spread / dim as f64))
}
