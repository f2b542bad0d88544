//! Spectra of several frames side by side, one frame for each lane.

use crate::fft::{Complex, Parts, Power, RealFft};
use crate::simd::{Lanes, MAX_LANES, RowLoader, Scalar, Vector};

/// The plan of a windowed transform in either precision.
#[derive(Clone, Debug)]
pub(crate) struct Stft<T = f32> {
    /// Half of the window: the factor 1/2 of the last step is exact here. Zeros behind it fill vectors of any level.
    half_window: Vec<T>,
    fft: RealFft<T>,
}

/// The samples of as many frames as there are lanes.
#[derive(Clone, Copy)]
pub(crate) struct FrameGroup<'a> {
    pub(crate) samples: &'a [f32],
    /// Samples from one frame to the next.
    pub(crate) stride: usize,
}

impl FrameGroup<'_> {
    /// The samples of all frames from one of them on.
    #[inline(always)]
    fn behind(self, sample: usize) -> Self {
        Self { samples: &self.samples[sample..], ..self }
    }

    /// The frames from one of them on.
    #[inline(always)]
    pub(crate) fn from(self, frame: usize) -> Self {
        Self { samples: &self.samples[frame * self.stride..], ..self }
    }
}

impl<L: Lanes> RowLoader<L> for FrameGroup<'_> {
    #[inline(always)]
    fn row(&self, frame: usize) -> L {
        L::load_f32(&self.samples[frame * self.stride..][..L::LANES])
    }
}

impl<T: Scalar> Stft<T> {
    /// A plan for frames as long as the window, whose length is one of [`RealFft`].
    pub(crate) fn new(window: &[f64]) -> Self {
        let mut half_window: Vec<T> = window.iter().map(|&weight| T::of(0.5 * weight)).collect();
        half_window.resize(window.len().next_multiple_of(MAX_LANES), T::of(0.0));
        Self { half_window, fft: RealFft::new(window.len()) }
    }

    /// Samples that are read of each frame: its own, and those behind it that fill vectors.
    pub(crate) fn reads(&self) -> usize {
        self.half_window.len()
    }

    /// Vectors of each of the two buffers.
    pub(crate) fn room(&self) -> usize {
        self.reads().max(2 * self.bins())
    }

    /// Number of frequencies of a spectrum.
    pub(crate) fn bins(&self) -> usize {
        self.fft.bins()
    }

    /// Power spectra of frames, one for each lane; what comes back is their sum.
    ///
    /// `buffers` are two of [`Stft::room`] vectors each, `power` has [`Stft::bins`].
    #[inline(always)]
    pub(crate) fn power<V: Lanes<Scalar = T>>(
        &self,
        group: FrameGroup<'_>,
        buffers: [&mut [V]; 2],
        power: &mut [V],
    ) -> V {
        self.gather(group, None, buffers[0]);
        let [packed, _] = self.fft.transform(buffers);
        self.fft.split::<V, Power>(packed, power);
        sum(power)
    }

    /// Both parts of the spectra of frames, less a constant in all samples of each.
    #[inline(always)]
    pub(crate) fn spectrum<'a, V: Lanes<Scalar = T>>(
        &self,
        group: FrameGroup<'_>,
        less: Option<V>,
        buffers: [&'a mut [V]; 2],
    ) -> &'a mut [Complex<V>] {
        self.gather(group, less, buffers[0]);
        let [packed, other] = self.fft.transform(buffers);
        let spectrum = &mut other.as_chunks_mut::<2>().0[..self.bins()];
        self.fft.split::<V, Parts>(packed, spectrum);
        spectrum
    }

    /// Windowed samples, lane by lane, less a constant.
    #[inline(always)]
    fn gather<V: Lanes<Scalar = T>>(&self, group: FrameGroup<'_>, less: Option<V>, to: &mut [V]) {
        let windows = self.half_window.chunks_exact(V::LANES);
        for (block, (window, to)) in windows.zip(to.chunks_exact_mut(V::LANES)).enumerate() {
            let transposed = V::transposed(&group.behind(block * V::LANES));
            for ((to, &sample), &w) in to.iter_mut().zip(transposed.as_ref()).zip(window) {
                let sample = match less {
                    None => sample,
                    Some(constant) => sample - constant,
                };
                *to = sample * V::splat(w);
            }
        }
    }
}

impl Stft {
    /// Power spectra of the windowed frames' differences, `x[i] - factor * x[i - 1]`, where what is before the first is
    /// the last. They are formed in float64, by the plan `wide` of the same window, and transformed in float32.
    #[inline(always)]
    pub(crate) fn difference_power<V: Vector>(
        &self,
        group: FrameGroup<'_>,
        (wide, factor): (&Stft<f64>, f64),
        buffers: [&mut [V]; 2],
        power: &mut [V],
    ) {
        wide.gather_differences(group, factor, buffers[0]);
        let [packed, _] = self.fft.transform(buffers);
        self.fft.split::<V, Power>(packed, power);
    }
}

