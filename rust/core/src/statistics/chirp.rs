//! Power spectra of real signals of any length, one signal for each lane, by Bluestein's chirp transform.
//!
//! With `w[t] = e^(-i pi t^2 / n)`, as `2 t k = t^2 + k^2 - (k - t)^2`, the transform is
//! `X[k] = w[k] sum_t (x[t] w[t]) conj w[k - t]`: a convolution, done by transforms of a power of two. The factor `w[k]`
//! does not change the power. Frequencies are those of the signal's own length.

use crate::Result;
use crate::fft::{Complex, Fft, Kept, Power};
use crate::simd::{Aligned, Kernel, MAX_LANES, SimdLevel, Vector, vectors};
use std::f64::consts::PI;

/// The plan of windowed transforms of one length.
#[derive(Clone, Debug)]
pub(super) struct ChirpTransform {
    fft: Fft,
    size: usize,
    bins: usize,
    /// The window times `w[t]` for every sample.
    chirp: Vec<[f32; 2]>,
    /// The transform of `conj w`, over [`Self::size`].
    response: Vec<[f32; 2]>,
}

/// `e^(-i pi t^2 / n)`, the angle exact to rounding for any length.
fn chirp(t: usize, n: usize) -> [f64; 2] {
    let square = (t as u128 * t as u128 % (2 * n as u128)) as f64;
    let angle = -PI * square / n as f64;
    [angle.cos(), angle.sin()]
}

impl ChirpTransform {
    /// A plan for signals as long as the window, at least one sample.
    ///
    /// # Errors
    /// [`crate::Error::Array`] if there is not enough memory.
    pub(super) fn new(window: &[f64], level: SimdLevel, memory: &mut ChirpMemory) -> Result<Self> {
        let length = window.len();
        let bins = length / 2 + 1;
        let size = (length + bins - 1).next_power_of_two().max(8);
        memory.make_room(size, level)?;
        let rotation = |t: usize| chirp(t, length);
        let windowed = window.iter().enumerate().map(|(t, &w)| rotation(t).map(|part| (w * part) as f32));
        let mut plan =
            Self { fft: Fft::new(size), size, bins, chirp: windowed.collect(), response: Vec::new() };
        let mut response = vec![[0.0; 2]; size];
        for t in 0..length {
            let [re, im] = rotation(t).map(|part| (part / size as f64) as f32);
            if t < bins {
                response[t] = [re, -im];
            }
            if t > 0 {
                response[size - t] = [re, -im];
            }
        }
        plan.response = level.run(Response { fft: &plan.fft, of: response, memory });
        Ok(plan)
    }

    /// Let the memory of another worker than the one that made the plan have room for it.
    ///
    /// # Errors
    /// [`crate::Error::Array`] if there is not enough memory.
    pub(super) fn make_room(&self, level: SimdLevel, memory: &mut ChirpMemory) -> Result<()> {
        memory.make_room(self.size, level)
    }

    /// Number of frequencies, from 0 to half the rate.
    pub(super) fn bins(&self) -> usize {
        self.bins
    }

    /// Powers of the frequencies of `V::LANES` rows, each `stride` numbers from the next, of which at least the length
    /// rounded up to whole vectors can be read; they are handed to `each` in order.
    #[inline(always)]
    pub(super) fn powers<V: Vector>(
        &self,
        rows: &[f32],
        stride: usize,
        memory: &mut ChirpMemory,
        mut each: impl FnMut(usize, V),
    ) {
        let [a, b] = memory.0.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..2 * self.size]);
        let (zero, numbers) = (V::splat(0.0), a.as_chunks_mut::<2>().0);
        let (signal, rest) = numbers.split_at_mut(self.chirp.len());
        let blocks = signal.chunks_mut(V::LANES).zip(self.chirp.chunks(V::LANES));
        for (block, (to, chirp)) in blocks.enumerate() {
            let samples = V::load_transposed(&rows[block * V::LANES..], stride);
            for ((to, &x), &[c, s]) in to.iter_mut().zip(samples.as_ref()).zip(chirp) {
                *to = [x * V::splat(c), x * V::splat(s)];
            }
        }
        rest.fill([zero; 2]);
        let [spectrum, other] = self.fft.transform([a, b]);
        for ([re, im], &[c, s]) in spectrum.as_chunks_mut::<2>().0.iter_mut().zip(&self.response) {
            let (c, s) = (V::splat(c), V::splat(s));
            // The conjugate of the product: its transform is that of the inverse, conjugated.
            (*re, *im) = (re.mul_sub(c, *im * s), zero - re.mul_add(s, *im * c));
        }
        let [convolved, _] = self.fft.transform([spectrum, other]);
        let numbers: &[Complex<V>] = convolved.as_chunks::<2>().0;
        for (bin, &number) in numbers[..self.bins].iter().enumerate() {
            each(bin, Power::of(number));
        }
    }
}

