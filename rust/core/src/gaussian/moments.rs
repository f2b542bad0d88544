//! Sums over the rows of each ID, centred on its own mean, in float64.

use super::{Sample, not_finite};
use crate::par::{self, Cancel};
use crate::simd::{Aligned, Kernel, Lanes, SimdLevel, Vector, numbers, numbers_mut, vectors};
use crate::{Error, Result};
use std::array::from_fn;
use std::num::NonZeroUsize;

/// Rows centred together before their products are summed: they stay in the first-level cache.
const CENTRED_ROWS: usize = 64;
/// A part of an ID, summed by one thread at a time, has this many rows at least (unless the ID has fewer).
const MIN_PART: usize = 4096;
/// Parts grow so that there are about this many.
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
    pub(super) fn new(dim: usize) -> Self {
        Self { rows: 0, mean: vec![0.0; dim], products: vec![0.0; dim * dim], fourth: 0.0 }
    }

    pub(super) fn trace(&self) -> f64 {
        self.products.iter().step_by(self.mean.len() + 1).sum()
    }
}

/// Give `take` the moments of each group of rows of `x`, one after another in their order; no group may be empty.
///
/// Of the products each thread holds one matrix, and the group that is added up two, however many groups there are.
pub(super) fn moments<T: Sample>(
    x: &[T],
    dim: usize,
    groups: &[Vec<usize>],
    level: SimdLevel,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
    mut take: impl FnMut(&Moments) + Send,
) -> Result<()> {
    // The parts, and the order in which their sums are added, do not depend on the number of threads.
    let part_rows = MIN_PART.max((x.len() / dim).div_ceil(MAX_PARTS));
    let mut parts: Vec<Part> = Vec::new();
    for (id, group) in groups.iter().enumerate() {
        parts.extend(group.chunks(part_rows).map(|rows| Part { id, rows, last: false }));
        parts.last_mut().expect("no group is empty").last = true;
    }
    let mut means = vec![vec![0.0; dim]; groups.len()];
    let sum = |sum: &mut Vec<f64>, _, part: &Part| {
        *sum = level.run(Sum { x, dim, rows: part.rows })?;
        Ok(())
    };
    let add = |sum: &mut Vec<f64>, at: usize| {
        let (id, rows) = (parts[at].id, groups[parts[at].id].len() as f64);
        means[id].iter_mut().zip(sum).for_each(|(mean, v)| *mean += *v / rows);
        Ok(())
    };
    par::in_order(parts.iter().collect(), threads, cancel, Vec::new, sum, add)?;

    let width = padded(dim, level);
    let scratch = || {
        let centred = Aligned::zeros(level, CENTRED_ROWS * width / (level.lanes() / 2));
        (centred, Sums::new(width))
    };
    let products = |(centred, sums): &mut (Vec<Aligned>, Sums), _, part: &Part| {
        sums.clear();
        level.run(Products { x, rows: part.rows, mean: &means[part.id], centred, sums, cancel })
    };
    let mut total = Sums::new(width);
    let mut moments = Moments::new(dim);
    let add = |(_, sums): &mut (Vec<Aligned>, Sums), at: usize| {
        let Part { id, rows, last } = parts[at];
        let whole = rows.len() == groups[id].len(); // then its sums are those of the group
        if !whole {
            total.add(sums);
        }
        if last {
            moments.rows = groups[id].len();
            moments.mean.copy_from_slice(&means[id]);
            if whole { &*sums } else { &total }.finish(&mut moments)?;
            take(&moments);
        }
        if last && !whole {
            total.clear();
        }
        Ok(())
    };
    par::in_order(parts.iter().collect(), threads, cancel, scratch, products, add)
}

/// Some rows of one group.
#[derive(Clone, Copy)]
struct Part<'a> {
    id: usize,
    rows: &'a [usize],
    /// Whether no other part of the group follows.
    last: bool,
}

/// The dimension rounded up to whole tiles of the product.
fn padded(dim: usize, level: SimdLevel) -> usize {
    dim.next_multiple_of(level.lanes())
}

/// The sum of some rows.
struct Sum<'a, T> {
    x: &'a [T],
    dim: usize,
    rows: &'a [usize],
}

impl<T: Sample> Kernel for Sum<'_, T> {
    type Output = Result<Vec<f64>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<Vec<f64>> {
        let Self { x, dim, rows } = self;
        let mut sum = vec![0.0; dim];
        add_rows(&mut sum, rows.len(), |at| &x[rows[at] * dim..][..dim]);
        if sum.iter().all(|v| v.is_finite()) {
            return Ok(sum);
        }
        let bad = |row: &&usize| x[**row * dim..][..dim].iter().any(|&v| !v.into().is_finite());
        Err(not_finite(x, dim, *rows.iter().find(bad).unwrap_or(&rows[0]), 0))
    }
}

/// Add `count` rows to a sum, which is read and written once for every four of them.
#[inline(always)]
fn add_rows<'a, T: Sample + 'a>(sum: &mut [f64], count: usize, row: impl Fn(usize) -> &'a [T]) {
    let width = sum.len();
    for at in (3..count).step_by(4) {
        let [a, b, c, d] = [at - 3, at - 2, at - 1, at].map(|at| &row(at)[..width]);
        for k in 0..width {
            sum[k] += (a[k].into() + b[k].into()) + (c[k].into() + d[k].into());
        }
    }
    for at in count / 4 * 4..count {
        sum.iter_mut().zip(row(at)).for_each(|(total, &v)| *total += v.into());
    }
}

/// Partial sums, padded to whole tiles; of `products` only the tiles that touch the upper triangle are kept up.
struct Sums {
    products: Vec<f64>,
    /// `sum y`: what the mean was short of.
    rest: Vec<f64>,
    fourth: f64,
}

