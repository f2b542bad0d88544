//! Batched quadratic forms: rows against the Gaussians of all IDs, or each row against its own.

use super::form::{Factor, Form};
use super::tiles::{Target, TileJob, TileScratch};
use super::{Sample, not_finite};
use crate::par::{self, Cancel};
use crate::simd::SimdLevel;
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// Rows that one thread takes at a time.
const CHUNK: usize = 4096;
/// Rows of each form, on average, that are sorted together: enough to fill whole tiles.
const BLOCK_ROWS: usize = 256;
/// Fewer if there are many forms or features: the second-level cache must hold them and what is fetched meanwhile.
const BLOCK_BYTES: usize = 512 << 10;
/// Rows in one order are fetched this far ahead; of each form at least as many are sorted together.
const AHEAD: usize = 64;

/// What is returned of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// `|W' (x - mean)|^2`.
    Square,
    /// `|W' (x - mean)|`, with a whitening factor the Mahalanobis distance.
    Distance,
}

/// Several quadratic forms `|W' (x - mean)|^2`, ready for many rows. With a whitening factor this is the squared
/// Mahalanobis distance.
///
/// float64 rows are computed in float64; of random numbers and dense factors of up to 256 features, results are within
/// 1e-13 of their size. float32 rows are centred first, on a mean kept as the sum of two float32
/// numbers, and tried in float32; for each row an estimate of its rounding error (proportional to the root of
/// `sum_k |y_k|^2 |W_k|^2 / result`, with `y` the centred row and `W_k` the rows of the factor) decides whether that
/// result stands or the row is computed again in float64. Where a typical row of the form's own Gaussian would not
/// stand (with geometric eigenvalues: above condition numbers of about 3e4 at 64 features), float32 is not tried.
/// A result depends on its row alone, not on the batch or the threads, and is the same on every processor with
/// fused multiply-add; on others it differs by rounding.
#[derive(Debug)]
pub struct QuadraticForms {
    dim: usize,
    forms: Vec<Form>,
    factors: Vec<Factor>,
    level: SimdLevel,
}

impl QuadraticForms {
    /// Forms with means `(forms, dim)`, factors `(factors, dim, dim)`, both row-major, and for each form the index of
    /// its factor. Factors may be any square matrices; zeros above or below the diagonal save time.
    ///
    /// # Errors
    /// [`Error::Array`] if lengths disagree, an index is out of range or a number is not finite;
    /// [`Error::Interrupted`].
    pub fn new(dim: usize, means: &[f64], factors: &[f64], which: &[usize], cancel: &Cancel) -> Result<Self> {
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
        let factor = |factor| Factor::new(factor, dim, cancel);
        let factors = factors.chunks_exact(square).map(factor).collect::<Result<Vec<Factor>>>()?;
        let means = means.chunks_exact(dim).zip(which);
        let forms = means.map(|(mean, &factor)| Form::new(mean, &factors, factor)).collect();
        Ok(Self { dim, forms, factors, level: SimdLevel::best() })
    }

