//! Spectra of several frames side by side, one frame for each lane.
//!
//! A real transform of `n` samples is a complex one of `n / 2` (even samples the real part, odd ones the imaginary)
//! and a last step that parts the two. The complex one is Stockham's: no bit reversal, every pass reads one buffer
//! and writes the other; radix 4, and 8 or 4 without rotation in the last pass.

use crate::simd::Vector;
use std::f32::consts::FRAC_1_SQRT_2;
use std::f64::consts::TAU;

/// One complex number for each lane.
type Complex<V> = [V; 2];

/// One radix-4 pass over blocks `stride` numbers apart.
#[derive(Clone, Debug)]
struct Pass {
    stride: usize,
    /// For each `p`: `w^p`, `w^2p` and `w^3p`, real and imaginary.
    rotations: Vec<[[f32; 2]; 3]>,
}

/// The plan of a windowed transform of a power-of-two length.
#[derive(Clone, Debug)]
pub(crate) struct Stft {
    /// Half of a periodic Hann window: the factor 1/2 of the last step is exact here.
    half_window: Vec<f32>,
    passes: Vec<Pass>,
    /// `e^(-2 pi i k / n)` for `k` in `1..n/4`.
    parting: Vec<[f32; 2]>,
}

fn unit(numerator: usize, denominator: usize) -> [f32; 2] {
    let angle = -TAU * numerator as f64 / denominator as f64;
    [angle.cos() as f32, angle.sin() as f32]
}

impl Stft {
    /// A plan; `n_fft` is a power of two from 16.
    pub(crate) fn new(n_fft: usize) -> Self {
        let hann = |i: usize| 0.5 - 0.5 * (TAU * i as f64 / n_fft as f64).cos();
        let half = n_fft / 2;
        let mut passes = Vec::new();
        let (mut length, mut stride) = (half, 1);
        while length > 8 {
            let rotation = |p: usize| [1, 2, 3].map(|power| unit(p * power, length));
            passes.push(Pass { stride, rotations: (0..length / 4).map(rotation).collect() });
            (length, stride) = (length / 4, stride * 4);
        }
        Self {
            half_window: (0..n_fft).map(|i| (0.5 * hann(i)) as f32).collect(),
            passes,
            parting: (1..half / 2).map(|k| unit(k, n_fft)).collect(),
        }
    }

    /// Number of samples of a frame.
    pub(crate) fn n_fft(&self) -> usize {
        self.half_window.len()
    }

    /// Number of frequencies of a spectrum.
    pub(crate) fn bins(&self) -> usize {
        self.n_fft() / 2 + 1
    }

    /// Power spectra of frames `stride` samples apart, one for each lane.
    ///
    /// `buffers` are two of `n_fft` vectors each, `power` has `n_fft / 2 + 1`.
    #[inline(always)]
    pub(crate) fn power<V: Vector>(
        &self,
        frames: &[f32],
        stride: usize,
        buffers: [&mut [V]; 2],
        power: &mut [V],
    ) {
        let [mut from, mut to] = buffers;
        self.gather(frames, stride, from);
        for pass in &self.passes {
            radix4(pass, from, to);
            std::mem::swap(&mut from, &mut to);
        }
        last(from, to);
        self.part(to, power);
    }

    /// Windowed samples, lane by lane.
    #[inline(always)]
    fn gather<V: Vector>(&self, frames: &[f32], stride: usize, to: &mut [V]) {
        let windows = self.half_window.chunks_exact(V::LANES);
        for (block, (window, to)) in windows.zip(to.chunks_exact_mut(V::LANES)).enumerate() {
            let square = V::columns(&frames[block * V::LANES..], stride);
            for ((to, &sample), &w) in to.iter_mut().zip(square.as_ref()).zip(window) {
                *to = sample * V::splat(w);
            }
        }
    }

