//! Sums over the rows of each ID, centred on its own mean, in float64.

use super::{Sample, not_finite};
use crate::par::{self, Cancel};
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// Rows centred together before their products are summed: they stay in the first-level cache.
const CENTRED_ROWS: usize = 32;
/// Rows and columns of the part of the product that is kept in registers; the second is a multiple of the first.
const TILE: (usize, usize) = (4, 8);
/// A part of an ID, summed by one thread at a time, has this many rows at least (unless the ID has fewer).
const MIN_PART: usize = 4096;
/// Parts grow so that there are about this many, and their partial sums stay small beside the input.
const MAX_PARTS: usize = 64;

/// Sums over the rows of one ID, or of several.
#[derive(Debug)]
pub(super) struct Moments {
    pub(super) rows: usize,
    pub(super) mean: Vec<f64>,
    /// `sum y y'` over centred rows `y`, `(dim, dim)`, symmetric.
    pub(super) products: Vec<f64>,
    /// `sum |y|^4`.
    pub(super) fourth: f64,
}

impl Moments {
    pub(super) fn trace(&self) -> f64 {
        self.products.iter().step_by(self.mean.len() + 1).sum()
    }
}

/// The moments of each group of rows of `x`; no group may be empty.
pub(super) fn moments<T: Sample>(
    x: &[T],
    dim: usize,
    groups: &[Vec<usize>],
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Moments>> {
    // The parts, and the order in which their sums are added, do not depend on the number of threads.
    let part_rows = MIN_PART.max((x.len() / dim).div_ceil(MAX_PARTS));
    let mut parts: Vec<(usize, &[usize])> = Vec::new();
    for (id, rows) in groups.iter().enumerate() {
        parts.extend(rows.chunks(part_rows).map(|part| (id, part)));
    }
    let sums = par::map(parts.clone(), threads, cancel, || (), |(), _, (_, rows)| sum(x, dim, rows))?;
    let mut means = vec![vec![0.0; dim]; groups.len()];
    for (&(id, _), sum) in parts.iter().zip(&sums) {
        means[id].iter_mut().zip(sum).for_each(|(mean, v)| *mean += v / groups[id].len() as f64);
    }
    let scratch = || vec![0.0; CENTRED_ROWS * padded(dim)];
    let work = |centred: &mut Vec<f64>, _, (id, rows): (usize, &[usize])| {
        Ok(Sums::of(x, dim, rows, &means[id], centred))
    };
    let partial = par::map(parts.clone(), threads, cancel, scratch, work)?;
    let mut totals: Vec<Sums> = groups.iter().map(|_| Sums::new(dim)).collect();
    for (&(id, _), sums) in parts.iter().zip(&partial) {
        totals[id].add(sums);
    }
    let finish = |((total, mean), rows): ((Sums, Vec<f64>), &Vec<usize>)| total.finish(mean, rows.len());
    totals.into_iter().zip(means).zip(groups).map(finish).collect()
}

fn sum<T: Sample>(x: &[T], dim: usize, rows: &[usize]) -> Result<Vec<f64>> {
    let mut sum = vec![0.0; dim];
    for &row in rows {
        let values = &x[row * dim..][..dim];
        sum.iter_mut().zip(values).for_each(|(total, &v)| *total += v.into());
    }
    if sum.iter().all(|v| v.is_finite()) {
        return Ok(sum);
    }
    let bad = |row: &&usize| x[**row * dim..][..dim].iter().any(|&v| !v.into().is_finite());
    Err(not_finite(x, dim, *rows.iter().find(bad).unwrap_or(&rows[0])))
}

/// The dimension rounded up to whole tiles.
fn padded(dim: usize) -> usize {
    dim.next_multiple_of(TILE.1)
}

/// Partial sums, padded to whole tiles; of `products` only the tiles that touch the upper triangle are kept up.
struct Sums {
    products: Vec<f64>,
    /// `sum y`: what the mean was short of.
    rest: Vec<f64>,
    fourth: f64,
}

impl Sums {
    fn new(dim: usize) -> Self {
        let width = padded(dim);
        Self { products: vec![0.0; width * width], rest: vec![0.0; width], fourth: 0.0 }
    }

    fn of<T: Sample>(x: &[T], dim: usize, rows: &[usize], mean: &[f64], centred: &mut [f64]) -> Self {
        let (mut sums, width) = (Self::new(dim), padded(dim));
        for block in rows.chunks(CENTRED_ROWS) {
            for (y, &row) in centred.chunks_exact_mut(width).zip(block) {
                for ((y, &v), &mean) in y.iter_mut().zip(&x[row * dim..][..dim]).zip(mean) {
                    *y = v.into() - mean;
                }
                sums.rest.iter_mut().zip(&*y).for_each(|(rest, v)| *rest += v);
                sums.fourth += y.iter().map(|v| v * v).sum::<f64>().powi(2);
            }
            sums.add_products(&centred[..block.len() * width], width);
        }
        sums
    }

    fn add_products(&mut self, centred: &[f64], width: usize) {
        for i in (0..width).step_by(TILE.0) {
            for j in (i / TILE.1 * TILE.1..width).step_by(TILE.1) {
                let mut tile = [[0.0; TILE.1]; TILE.0];
                for y in centred.chunks_exact(width) {
                    let (left, right) = (&y[i..][..TILE.0], &y[j..][..TILE.1]);
                    for a in 0..TILE.0 {
                        for b in 0..TILE.1 {
                            tile[a][b] += left[a] * right[b];
                        }
                    }
                }
                for (a, line) in tile.iter().enumerate() {
                    let target = &mut self.products[(i + a) * width + j..][..TILE.1];
                    target.iter_mut().zip(line).for_each(|(total, v)| *total += v);
                }
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.products.iter_mut().zip(&other.products).for_each(|(total, v)| *total += v);
        self.rest.iter_mut().zip(&other.rest).for_each(|(total, v)| *total += v);
        self.fourth += other.fourth;
    }

    /// Correct mean and products by what the mean was short of, and clear features that vary by rounding only.
    fn finish(self, mut mean: Vec<f64>, rows: usize) -> Result<Moments> {
        let (dim, width, count) = (mean.len(), self.rest.len(), rows as f64);
        let product = |i: usize, j: usize| {
            let (i, j) = (i.min(j), i.max(j));
            self.products[i * width + j] - self.rest[i] * self.rest[j] / count
        };
        let varies: Vec<bool> =
            (0..dim).map(|i| product(i, i) > count * (4.0 * f64::EPSILON * mean[i]).powi(2)).collect();
        let entry = |at| {
            let (i, j) = (at / dim, at % dim);
            if varies[i] && varies[j] { product(i, j) } else { 0.0 }
        };
        let products: Vec<f64> = (0..dim * dim).map(entry).collect();
        if !(self.fourth.is_finite() && products.iter().all(|v| v.is_finite())) {
            let given = "numbers so large that sums of their fourth powers overflow float64";
            return Err(Error::array("x", given, "smaller numbers, such as the same in another unit"));
        }
        mean.iter_mut().zip(&self.rest).for_each(|(mean, rest)| *mean += rest / count);
        Ok(Moments { rows, mean, products, fourth: self.fourth })
    }
}