impl Stft<f64> {
    /// Differences of windowed samples, lane by lane.
    #[inline(always)]
    fn gather_differences<V: Vector>(&self, group: FrameGroup<'_>, factor: f64, to: &mut [V]) {
        let (length, factor) = (self.fft.length(), V::Wide::splat(-factor));
        let last = V::transposed(&group.behind(length - V::LANES)).as_ref()[V::LANES - 1];
        let [mut low, mut high] = windowed(last, self.half_window[length - 1]);
        let windows = self.half_window.chunks_exact(V::LANES);
        for (block, (window, to)) in windows.zip(to.chunks_exact_mut(V::LANES)).enumerate() {
            let transposed = V::transposed(&group.behind(block * V::LANES));
            for ((to, &sample), &w) in to.iter_mut().zip(transposed.as_ref()).zip(window) {
                let [new_low, new_high] = windowed(sample, w);
                *to = V::narrowed([low.mul_add(factor, new_low), high.mul_add(factor, new_high)]);
                [low, high] = [new_low, new_high];
            }
        }
    }
}

/// Samples times a weight, in float64.
#[inline(always)]
fn windowed<V: Vector>(samples: V, weight: f64) -> [V::Wide; 2] {
    let ([low, high], weight) = (samples.widened(), V::Wide::splat(weight));
    [low * weight, high * weight]
}

/// The sum of some vectors.
#[inline(always)]
pub(super) fn sum<V: Lanes>(vectors: &[V]) -> V {
    let (quads, rest) = vectors.as_chunks::<4>();
    let mut sums = [V::splat(Scalar::of(0.0)); 4];
    for quad in quads {
        for (sum, &vector) in sums.iter_mut().zip(quad) {
            *sum = *sum + vector;
        }
    }
    rest.iter().fold((sums[0] + sums[1]) + (sums[2] + sums[3]), |sum, &vector| sum + vector)
}

#[cfg(test)]
mod tests {
    use super::super::window::Window;
    use super::*;
    use crate::fft;
    use crate::rng::RandomStream;
    use crate::simd::{Aligned, Kernel, SimdLevel, vectors};
    use std::f64::consts::TAU;

    struct Powers<'a>(&'a Stft, &'a [f32], usize, SimdLevel);

    impl Kernel for Powers<'_> {
        /// `[lane][bin]`
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let stft = self.0;
            let mut blocks =
                [stft.room(), stft.room(), stft.bins()].map(|count| Aligned::zeros(self.3, count));
            let [a, b, power] = blocks.each_mut().map(|b| vectors::<V>(b));
            let group = FrameGroup { samples: self.1, stride: self.2 };
            stft.power(group, [a, b], &mut power[..stft.bins()]);
            let mut lanes = vec![vec![0.0; stft.bins()]; V::LANES];
            let mut one = [0.0; MAX_LANES];
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
    fn reference(frame: &[f32], window: &[f64]) -> Vec<f64> {
        let n = frame.len();
        let angle = |k: usize, i: usize| TAU * ((k * i) % n) as f64 / n as f64;
        let windowed: Vec<f64> = frame.iter().zip(window).map(|(&x, w)| f64::from(x) * w).collect();
        let sum = |k: usize, f: fn(f64) -> f64| -> f64 {
            windowed.iter().enumerate().map(|(i, x)| x * f(angle(k, i))).sum()
        };
        (0..=n / 2).map(|k| sum(k, f64::cos).powi(2) + sum(k, f64::sin).powi(2)).collect()
    }

    fn worst_error(n: usize, stride: usize, scale: f32, level: SimdLevel) -> f64 {
        let mut stream = RandomStream::new(&[n as u64, stride as u64]);
        let mut samples: Vec<f32> = (0..stride * (level.lanes() - 1) + n)
            .map(|_| scale * stream.uniform_in(-1.0, 1.0) as f32)
            .collect();
        let window = Window::Hann.periodic(n);
        let stft = Stft::new(&window);
        samples.resize(samples.len() + stft.reads() - n, f32::NAN);
        let got = level.run(Powers(&stft, &samples, stride, level));
        let mut worst = 0.0_f64;
        for (lane, got) in got.iter().enumerate() {
            let expected = reference(&samples[lane * stride..][..n], &window);
            let mean = expected.iter().sum::<f64>() / expected.len() as f64;
            for (g, e) in got.iter().zip(expected) {
                worst = worst.max((f64::from(*g).sqrt() - e.sqrt()).abs() / mean.sqrt());
            }
        }
        worst
    }

    #[test]
    fn every_length_and_level_agrees_with_the_definition() {
        for level in SimdLevel::all() {
            for n in (16..=128).filter(|&n| fft::is_length(n)).chain([400, 480, 486, 512, 750, 1024, 2048]) {
                let worst = worst_error(n, 7, 1.0, level);
                assert!(worst < 1e-6, "{level:?}, n_fft {n}: amplitude off by {worst:e} of the mean");
            }
        }
    }

    #[test]
    fn scale_does_not_matter() {
        for level in SimdLevel::all() {
            for scale in [1e-12, 32768.0, 1e12] {
                assert!(worst_error(256, 64, scale, level) < 1e-6, "{level:?} {scale:e}");
            }
        }
    }

    #[test]
    fn a_constant_and_an_alternating_clip_fill_the_outer_bins_alone() {
        for level in SimdLevel::all() {
            let stft = Stft::new(&Window::Hann.periodic(64));
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