/// The sums over some rows, centred on a mean.
struct Products<'a, T> {
    x: &'a [T],
    rows: &'a [usize],
    mean: &'a [f64],
    centred: &'a mut [Aligned],
    sums: &'a mut Sums,
    cancel: &'a Cancel,
}

impl<T: Sample> Kernel for Products<'_, T> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<()> {
        let Self { sums, mean, .. } = self;
        let (dim, width) = (mean.len(), sums.rest.len());
        let across = width / V::Wide::LANES;
        let centred = vectors::<V::Wide>(self.centred);
        for block in self.rows.chunks(CENTRED_ROWS) {
            self.cancel.check()?;
            for (y, &row) in numbers_mut(centred).chunks_exact_mut(width).zip(block) {
                for ((y, &v), &mean) in y.iter_mut().zip(&self.x[row * dim..][..dim]).zip(mean) {
                    *y = v.into() - mean;
                }
            }
            add_rows(&mut sums.rest, block.len(), |at| &numbers(centred)[at * width..][..width]);
            let centred = &centred[..block.len() * across];
            for y in centred.chunks_exact(across) {
                sums.fourth += squared_length(y).powi(2);
            }
            if V::Wide::LANES == 8 {
                sums.add_products::<V::Wide, 8>(centred, across);
            } else {
                sums.add_products::<V::Wide, 4>(centred, across);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn squared_length<L: Lanes<Scalar = f64>>(y: &[L]) -> f64 {
    let squares = y.iter().fold(L::splat(0.0), |sum, &y| y.mul_add(y, sum));
    let mut parts = [0.0; 8];
    squares.store(&mut parts);
    (0..4).map(|i| parts[i] + parts[i + 4]).sum()
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { products: vec![0.0; width * width], rest: vec![0.0; width], fourth: 0.0 }
    }

    fn clear(&mut self) {
        self.products.fill(0.0);
        self.rest.fill(0.0);
        self.fourth = 0.0;
    }

    /// Add the products of some rows, `(rows, across)` vectors, in tiles of `COUNT` features, the lanes of a vector,
    /// by two vectors: as many sums as the registers of a level hold.
    #[inline(always)]
    fn add_products<L: Lanes<Scalar = f64>, const COUNT: usize>(&mut self, centred: &[L], across: usize) {
        for j in (0..across).step_by(2) {
            for i in 0..=j {
                self.add_tile::<L, COUNT, 2>(centred, across, i, j);
            }
            // Its left half would lie below the diagonal.
            self.add_tile::<L, COUNT, 1>(centred, across, j + 1, j + 1);
        }
    }

    /// Add the products of the features in vector `i` with those in the vectors from `j` on.
    #[inline(always)]
    fn add_tile<L: Lanes<Scalar = f64>, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        centred: &[L],
        across: usize,
        i: usize,
        j: usize,
    ) {
        let mut tile = [[L::splat(0.0); VECTORS]; COUNT];
        for y in centred.chunks_exact(across) {
            let right: [L; VECTORS] = from_fn(|v| y[j + v]);
            let left = &numbers(y)[i * COUNT..][..COUNT];
            for a in 0..COUNT {
                let left = L::splat(left[a]);
                for v in 0..VECTORS {
                    tile[a][v] = left.mul_add(right[v], tile[a][v]);
                }
            }
        }
        // By value: a reference to the tile would keep it in memory instead of in registers.
        for (a, line) in tile.into_iter().enumerate() {
            let target =
                &mut self.products[(i * COUNT + a) * across * COUNT + j * COUNT..][..VECTORS * COUNT];
            for (target, sum) in target.chunks_exact_mut(COUNT).zip(line) {
                (L::load(target) + sum).store(target);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.products.iter_mut().zip(&other.products).for_each(|(total, v)| *total += v);
        self.rest.iter_mut().zip(&other.rest).for_each(|(total, v)| *total += v);
        self.fourth += other.fourth;
    }

    /// Mean and products from the mean that rows were centred on, corrected by what it was short of; features that
    /// vary by rounding only are cleared.
    fn finish(&self, moments: &mut Moments) -> Result<()> {
        let Moments { rows, mean, products, fourth } = moments;
        let (dim, width, count) = (mean.len(), self.rest.len(), *rows as f64);
        let product = |i: usize, j: usize| self.products[i * width + j] - self.rest[i] * self.rest[j] / count;
        let varies: Vec<bool> =
            (0..dim).map(|i| product(i, i) > count * (4.0 * f64::EPSILON * mean[i]).powi(2)).collect();
        for i in 0..dim {
            for j in i..dim {
                products[i * dim + j] = if varies[i] && varies[j] { product(i, j) } else { 0.0 };
            }
        }
        mirror(products, dim);
        *fourth = self.fourth;
        if !(fourth.is_finite() && products.iter().all(|v| v.is_finite())) {
            let given = "numbers so large that sums of their fourth powers overflow float64";
            return Err(Error::array("x", given, "smaller numbers, such as the same in another unit"));
        }
        mean.iter_mut().zip(&self.rest).for_each(|(mean, rest)| *mean += rest / count);
        Ok(())
    }
}

/// Copy the upper triangle to the lower one, in squares that the nearest cache holds.
fn mirror(matrix: &mut [f64], dim: usize) {
    const SQUARE: usize = 16;
    for rows in (0..dim).step_by(SQUARE) {
        for columns in (0..=rows).step_by(SQUARE) {
            for i in rows..dim.min(rows + SQUARE) {
                for j in columns..i.min(columns + SQUARE) {
                    matrix[i * dim + j] = matrix[j * dim + i];
                }
            }
        }
    }
}