    /// The same forms, computed with vectors of another kind than the best.
    #[must_use]
    pub fn with_level(self, level: SimdLevel) -> Self {
        Self { level, ..self }
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

    /// Every row of `x` in every form, written to `out`, `(rows, forms)` row-major.
    ///
    /// # Errors
    /// [`Error::Array`] if `x` has no whole rows, `out` another size, or a number is not finite: `out` is then
    /// partly written.
    pub fn all_into<T: Sample>(
        &self,
        x: &[T],
        measure: Measure,
        out: &mut [f64],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<()> {
        let (rows, stride) = (super::rows_of(x, self.dim)?, self.forms.len());
        check_size(out, rows, stride)?;
        self.run(x, measure, stride, out, threads, cancel, |scratch, x, values| {
            scratch.order.clear();
            scratch.order.extend(0..(values.len() / stride) as u32);
            // float32 is tried form by form; float64 rows are laid out once for all of them.
            let together = if T::narrow(x).is_some() { 1 } else { stride };
            for (at, forms) in self.forms.chunks(together).enumerate() {
                let target = Target { values: &mut *values, stride, at };
                // Only the first form reads rows that are not yet in the cache.
                let ahead = if at == 0 { AHEAD } else { usize::MAX };
                self.rows(forms, x, &scratch.order, ahead, &mut scratch.rows, target);
            }
        })
    }

    /// Row `i` of `x` in form `index[i]` only, written to `out`, `(rows,)`.
    ///
    /// # Errors
    /// [`Error::Array`] if lengths disagree, an index is out of range or a number is not finite: `out` is then
    /// partly written.
    pub fn own_into<T: Sample>(
        &self,
        x: &[T],
        index: &[i64],
        measure: Measure,
        out: &mut [f64],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<()> {
        let (rows, count) = (super::rows_of(x, self.dim)?, self.forms.len());
        check_size(out, rows, 1)?;
        if rows != index.len() {
            let given = format!("{} entries", index.len());
            return Err(Error::array("index", given, format!("one for each of the {rows} rows of x")));
        }
        if let Some(row) = index.iter().position(|&form| form as u64 >= count as u64) {
            let given = format!("{} at row {row}", index[row]);
            return Err(Error::array("index", given, format!("numbers from 0 and below {count}")));
        }
        let start = |rest: &[T]| rows - rest.len() / self.dim;
        let block = BLOCK_BYTES / (self.dim * size_of::<T>());
        let block = block.clamp(AHEAD * count, BLOCK_ROWS * count);
        self.run(x, measure, 1, out, threads, cancel, |scratch, x, values| {
            for (at, values) in values.chunks_mut(block).enumerate() {
                let x = &x[at * block * self.dim..];
                scratch.sort(&index[start(x)..][..values.len()], count);
                let mut from = 0;
                for (form, &end) in self.forms.chunks(1).zip(&scratch.ends) {
                    let rows = &scratch.order[from..end as usize];
                    let ahead = if count == 1 { AHEAD } else { values.len() + from };
                    let target = Target { values: &mut *values, stride: 1, at: 0 };
                    self.rows(form, x, rows, ahead, &mut scratch.rows, target);
                    from = end as usize;
                }
            }
        })
    }

    /// Split the output into chunks, `width` results for a row, and fill them on all threads from the rows that begin
    /// where the chunk does.
    #[allow(clippy::too_many_arguments)] // the arguments of its two callers
    fn run<T: Sample>(
        &self,
        x: &[T],
        measure: Measure,
        width: usize,
        out: &mut [f64],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
        fill: impl Fn(&mut ThreadScratch, &[T], &mut [f64]) + Sync,
    ) -> Result<()> {
        let scratch = || ThreadScratch::new(self.level, self.dim);
        let chunks = out.chunks_mut(CHUNK * width).collect();
        let work = |scratch: &mut ThreadScratch, at, values: &mut [f64]| {
            let x = &x[at * CHUNK * self.dim..];
            fill(scratch, x, values);
            // Counted first, which is fast, and looked for only if there is one.
            if values.iter().filter(|v| !v.is_finite()).count() > 0 {
                let bad = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
                return Err(not_finite(x, self.dim, bad / width, at * CHUNK));
            }
            if measure == Measure::Distance {
                values.iter_mut().for_each(|v| *v = v.sqrt());
            }
            Ok(())
        };
        par::map(chunks, threads, cancel, scratch, work).map(|_| ())
    }

    /// Some rows by one form, or float64 rows by several; while row `i` of them is used, row `ahead + i` of `x` is fetched, if
    /// there is one.
    fn rows<T: Sample>(
        &self,
        forms: &[Form],
        x: &[T],
        rows: &[u32],
        ahead: usize,
        scratch: &mut TileScratch,
        target: Target<'_>,
    ) {
        self.level.run(TileJob { forms, factors: &self.factors, x, rows, ahead, scratch, target });
    }
}

/// What a thread needs for chunks of rows.
struct ThreadScratch {
    rows: TileScratch,
    /// Rows of the chunk, those of one form together.
    order: Vec<u32>,
    /// Where in the order each form ends.
    ends: Vec<u32>,
}

impl ThreadScratch {
    fn new(level: SimdLevel, dim: usize) -> Self {
        Self { rows: TileScratch::new(level, dim), order: Vec::new(), ends: Vec::new() }
    }

    /// Sort the rows of a chunk by their form, keeping the order of those that share one.
    fn sort(&mut self, index: &[i64], forms: usize) {
        self.order.clear();
        self.ends.clear();
        self.ends.resize(forms, 0);
        if forms == 1 {
            self.ends[0] = index.len() as u32;
            return self.order.extend(0..index.len() as u32);
        }
        for &form in index {
            self.ends[form as usize] += 1;
        }
        let mut start = 0;
        for end in &mut self.ends {
            (*end, start) = (start, start + *end);
        }
        self.order.resize(index.len(), 0);
        for (row, &form) in index.iter().enumerate() {
            let place = &mut self.ends[form as usize];
            self.order[*place as usize] = row as u32;
            *place += 1;
        }
    }
}

fn check_size(out: &[f64], rows: usize, width: usize) -> Result<()> {
    if out.len() == rows.saturating_mul(width) {
        return Ok(());
    }
    Err(Error::array("out", format!("{} places", out.len()), format!("{rows} rows of {width}")))
}

#[cfg(test)]
#[path = "quadratic_tests.rs"]
mod tests;