    /// From the spectrum `z` of the packed samples to the power of the real ones.
    ///
    /// With `e = z[k] + conj z[h-k]` and `d = (z[k] - conj z[h-k]) / i`, `x[k] = e + w^k d` and
    /// `conj x[h-k] = e - w^k d` (each halved, as the window has done).
    #[inline(always)]
    fn part<V: Vector>(&self, spectrum: &[V], power: &mut [V]) {
        let (z, _) = spectrum.as_chunks::<2>();
        let half = z.len();
        let square = |re: V, im: V| re.mul_add(re, im * im);
        let (four, [re, im]) = (V::splat(4.0), z[0]);
        power[0] = (re + im) * (re + im) * four;
        power[half] = (re - im) * (re - im) * four;
        power[half / 2] = square(z[half / 2][0], z[half / 2][1]) * four;
        let (low, high) = power.split_at_mut(half / 2 + 1);
        let low = low[1..half / 2].iter_mut().zip(high[..half / 2 - 1].iter_mut().rev());
        let pairs = z[1..half / 2].iter().zip(z[half / 2 + 1..].iter().rev());
        for (((low, high), (u, v)), &[c, s]) in low.zip(pairs).zip(&self.parting) {
            let (c, s) = (V::splat(c), V::splat(s));
            let (er, ei, dr, di) = (u[0] + v[0], u[1] - v[1], u[1] + v[1], v[0] - u[0]);
            let (pr, pi) = (dr.mul_sub(c, di * s), dr.mul_add(s, di * c));
            *low = square(er + pr, ei + pi);
            *high = square(er - pr, pi - ei);
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
            let y = four(from[q], from[q + s], from[q + 2 * s], from[q + 3 * s]);
            for (j, y) in y.into_iter().enumerate() {
                to[q + j * s] = y;
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::simd::{Block, Kernel, Level, vectors};

    struct Powers<'a>(&'a Stft, &'a [f32], usize, Level);

    impl Kernel for Powers<'_> {
        /// `[lane][bin]`
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let (stft, n) = (self.0, self.0.n_fft());
            let mut blocks = [n, n, stft.bins()].map(|count| Block::zeros(self.3, count));
            let [a, b, power] = blocks.each_mut().map(|b| vectors::<V>(b));
            stft.power(self.1, self.2, [a, b], power);
            let mut lanes = vec![vec![0.0; stft.bins()]; V::LANES];
            let mut one = [0.0; 16];
            for bin in 0..stft.bins() {
                power[bin].store(&mut one);
                for lane in 0..V::LANES {
                    lanes[lane][bin] = one[lane];
                }
            }
            lanes
        }
    }

    /// The definition, in float64.
    fn reference(frame: &[f32]) -> Vec<f64> {
        let n = frame.len();
        let angle = |k: usize, i: usize| TAU * ((k * i) % n) as f64 / n as f64;
        let windowed: Vec<f64> =
            frame.iter().enumerate().map(|(i, &x)| f64::from(x) * (0.5 - 0.5 * angle(1, i).cos())).collect();
        let sum = |k: usize, f: fn(f64) -> f64| -> f64 {
            windowed.iter().enumerate().map(|(i, x)| x * f(angle(k, i))).sum()
        };
        (0..=n / 2).map(|k| sum(k, f64::cos).powi(2) + sum(k, f64::sin).powi(2)).collect()
    }

    fn worst_error(n: usize, stride: usize, scale: f32, level: Level) -> f64 {
        let mut stream = Stream::new(&[n as u64, stride as u64]);
        let samples: Vec<f32> = (0..stride * (level.lanes() - 1) + n)
            .map(|_| scale * stream.uniform_in(-1.0, 1.0) as f32)
            .collect();
        let stft = Stft::new(n);
        let got = level.run(Powers(&stft, &samples, stride, level));
        let mut worst = 0.0_f64;
        for (lane, got) in got.iter().enumerate() {
            let expected = reference(&samples[lane * stride..][..n]);
            let mean = expected.iter().sum::<f64>() / expected.len() as f64;
            for (g, e) in got.iter().zip(expected) {
                worst = worst.max((f64::from(*g).sqrt() - e.sqrt()).abs() / mean.sqrt());
            }
        }
        worst
    }

    #[test]
    fn every_length_and_level_agrees_with_the_definition() {
        for level in Level::all() {
            for n in [16, 32, 64, 128, 256, 512, 1024, 2048] {
                let worst = worst_error(n, 7, 1.0, level);
                assert!(worst < 1e-6, "{level:?}, n_fft {n}: amplitude off by {worst:e} of the mean");
            }
        }
    }

    #[test]
    fn scale_does_not_matter() {
        for level in Level::all() {
            for scale in [1e-12, 32768.0, 1e12] {
                assert!(worst_error(256, 64, scale, level) < 1e-6, "{level:?} {scale:e}");
            }
        }
    }

    #[test]
    fn a_constant_and_an_alternating_clip_fill_the_outer_bins_alone() {
        for level in Level::all() {
            let stft = Stft::new(64);
            let constant = level.run(Powers(&stft, &vec![1.0; 64], 0, level));
            let alternating: Vec<f32> = (0..64).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
            let alternating = level.run(Powers(&stft, &alternating, 0, level));
            for (bin, (c, a)) in constant[3].iter().zip(alternating[3].iter().rev()).enumerate() {
                let expected = [1024.0, 256.0].get(bin).copied().unwrap_or(0.0);
                assert!((c - expected).abs() < 1e-3 && (a - expected).abs() < 1e-3, "bin {bin}: {c} {a}");
            }
        }
    }
}
