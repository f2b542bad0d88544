//! Transforms of several signals side by side, one for each lane.
//!
//! The complex one is Stockham's: no bit reversal, every pass reads one buffer and writes the other; radix 4, and 8 or
//! 4 without rotation in the last pass. The inverse is the conjugate of the transform of the conjugate, not normalised.
//!
//! The real one of `n` samples is a complex one of `n / 2` (even samples the real part, odd ones the imaginary) and a
//! last step that splits the two.

use crate::simd::Vector;
use std::f32::consts::FRAC_1_SQRT_2;
use std::f64::consts::TAU;

/// One complex number for each lane.
pub(crate) type Complex<V> = [V; 2];

/// One radix-4 pass over blocks `stride` numbers apart.
#[derive(Clone, Debug)]
struct Pass {
    stride: usize,
    /// For each `p`: `w^p`, `w^2p` and `w^3p`, real and imaginary.
    rotations: Vec<[[f32; 2]; 3]>,
}

/// The plan of a complex transform.
#[derive(Clone, Debug)]
pub(crate) struct Fft {
    length: usize,
    passes: Vec<Pass>,
}

/// `e^(-2 pi i numerator / denominator)`, real and imaginary.
fn unit(numerator: usize, denominator: usize) -> [f32; 2] {
    let angle = -TAU * numerator as f64 / denominator as f64;
    [angle.cos() as f32, angle.sin() as f32]
}

impl Fft {
    /// A plan for `length` complex numbers, a power of two from 8.
    pub(crate) fn new(length: usize) -> Self {
        let mut passes = Vec::new();
        let (mut rest, mut stride) = (length, 1);
        while rest > 8 {
            let rotation = |p: usize| [1, 2, 3].map(|power| unit(p * power, rest));
            passes.push(Pass { stride, rotations: (0..rest / 4).map(rotation).collect() });
            (rest, stride) = (rest / 4, stride * 4);
        }
        Self { length, passes }
    }

    /// Transform the first numbers of the first buffer, real and imaginary parts in turn. The result is at the start of
    /// the first of the two buffers that come back; what lies behind it is left alone.
    #[inline(always)]
    pub(crate) fn transform<'a, V: Vector>(&self, buffers: [&'a mut [V]; 2]) -> [&'a mut [V]; 2] {
        let [mut from, mut to] = buffers;
        let size = 2 * self.length;
        for pass in &self.passes {
            radix4(pass, &from[..size], &mut to[..size]);
            std::mem::swap(&mut from, &mut to);
        }
        last(&from[..size], &mut to[..size]);
        [to, from]
    }
}

/// What is kept of each frequency of a real signal.
pub(crate) trait Kept {
    /// What that is.
    type Of<V>;
    /// From the real and imaginary part.
    fn of<V: Vector>(bin: Complex<V>) -> Self::Of<V>;
}

/// Both parts.
pub(crate) struct Parts;

impl Kept for Parts {
    type Of<V> = Complex<V>;

    #[inline(always)]
    fn of<V: Vector>(bin: Complex<V>) -> Complex<V> {
        bin
    }
}

/// The squared magnitude.
pub(crate) struct Power;

impl Kept for Power {
    type Of<V> = V;

    #[inline(always)]
    fn of<V: Vector>([re, im]: Complex<V>) -> V {
        re.mul_add(re, im * im)
    }
}

/// The plan of a transform of real signals.
#[derive(Clone, Debug)]
pub(crate) struct RealFft {
    half: Fft,
    /// `e^(-2 pi i k / length)` for `k` in `1..length / 4`.
    rotations: Vec<[f32; 2]>,
}

impl RealFft {
    /// A plan for `length` samples, a power of two from 16.
    pub(crate) fn new(length: usize) -> Self {
        Self { half: Fft::new(length / 2), rotations: (1..length / 4).map(|k| unit(k, length)).collect() }
    }

    /// Number of samples.
    pub(crate) fn length(&self) -> usize {
        2 * self.half.length
    }

    /// Number of frequencies.
    pub(crate) fn bins(&self) -> usize {
        self.half.length + 1
    }

