//! Transforms of several signals side by side, one for each lane, in either precision.
//!
//! The passes of the complex one are of radix 5 and 3 for those factors, then of radix 4, and of what is left in the last,
//! which has no rotation. All but the last work in place: a vector of lanes for each number makes a transform that the
//! nearest cache does not hold, so a part of the numbers goes through all passes that keep to it before the next part
//! does. The last pass writes every number where it belongs. The inverse is the conjugate of the transform of the
//! conjugate, not normalised.
//!
//! The real one of `n` samples is a complex one of `n / 2` (even samples the real part, odd ones the imaginary) and a
//! last step that splits the two.

mod passes;

use crate::simd::{Lanes, Scalar};
use passes::{last2, last3, last4, last5, last8, rotated3, rotated4, rotated5};
use std::f64::consts::TAU;
use std::ops::Range;

/// One complex number for each lane.
pub(crate) type Complex<V> = [V; 2];

/// Up to so many numbers go from pass to pass while they are in the nearest cache, with as much as there is beside them.
const NEAR: usize = 128;

/// One pass: transforms of `radix` numbers, in place, in blocks that it leaves independent of one another.
#[derive(Clone, Debug)]
struct Pass<T> {
    radix: usize,
    /// Numbers of a block.
    block: usize,
    /// For each `p`: `w^p`, `w^2p` and so on, one less than the radix; real and imaginary. None in the last pass.
    rotations: Vec<[T; 2]>,
}

/// A pass over some of the numbers.
#[derive(Clone, Debug)]
struct Step {
    pass: usize,
    numbers: Range<usize>,
}

/// The plan of a complex transform.
#[derive(Clone, Debug)]
pub(crate) struct Fft<T = f32> {
    length: usize,
    passes: Vec<Pass<T>>,
    steps: Vec<Step>,
    /// Where the first result of each block of the last pass belongs.
    places: Vec<u32>,
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

/// The first passes over all numbers, the others over as many at a time as are near.
fn steps<T>(length: usize, passes: &[Pass<T>]) -> Vec<Step> {
    let far = passes[..passes.len() - 1].iter().take_while(|pass| pass.block > NEAR).count();
    let near = passes[far].block;
    let starts = (0..length).step_by(near);
    let near_steps = starts
        .flat_map(|start| (far..passes.len()).map(move |pass| Step { pass, numbers: start..start + near }));
    (0..far).map(|pass| Step { pass, numbers: 0..length }).chain(near_steps).collect()
}

impl<T: Scalar> Fft<T> {
    /// A plan for `length` complex numbers: from 2, without other prime factors than 2, 3 and 5.
    pub(crate) fn new(length: usize) -> Self {
        let (mut passes, mut places, mut block) = (Vec::new(), vec![0], length);
        for radix in radices(length) {
            let part = block / radix;
            let rotation = |p: usize| (1..radix).map(move |power| unit(p * power, block));
            let mut rotations = Vec::new();
            if part > 1 {
                rotations.extend((0..part).flat_map(rotation));
                // Each block becomes as many as the radix: what is first in them follows one another in the result.
                let apart = (length / block) as u32;
                let of_block = |&place: &u32| (0..radix as u32).map(move |j| place + j * apart);
                places = places.iter().flat_map(of_block).collect();
            }
            passes.push(Pass { radix, block, rotations });
            block = part;
        }
        let steps = steps(length, &passes);
        Self { length, passes, steps, places }
    }

    /// Transform the first numbers of the first buffer, real and imaginary parts in turn. The result is at the start of
    /// the first of the two buffers that come back; what lies behind it is left alone.
    #[inline(always)]
    pub(crate) fn transform<'a, V: Lanes<Scalar = T>>(&self, buffers: [&'a mut [V]; 2]) -> [&'a mut [V]; 2] {
        let [from, to] = buffers;
        let result = &mut to[..2 * self.length];
        for Step { pass, numbers } in &self.steps {
            let pass = &self.passes[*pass];
            let blocks = &mut from[2 * numbers.start..2 * numbers.end];
            if pass.rotations.is_empty() {
                let places = &self.places[numbers.start / pass.radix..];
                match pass.radix {
                    2 => last2(blocks, result, places),
                    3 => last3(blocks, result, places),
                    4 => last4(blocks, result, places),
                    5 => last5(blocks, result, places),
                    _ => last8(blocks, result, places),
                }
            } else {
                match pass.radix {
                    3 => rotated3(&pass.rotations, blocks),
                    4 => rotated4(&pass.rotations, blocks),
                    _ => rotated5(&pass.rotations, blocks),
                }
            }
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