/// The memory of one worker.
#[derive(Debug, Default)]
pub(super) struct ChirpMemory([Vec<Aligned>; 2]);

impl ChirpMemory {
    fn make_room(&mut self, size: usize, level: SimdLevel) -> Result<()> {
        self.0.iter_mut().try_for_each(|buffer| Aligned::make_room(level, 2 * size, buffer))
    }
}

/// The transform of numbers, the same in every lane.
struct Response<'a> {
    fft: &'a Fft,
    of: Vec<[f32; 2]>,
    memory: &'a mut ChirpMemory,
}

impl Kernel for Response<'_> {
    type Output = Vec<[f32; 2]>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let Self { fft, mut of, memory } = self;
        let [a, b] = memory.0.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..2 * of.len()]);
        for (to, number) in a.as_chunks_mut::<2>().0.iter_mut().zip(&of) {
            *to = number.map(V::splat);
        }
        let [spectrum, _] = fft.transform([a, b]);
        let mut lanes = [0.0; MAX_LANES];
        for (to, number) in of.iter_mut().zip(spectrum.as_chunks::<2>().0) {
            for (to, part) in to.iter_mut().zip(number) {
                part.store(&mut lanes);
                *to = lanes[0];
            }
        }
        of
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::RandomStream;
    use std::f64::consts::TAU;

    struct Powers<'a>(&'a ChirpTransform, &'a [f32], usize, &'a mut ChirpMemory);

    impl Kernel for Powers<'_> {
        /// `[bin][lane]`
        type Output = Vec<[f32; MAX_LANES]>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let mut all = Vec::new();
            self.0.powers::<V>(self.1, self.2, self.3, |bin, power| {
                assert_eq!(bin, all.len());
                let mut lanes = [0.0; MAX_LANES];
                power.store(&mut lanes);
                all.push(lanes);
            });
            all
        }
    }

    /// The definition, in float64.
    fn definition(row: &[f32], window: &[f64]) -> Vec<f64> {
        let n = row.len();
        let angle = |k: usize, t: usize| TAU * ((k * t) % n) as f64 / n as f64;
        let sum = |k: usize, f: fn(f64) -> f64| -> f64 {
            row.iter().zip(window).enumerate().map(|(t, (&x, w))| f64::from(x) * w * f(angle(k, t))).sum()
        };
        (0..=n / 2).map(|k| sum(k, f64::cos).powi(2) + sum(k, f64::sin).powi(2)).collect()
    }

    #[test]
    fn every_length_and_level_agrees_with_the_definition() {
        for level in SimdLevel::all() {
            // Memory that a longer signal left behind.
            let memory = &mut ChirpMemory::default();
            for n in [700_usize, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 64, 100, 313, 512, 625] {
                let mut stream = RandomStream::new(&[n as u64]);
                let window: Vec<f64> = (0..n).map(|_| stream.uniform_in(0.0, 1.0)).collect();
                let stride = n.next_multiple_of(MAX_LANES);
                let rows: Vec<f32> =
                    (0..stride * level.lanes()).map(|_| stream.uniform_in(-1.0, 1.0) as f32).collect();
                let plan = ChirpTransform::new(&window, level, memory).unwrap();
                assert_eq!(plan.bins(), n / 2 + 1);
                let got = level.run(Powers(&plan, &rows, stride, memory));
                assert_eq!(got.len(), plan.bins());
                for lane in 0..level.lanes() {
                    let expected = definition(&rows[lane * stride..][..n], &window);
                    let scale = expected.iter().sum::<f64>() / expected.len() as f64;
                    for (got, expected) in got.iter().zip(expected) {
                        let error = (f64::from(got[lane]).sqrt() - expected.sqrt()).abs() / scale.sqrt();
                        assert!(
                            error < 2e-6,
                            "{level:?}, {n} samples: amplitude off by {error:e} of the mean"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn too_long_a_signal_is_an_error() {
        let level = SimdLevel::best();
        let text = ChirpMemory::default().make_room(1 << 58, level).unwrap_err().to_string();
        assert!(text.contains("more than fit into memory"), "{text}");
    }
}
