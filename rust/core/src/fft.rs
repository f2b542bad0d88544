//! Transforms of several signals side by side, one for each lane, in either precision.
//!
//! The complex one is Stockham's: no bit reversal, every pass reads one buffer and writes the other. Its passes are of
//! radix 5 and 3 for those factors, then of radix 4, and of what is left in the last, which has no rotation. The inverse
//! is the conjugate of the transform of the conjugate, not normalised.
//!
//! The real one of `n` samples is a complex one of `n / 2` (even samples the real part, odd ones the imaginary) and a
//! last step that splits the two.

mod passes;

use crate::simd::{Lanes, Scalar};
use passes::{last2, last3, last4, last5, last8, rotated3, rotated4, rotated5};
use std::f64::consts::TAU;

/// One complex number for each lane.
pub(crate) type Complex<V> = [V; 2];

/// One pass: transforms of `radix` numbers, in blocks `stride` numbers apart.
#[derive(Clone, Debug)]
struct Pass<T> {
    radix: usize,
    stride: usize,
    /// For each `p`: `w^p`, `w^2p` and so on, one less than the radix; real and imaginary. None in the last pass.
    rotations: Vec<[T; 2]>,
}

/// The plan of a complex transform.
#[derive(Clone, Debug)]
pub(crate) struct Fft<T = f32> {
    length: usize,
    passes: Vec<Pass<T>>,
    /// The one without rotations.
    last: Pass<T>,
}

/// `e^(-2 pi i numerator / denominator)`, real and imaginary.
fn unit<T: Scalar>(numerator: usize, denominator: usize) -> [T; 2] {
    let angle = -TAU * numerator as f64 / denominator as f64;
    [angle.cos(), angle.sin()].map(T::of)
}

/// Whether there is a transform of so many real numbers: an even number without other prime factors than 2, 3 and 5.
pub(crate) fn is_length(length: usize) -> bool {
    let without = |number: usize, factor: usize| {
        let mut rest = number;
        while rest >= factor && rest.is_multiple_of(factor) {
            rest /= factor;
        }
        rest
    };
    length.is_multiple_of(2) && [2, 3, 5].into_iter().fold(length, without) == 1
}

/// Radices whose product is the length, in the order of their passes. The length has no other prime factors than 2, 3
/// and 5.
fn radices(length: usize) -> Vec<usize> {
    let (mut radices, mut rest) = (Vec::new(), length);
    for radix in [5, 3] {
        while rest.is_multiple_of(radix) {
            radices.push(radix);
            rest /= radix;
        }
    }
    while rest > 8 {
        radices.push(4);
        rest /= 4;
    }
    if rest > 1 {
        radices.push(rest);
    }
    radices
}

impl<T: Scalar> Fft<T> {
    /// A plan for `length` complex numbers: from 2, without other prime factors than 2, 3 and 5.
    pub(crate) fn new(length: usize) -> Self {
        let mut passes = Vec::new();
        let (mut rest, mut stride) = (length, 1);
        for radix in radices(length) {
            let blocks = rest / radix;
            let rotation = |p: usize| (1..radix).map(move |power| unit(p * power, rest));
            passes.push(Pass { radix, stride, rotations: (0..blocks).flat_map(rotation).collect() });
            (rest, stride) = (blocks, stride * radix);
        }
        let last = passes.pop().expect("a length of at least 2");
        Self { length, passes, last }
    }

    /// Transform the first numbers of the first buffer, real and imaginary parts in turn. The result is at the start of
    /// the first of the two buffers that come back; what lies behind it is left alone.
    #[inline(always)]
    pub(crate) fn transform<'a, V: Lanes<Scalar = T>>(&self, buffers: [&'a mut [V]; 2]) -> [&'a mut [V]; 2] {
        let [mut from, mut to] = buffers;
        let size = 2 * self.length;
        for pass in &self.passes {
            let (from_numbers, to_numbers) = (&from[..size], &mut to[..size]);
            match pass.radix {
                3 => rotated3(pass, from_numbers, to_numbers),
                4 => rotated4(pass, from_numbers, to_numbers),
                _ => rotated5(pass, from_numbers, to_numbers),
            }
            std::mem::swap(&mut from, &mut to);
        }
        let (from_numbers, to_numbers) = (&from[..size], &mut to[..size]);
        match self.last.radix {
            2 => last2(from_numbers, to_numbers),
            3 => last3(from_numbers, to_numbers),
            4 => last4(from_numbers, to_numbers),
            5 => last5(from_numbers, to_numbers),
            _ => last8(from_numbers, to_numbers),
        }
        [to, from]
    }
}

