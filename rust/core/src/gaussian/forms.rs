//! Batched quadratic forms: rows against the Gaussians of all IDs, or each row against its own.

use super::panels::{Panels, ROWS};
use super::{Sample, not_finite};
use crate::par::{self, Cancel};
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// Rows that one thread takes at a time.
const CHUNK: usize = 1024;
/// Relative error that float32 arithmetic may leave in a result, by the estimate of [`Narrow::error_limit`].
const NARROW_ERROR: f64 = 1e-5;
/// A float32 result below this is computed again: its terms may have been denormal.
const NARROW_LEAST: f32 = 1e-30;
/// Rows of a factor must have lengths in this range for float32, so that no product is denormal or infinite.
const NARROW_RANGE: std::ops::Range<f64> = 1e-15..1e15;

/// Several quadratic forms `|W' (x - mean)|^2`, ready for many rows. With a whitening factor this is the squared
/// Mahalanobis distance.
///
/// float64 rows are computed in float64. float32 rows are centred first, on a mean kept as the sum of two float32 numbers,
/// and tried in float32; for each row an estimate of its rounding error (proportional to the root of
/// `sum_k |y_k|^2 |W_k|^2 / result`, with `y` the centred row and `W_k` the rows of the factor) decides whether that
/// result stands or the row is computed again in float64. So ill-conditioned forms cost more, and are as exact.
/// A result depends on its row alone, not on the batch or the threads.
#[derive(Debug)]
pub struct QuadraticForms {
    dim: usize,
    forms: Vec<Form>,
    factors: Vec<Factor>,
}

#[derive(Debug)]
struct Form {
    mean: Vec<f64>,
    /// The mean as a sum of two float32 numbers.
    narrow_mean: Vec<[f32; 2]>,
    factor: usize,
}

#[derive(Debug)]
struct Factor {
    wide: Panels<f64>,
    /// None if the factor's range is not that of float32.
    narrow: Option<Narrow>,
}

#[derive(Debug)]
struct Narrow {
    panels: Panels<f32>,
    /// Length of each row of the factor.
    lengths: Vec<f32>,
    /// Greatest allowed ratio of `sum (y_k lengths_k)^2` to the result.
    limit: f32,
}

impl Narrow {
    fn new(factor: &[f64], dim: usize) -> Option<Self> {
        let lengths = factor.chunks_exact(dim).map(|row| row.iter().map(|w| w * w).sum::<f64>().sqrt());
        let lengths: Vec<f64> = lengths.collect();
        if !lengths.iter().all(|v| *v == 0.0 || NARROW_RANGE.contains(v)) {
            return None;
        }
        let lengths = lengths.into_iter().map(|v| v as f32).collect();
        Some(Self { panels: Panels::new(factor, dim), lengths, limit: Self::error_limit(dim) })
    }

    /// The results of a tile in float32, None where float64 must decide.
    fn tile<T: Sample>(
        &self,
        mean: &[[f32; 2]],
        rows: [&[T]; ROWS],
        centred: &mut [[f32; ROWS]],
    ) -> [Option<f64>; ROWS] {
        let mut spread = [0.0_f32; ROWS];
        for (k, (y, &[high, low])) in centred.iter_mut().zip(mean).enumerate() {
            *y = rows.map(|row| (row[k].narrow() - high) - low);
            for (spread, y) in spread.iter_mut().zip(y) {
                *spread += (*y * self.lengths[k]) * (*y * self.lengths[k]);
            }
        }
        let values = self.panels.squared_norms(centred);
        std::array::from_fn(|r| {
            let sound =
                values[r] >= NARROW_LEAST && values[r].is_finite() && spread[r] <= self.limit * values[r];
            sound.then(|| f64::from(values[r]))
        })
    }

    /// The result is `|v|^2` with `v = W' y`; an error `e` in `v` changes it by at most `2 |e| |v|`. In each entry
    /// of `v` the roundings of y (2), W (1) and each product (1) are independent with variance u^2 / 3, u = 2^-24:
    /// `|e|^2` is about `4 u^2 / 3 sum_k y_k^2 |W_k|^2`, here taken at three deviations. The partial sums add up to
    /// dim times as much, but then over many entries whose errors cancel; a quarter of it covers what was seen on
    /// rows of any direction (2 to 200 features, condition numbers to 1e8: 6e-6 at most).
    fn error_limit(dim: usize) -> f32 {
        let unit = f64::from(f32::EPSILON) / 2.0;
        (NARROW_ERROR / (2.0 * unit)).powi(2) as f32 * 3.0 / (36.0 + 0.25 * dim as f32)
    }
}

/// Centred rows of one tile; `[k][r]` is feature `k` of row `r`.
struct Scratch {
    wide: Vec<[f64; ROWS]>,
    narrow: Vec<[f32; ROWS]>,
}