    /// Transform the packed samples in the first buffer; [`RealFft::split`] does the rest. The result is in the first of
    /// the two buffers that come back.
    #[inline(always)]
    pub(crate) fn transform<'a, V: Vector>(&self, buffers: [&'a mut [V]; 2]) -> [&'a mut [V]; 2] {
        self.half.transform(buffers)
    }

    /// From the spectrum `z` of packed samples, halved, to that of the real ones.
    ///
    /// With `e = z[k] + conj z[h-k]` and `d = (z[k] - conj z[h-k]) / i`, `x[k] = e + w^k d` and
    /// `conj x[h-k] = e - w^k d` (each halved, as the samples are).
    #[inline(always)]
    pub(crate) fn split<V: Vector, K: Kept>(&self, packed: &[V], spectrum: &mut [K::Of<V>]) {
        let half = self.half.length;
        let z = &packed.as_chunks::<2>().0[..half];
        let x = &mut spectrum[..=half];
        let (zero, two) = (V::splat(0.0), V::splat(2.0));
        x[0] = K::of([(z[0][0] + z[0][1]) * two, zero]);
        x[half] = K::of([(z[0][0] - z[0][1]) * two, zero]);
        x[half / 2] = K::of([z[half / 2][0] * two, zero - z[half / 2][1] * two]);
        let (low, high) = x.split_at_mut(half / 2 + 1);
        let outputs = low[1..half / 2].iter_mut().zip(high[..half / 2 - 1].iter_mut().rev());
        let inputs = z[1..half / 2].iter().zip(z[half / 2 + 1..].iter().rev());
        for (((low, high), (u, v)), &[c, s]) in outputs.zip(inputs).zip(&self.rotations) {
            let (c, s) = (V::splat(c), V::splat(s));
            let (er, ei, dr, di) = (u[0] + v[0], u[1] - v[1], u[1] + v[1], v[0] - u[0]);
            let (pr, pi) = (dr.mul_sub(c, di * s), dr.mul_add(s, di * c));
            *low = K::of([er + pr, ei + pi]);
            *high = K::of([er - pr, pi - ei]);
        }
    }

    /// From the spectrum `x` of real samples to the conjugate of the packed one: its transform is the packed samples,
    /// the imaginary parts negative, times the length.
    ///
    /// With `e = conj x[k] + x[h-k]` and `d = conj x[k] - x[h-k]` it is `e - i w^k d`.
    #[inline(always)]
    pub(crate) fn join<V: Vector>(&self, spectrum: &[Complex<V>], packed: &mut [V]) {
        let half = self.half.length;
        let x = &spectrum[..=half];
        let z = &mut packed.as_chunks_mut::<2>().0[..half];
        let (zero, two) = (V::splat(0.0), V::splat(2.0));
        // The first and the last bin of a real signal are real; a rotation may have changed that.
        z[0] = [x[0][0] + x[half][0], x[half][0] - x[0][0]];
        z[half / 2] = [x[half / 2][0] * two, x[half / 2][1] * two];
        let (low, high) = z.split_at_mut(half / 2);
        let outputs = low[1..].iter_mut().zip(high[1..].iter_mut().rev());
        let inputs = x[1..half / 2].iter().zip(x[half / 2 + 1..half].iter().rev());
        for (((low, high), (u, v)), &[c, s]) in outputs.zip(inputs).zip(&self.rotations) {
            let (c, s) = (V::splat(c), V::splat(s));
            let (er, ei, dr, di) = (u[0] + v[0], v[1] - u[1], u[0] - v[0], zero - (u[1] + v[1]));
            let (pr, pi) = (dr.mul_sub(c, di * s), dr.mul_add(s, di * c));
            *low = [er + pi, ei - pr];
            *high = [er - pi, zero - (ei + pr)];
        }
    }
}

#[inline(always)]
fn plus<V: Vector>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] + b[0], a[1] + b[1]]
}

#[inline(always)]
fn minus<V: Vector>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] - b[0], a[1] - b[1]]
}

/// `a - i b`
#[inline(always)]
fn minus_i<V: Vector>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] + b[1], a[1] - b[0]]
}

/// `a + i b`
#[inline(always)]
fn plus_i<V: Vector>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] - b[1], a[1] + b[0]]
}

#[inline(always)]
fn times<V: Vector>(a: Complex<V>, w: [f32; 2]) -> Complex<V> {
    let (c, s) = (V::splat(w[0]), V::splat(w[1]));
    [a[0].mul_sub(c, a[1] * s), a[0].mul_add(s, a[1] * c)]
}