/// What is kept of each frequency of a real signal.
pub(crate) trait Kept {
    /// What that is.
    type Of<V>;
    /// From the real and imaginary part.
    fn of<V: Lanes>(bin: Complex<V>) -> Self::Of<V>;
}

/// Both parts.
pub(crate) struct Parts;

impl Kept for Parts {
    type Of<V> = Complex<V>;

    #[inline(always)]
    fn of<V: Lanes>(bin: Complex<V>) -> Complex<V> {
        bin
    }
}

/// The squared magnitude.
pub(crate) struct Power;

impl Kept for Power {
    type Of<V> = V;

    #[inline(always)]
    fn of<V: Lanes>([re, im]: Complex<V>) -> V {
        re.mul_add(re, im * im)
    }
}

/// The plan of a transform of real signals.
#[derive(Clone, Debug)]
pub(crate) struct RealFft<T = f32> {
    half: Fft<T>,
    /// `e^(-2 pi i k / length)` for `k` above 0 and below `length / 4`.
    rotations: Vec<[T; 2]>,
}

impl<T: Scalar> RealFft<T> {
    /// A plan for `length` samples: an even number from 4, without other prime factors than 2, 3 and 5.
    pub(crate) fn new(length: usize) -> Self {
        let rotations = (1..length.div_ceil(4)).map(|k| unit(k, length)).collect();
        Self { half: Fft::new(length / 2), rotations }
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
    pub(crate) fn transform<'a, V: Lanes<Scalar = T>>(&self, buffers: [&'a mut [V]; 2]) -> [&'a mut [V]; 2] {
        self.half.transform(buffers)
    }

    /// From the spectrum `z` of packed samples, halved, to that of the real ones.
    ///
    /// With `e = z[k] + conj z[h-k]` and `d = (z[k] - conj z[h-k]) / i`, `x[k] = e + w^k d` and
    /// `conj x[h-k] = e - w^k d` (each halved, as the samples are).
    #[inline(always)]
    pub(crate) fn split<V: Lanes<Scalar = T>, K: Kept>(&self, packed: &[V], spectrum: &mut [K::Of<V>]) {
        let half = self.half.length;
        let z = &packed.as_chunks::<2>().0[..half];
        let x = &mut spectrum[..=half];
        let (zero, two) = (V::splat(T::of(0.0)), V::splat(T::of(2.0)));
        x[0] = K::of([(z[0][0] + z[0][1]) * two, zero]);
        x[half] = K::of([(z[0][0] - z[0][1]) * two, zero]);
        if half.is_multiple_of(2) {
            x[half / 2] = K::of([z[half / 2][0] * two, zero - z[half / 2][1] * two]);
        }
        // Those below the middle, and as many above it.
        let pairs = self.rotations.len();
        let (low, high) = x.split_at_mut(half - pairs);
        let outputs = low[1..=pairs].iter_mut().zip(high[..pairs].iter_mut().rev());
        let inputs = z[1..=pairs].iter().zip(z[half - pairs..].iter().rev());
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
    /// With `e = conj x[k] + x[h-k]` and `d = conj x[k] - x[h-k]` it is `e - i w^k d`. The half is an even number.
    #[inline(always)]
    pub(crate) fn join<V: Lanes<Scalar = T>>(&self, spectrum: &[Complex<V>], packed: &mut [V]) {
        let half = self.half.length;
        let x = &spectrum[..=half];
        let z = &mut packed.as_chunks_mut::<2>().0[..half];
        let (zero, two) = (V::splat(T::of(0.0)), V::splat(T::of(2.0)));
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