impl QuadraticForms {
    /// Forms with means `(forms, dim)`, factors `(factors, dim, dim)`, both row-major, and for each form the index of
    /// its factor. Factors may be any square matrices; zeros above or below the diagonal save time.
    ///
    /// # Errors
    /// [`Error::Array`] if lengths disagree, an index is out of range or a number is not finite.
    pub fn new(dim: usize, means: &[f64], factors: &[f64], which: &[usize]) -> Result<Self> {
        let (forms, square) = (which.len(), dim.saturating_mul(dim));
        if dim == 0 || forms == 0 || means.len() != forms * dim {
            let given = format!("{} numbers for {forms} forms of dimension {dim}", means.len());
            return Err(Error::array("means", given, "forms x dimension numbers, neither of them 0"));
        }
        if !factors.len().is_multiple_of(square) {
            let given = format!("{} numbers", factors.len());
            return Err(Error::array("factors", given, format!("matrices of {dim} x {dim}")));
        }
        let count = factors.len() / square;
        if let Some(&factor) = which.iter().find(|&&factor| factor >= count) {
            return Err(Error::array("which", format!("factor {factor}"), format!("numbers below {count}")));
        }
        for (name, values) in [("means", means), ("factors", factors)] {
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(Error::array(
                    name,
                    format!("{} at position {at}", values[at]),
                    "finite numbers only",
                ));
            }
        }
        let form = |(mean, &factor): (&[f64], &usize)| {
            let split = |&v: &f64| [v as f32, (v - f64::from(v as f32)) as f32];
            Form { mean: mean.to_vec(), narrow_mean: mean.iter().map(split).collect(), factor }
        };
        let factor = |w: &[f64]| Factor { wide: Panels::new(w, dim), narrow: Narrow::new(w, dim) };
        Ok(Self {
            dim,
            forms: means.chunks_exact(dim).zip(which).map(form).collect(),
            factors: factors.chunks_exact(square).map(factor).collect(),
        })
    }

    /// Number of features of a row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of forms.
    #[must_use]
    pub fn count(&self) -> usize {
        self.forms.len()
    }

    /// Every row of `x` in every form: `(rows, forms)`, row-major.
    ///
    /// # Errors
    /// [`Error::Array`] if `x` has no whole rows or a number is not finite.
    pub fn all<T: Sample>(
        &self,
        x: &[T],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        let (rows, count) = (super::rows_of(x, self.dim)?, self.forms.len());
        self.run(x, rows, count, threads, cancel, |scratch, out, start| {
            let end = start + out.len() / count;
            for (at, form) in self.forms.iter().enumerate() {
                let mut rows = start..end;
                self.rows(form, x, &mut rows, scratch, |row, value| out[(row - start) * count + at] = value)?;
            }
            Ok(())
        })
    }

    /// Row `i` of `x` in form `index[i]` only: `(rows,)`.
    ///
    /// # Errors
    /// [`Error::Array`] if lengths disagree, an index is out of range or a number is not finite.
    pub fn own<T: Sample>(
        &self,
        x: &[T],
        index: &[usize],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        let (rows, count) = (super::rows_of(x, self.dim)?, self.forms.len());
        if rows != index.len() {
            let given = format!("{} entries", index.len());
            return Err(Error::array("index", given, format!("one for each of the {rows} rows of x")));
        }
        if let Some(row) = index.iter().position(|&form| form >= count) {
            let given = format!("{} at row {row}", index[row]);
            return Err(Error::array("index", given, format!("numbers below {count}")));
        }
        self.run(x, rows, 1, threads, cancel, |scratch, out, start| {
            // Rows of one form together, so that each tile has one factor.
            let mut order: Vec<usize> = (start..start + out.len()).collect();
            order.sort_by_key(|&row| index[row]);
            for rows in order.chunk_by(|&a, &b| index[a] == index[b]) {
                let form = &self.forms[index[rows[0]]];
                let mut rows = rows.iter().copied();
                self.rows(form, x, &mut rows, scratch, |row, value| out[row - start] = value)?;
            }
            Ok(())
        })
    }

    /// Split the output into chunks of rows, `width` numbers for a row, and fill them on all threads.
    fn run<T: Sample>(
        &self,
        x: &[T],
        rows: usize,
        width: usize,
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
        fill: impl Fn(&mut Scratch, &mut [f64], usize) -> std::result::Result<(), usize> + Sync,
    ) -> Result<Vec<f64>> {
        let mut out = Vec::new();
        let size = rows.saturating_mul(width);
        out.try_reserve_exact(size).map_err(|_| {
            let given = format!("{rows} rows in {width} forms, too many for the memory");
            Error::array("x", given, "fewer rows in one call")
        })?;
        out.resize(size, 0.0);
        let scratch = || Scratch { wide: vec![[0.0; ROWS]; self.dim], narrow: vec![[0.0; ROWS]; self.dim] };
        let chunks = out.chunks_mut(CHUNK * width).collect();
        par::map(chunks, threads, cancel, scratch, |scratch, at, out: &mut [f64]| {
            fill(scratch, out, at * CHUNK).map_err(|row| not_finite(x, self.dim, row))
        })?;
        Ok(out)
    }

    /// One form of some rows, tile by tile; the error is the row whose result is not finite.
    fn rows<T: Sample>(
        &self,
        form: &Form,
        x: &[T],
        rows: &mut impl Iterator<Item = usize>,
        scratch: &mut Scratch,
        mut put: impl FnMut(usize, f64),
    ) -> std::result::Result<(), usize> {
        let factor = &self.factors[form.factor];
        while let Some(first) = rows.next() {
            // A last tile that is not full repeats its first row.
            let (mut tile, mut used) = ([first; ROWS], 1);
            for (slot, row) in tile[1..].iter_mut().zip(&mut *rows) {
                *slot = row;
                used += 1;
            }
            for (&row, value) in tile[..used].iter().zip(self.tile(form, factor, x, tile, scratch)) {
                if !value.is_finite() {
                    return Err(row);
                }
                put(row, value);
            }
        }
        Ok(())
    }

    fn tile<T: Sample>(
        &self,
        form: &Form,
        factor: &Factor,
        x: &[T],
        rows: [usize; ROWS],
        scratch: &mut Scratch,
    ) -> [f64; ROWS] {
        let rows = rows.map(|row| &x[row * self.dim..][..self.dim]);
        let narrow = factor.narrow.as_ref().filter(|_| T::NARROW);
        let tried = narrow.map(|narrow| narrow.tile(&form.narrow_mean, rows, &mut scratch.narrow));
        let tried = tried.unwrap_or([None; ROWS]);
        if let [Some(a), Some(b), Some(c), Some(d)] = tried {
            return [a, b, c, d];
        }
        // Zero unless a number is not finite: a factor with a row of zeros must not hide that.
        let mut poison = [0.0; ROWS];
        for (k, y) in scratch.wide.iter_mut().enumerate() {
            *y = rows.map(|row| row[k].into() - form.mean[k]);
            poison.iter_mut().zip(y).for_each(|(poison, y)| *poison += *y * 0.0);
        }
        let wide = factor.wide.squared_norms(&scratch.wide);
        std::array::from_fn(|r| tried[r].unwrap_or(wide[r] + poison[r]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaussian::whitening;
    use crate::rng::Stream;
    use proptest::prelude::*;

    fn normals(stream: &mut Stream, count: usize) -> Vec<f64> {
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
        let mut stream = Stream::new(&[seed]);
        let spread = |k: usize| condition.powf(-0.5 * k as f64 / (dim as f64 - 1.0).max(1.0));
        // One Householder reflection mixes the features and keeps the eigenvalues.
        let v = normals(&mut stream, dim);
        let length = v.iter().map(|v| v * v).sum::<f64>();
        let mix = |y: &[f64]| -> Vec<f64> {
            let along = 2.0 * y.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>() / length;
            y.iter().zip(&v).map(|(a, b)| a - along * b).collect()
        };
        let mean: Vec<f64> = normals(&mut stream, dim).iter().map(|m| 30.0 * m).collect();
        let mut x = Vec::new();
        for _ in 0..rows {
            let y: Vec<f64> =
                normals(&mut stream, dim).iter().enumerate().map(|(k, y)| y * spread(k)).collect();
            x.extend(mix(&y).iter().zip(&mean).map(|(y, m)| (y + m) as f32));
        }
        let mut covariance = vec![0.0; dim * dim];
        for k in 0..dim {
            let mut unit = vec![0.0; dim];
            unit[k] = spread(k);
            let column = mix(&unit);
            (0..dim * dim).for_each(|i| covariance[i] += column[i / dim] * column[i % dim]);
        }
        (x, mean, whitening(&covariance, dim).unwrap().factor)
    }

    fn one_thread() -> Option<NonZeroUsize> {
        NonZeroUsize::new(1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn float32_rows_are_exact_to_1e_5(
            dim in 1_usize..80, log_condition in 0.0_f64..6.0, seed in any::<u64>()
        ) {
            let (x, mean, factor) = gaussian(dim, 37, 10_f64.powf(log_condition), seed);
            let forms = QuadraticForms::new(dim, &mean, &factor, &[0]).unwrap();
            let got = forms.all(&x, one_thread(), &Cancel::default()).unwrap();
            for (row, got) in x.chunks_exact(dim).zip(got) {
                let expected = reference(row, &mean, &factor);
                prop_assert!((got - expected).abs() <= 1e-5 * expected, "{} {}", got, expected);
            }
        }

        #[test]
        fn float64_rows_and_dense_factors(dim in 1_usize..40, seed in any::<u64>(), forms in 1_usize..4) {
            let mut stream = Stream::new(&[seed]);
            let (x, means) = (normals(&mut stream, 11 * dim), normals(&mut stream, forms * dim));
            let factors = normals(&mut stream, dim * dim * 2);
            let which: Vec<usize> = (0..forms).map(|form| form % 2).collect();
            let plan = QuadraticForms::new(dim, &means, &factors, &which).unwrap();
            let all = plan.all(&x, one_thread(), &Cancel::default()).unwrap();
            for (at, got) in all.iter().enumerate() {
                let form = at % forms;
                let factor = &factors[which[form] * dim * dim..][..dim * dim];
                let expected = reference(&x[at / forms * dim..][..dim], &means[form * dim..][..dim], factor);
                prop_assert!((got - expected).abs() <= 1e-11 * expected, "{} {}", got, expected);
            }
        }

        #[test]
        fn a_row_has_one_result_in_any_batch(
            rows in 1_usize..30, copies in 1_usize..120, seed in any::<u64>(), log_condition in 0.0_f64..7.0
        ) {
            let dim = 17;
            let (x, mean, factor) = gaussian(dim, rows, 10_f64.powf(log_condition), seed);
            let means: Vec<f64> = mean.iter().copied().chain(mean.iter().map(|m| m + 0.5)).collect();
            let plan = QuadraticForms::new(dim, &means, &factor, &[0, 0]).unwrap();
            let batch = x.repeat(copies);
            let all = plan.all(&batch, NonZeroUsize::new(3), &Cancel::default()).unwrap();
            let mut stream = Stream::new(&[seed, 1]);
            let index: Vec<usize> = (0..rows * copies).map(|_| stream.below(2) as usize).collect();
            let own = plan.own(&batch, &index, NonZeroUsize::new(2), &Cancel::default()).unwrap();
            for (at, own) in own.into_iter().enumerate() {
                prop_assert_eq!(own.to_bits(), all[at * 2 + index[at]].to_bits());
                let row = &batch[at * dim..][..dim];
                let alone = plan.all(row, one_thread(), &Cancel::default()).unwrap();
                prop_assert_eq!(own.to_bits(), alone[index[at]].to_bits());
            }
        }
    }

    #[test]
    fn extremes_of_float32_keep_their_digits() {
        let plan = |scale: f64| QuadraticForms::new(2, &[0.0, 0.0], &[scale, 0.0, 0.0, scale], &[0]).unwrap();
        for (x, scale) in
            [(3e-40_f32, 1.0), (3e38, 1.0), (1e-20, 1e20), (1e30, 1e-40), (0.0, 1.0), (1e-30, 1.0)]
        {
            let got = plan(scale).all(&[x, x], one_thread(), &Cancel::default()).unwrap()[0];
            let expected = 2.0 * (f64::from(x) * scale).powi(2);
            assert!((got - expected).abs() <= 1e-5 * expected, "{x} {scale}: {got} {expected}");
        }
    }

    #[test]
    fn bad_input_is_named() {
        let plan = QuadraticForms::new(2, &[0.0, 0.0], &[1.0, 0.0, 0.0, 0.0], &[0]).unwrap();
        let cancel = Cancel::default();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = plan.all(&[0.0, 1.0, 1.0, bad], None, &cancel).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x: row 1 holds {bad} in column 1")), "{error}");
        }
        let large = plan.all(&[1e200, 0.0], None, &cancel).unwrap_err().to_string();
        assert!(large.contains("row 0 is so large"), "{large}");
        assert!(plan.all(&[1.0_f32; 3], None, &cancel).is_err());
        assert!(plan.own(&[1.0_f32; 2], &[1], None, &cancel).is_err());
        assert!(plan.own(&[1.0_f32; 2], &[0, 0], None, &cancel).is_err());
        assert_eq!(plan.all(&[0.0_f32; 0], None, &cancel).unwrap(), [0.0; 0]);
        let new = |dim, means: &[f64], factors: &[f64], which: &[usize]| {
            QuadraticForms::new(dim, means, factors, which).unwrap_err().to_string()
        };
        assert!(new(0, &[], &[], &[]).contains("means"));
        assert!(new(1, &[0.0], &[], &[0]).contains("numbers below 0"));
        assert!(new(2, &[0.0; 2], &[1.0; 3], &[0]).contains("2 x 2"));
        assert!(new(1, &[0.0], &[f64::NAN], &[0]).contains("factors: NaN"));
        assert!(new(1, &[f64::INFINITY], &[1.0], &[0]).contains("means: inf"));
    }
}