/// Transform of four numbers.
#[inline(always)]
fn four<V: Vector>(a: Complex<V>, b: Complex<V>, c: Complex<V>, d: Complex<V>) -> [Complex<V>; 4] {
    let (ac, bd, a_c, b_d) = (plus(a, c), plus(b, d), minus(a, c), minus(b, d));
    [plus(ac, bd), minus_i(a_c, b_d), minus(ac, bd), plus_i(a_c, b_d)]
}

#[inline(always)]
fn radix4<V: Vector>(pass: &Pass, from: &[V], to: &mut [V]) {
    let (from, _) = from.as_chunks::<2>();
    let (to, _) = to.as_chunks_mut::<2>();
    let quarter = from.len() / 4;
    let (ab, cd) = from.split_at(2 * quarter);
    let ((a, b), (c, d)) = (ab.split_at(quarter), cd.split_at(quarter));
    if pass.stride == 1 {
        let (to, _) = to.as_chunks_mut::<4>();
        let inputs = a.iter().zip(b).zip(c.iter().zip(d));
        for ((to, ((a, b), (c, d))), w) in to.iter_mut().zip(inputs).zip(&pass.rotations) {
            let [y0, y1, y2, y3] = four(*a, *b, *c, *d);
            *to = [y0, times(y1, w[0]), times(y2, w[1]), times(y3, w[2])];
        }
        return;
    }
    let s = pass.stride;
    let blocks = a.chunks_exact(s).zip(b.chunks_exact(s)).zip(c.chunks_exact(s).zip(d.chunks_exact(s)));
    for ((to, ((a, b), (c, d))), w) in to.chunks_exact_mut(4 * s).zip(blocks).zip(&pass.rotations) {
        let (to01, to23) = to.split_at_mut(2 * s);
        let ((to0, to1), (to2, to3)) = (to01.split_at_mut(s), to23.split_at_mut(s));
        let inputs = a.iter().zip(b).zip(c.iter().zip(d));
        let outputs = to0.iter_mut().zip(to1).zip(to2.iter_mut().zip(to3));
        for (((to0, to1), (to2, to3)), ((a, b), (c, d))) in outputs.zip(inputs) {
            let [y0, y1, y2, y3] = four(*a, *b, *c, *d);
            *to0 = y0;
            *to1 = times(y1, w[0]);
            *to2 = times(y2, w[1]);
            *to3 = times(y3, w[2]);
        }
    }
}

/// The last pass: blocks of 8 or 4 numbers with no rotation left.
#[inline(always)]
fn last<V: Vector>(from: &[V], to: &mut [V]) {
    let (from, _) = from.as_chunks::<2>();
    let (to, _) = to.as_chunks_mut::<2>();
    // Lengths are powers of two and passes divide by 4, so what is left is 8 if the exponent is odd.
    let radix = if from.len().trailing_zeros() % 2 == 1 { 8 } else { 4 };
    let s = from.len() / radix;
    if radix == 4 {
        for q in 0..s {
            // No loop over the four: it would keep them in memory.
            let [y0, y1, y2, y3] = four(from[q], from[q + s], from[q + 2 * s], from[q + 3 * s]);
            to[q] = y0;
            to[q + s] = y1;
            to[q + 2 * s] = y2;
            to[q + 3 * s] = y3;
        }
        return;
    }
    let diagonal = [FRAC_1_SQRT_2, -FRAC_1_SQRT_2];
    for q in 0..s {
        let x = |j: usize| from[q + j * s];
        let even = four(x(0), x(2), x(4), x(6));
        let odd = four(x(1), x(3), x(5), x(7));
        let rotated = [odd[0], times(odd[1], diagonal), odd[2], times(odd[3], diagonal)];
        to[q] = plus(even[0], rotated[0]);
        to[q + s] = plus(even[1], rotated[1]);
        to[q + 2 * s] = minus_i(even[2], rotated[2]);
        to[q + 3 * s] = minus_i(even[3], rotated[3]);
        to[q + 4 * s] = minus(even[0], rotated[0]);
        to[q + 5 * s] = minus(even[1], rotated[1]);
        to[q + 6 * s] = plus_i(even[2], rotated[2]);
        to[q + 7 * s] = plus_i(even[3], rotated[3]);
    }
}
