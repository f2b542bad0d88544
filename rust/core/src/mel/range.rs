//! Frames whose range is too great for float32.
//!
//! A float32 transform leaves an error in every bin that follows the mean power of what is transformed, whatever the bin
//! itself holds: a quiet band beside loud tones is off by more the deeper it lies. Where a band that counts, which is down
//! to 80 dB below the frame's greatest, has a mean deeper than [`DEPTH_DB`] below that mean power, the frame is too deep
//! for how it was done, and is done by the next of the [`Way`]s. Which one a frame gets depends on its own samples alone.
//!
//! A clip is mostly alike from one group of frames to the next, which begins with the way of most frames of the one
//! before. What a more exact way has found tells whether a frame would have been too deep for a faster one; where that is
//! not sure, the faster one is tried. Frames that need another way wait until they fill a group. Of recordings of machines
//! less than one frame in a thousand needs more than the first.

use super::filterbank::FilterBank;
use super::settings::Spectrum;
use super::stft::{FrameGroup, Stft, sum};
use crate::fft::{Complex, Kept, Power};
use crate::simd::{Aligned, Kernel, Lanes, MAX_LANES, SimdLevel, Vector, numbers, vectors};
use std::f64::consts::TAU;

/// Errors at this depth are below 5e-4 dB, and they halve with every 6 dB less.
const DEPTH_DB: f64 = 40.0;

/// How far below the frame's greatest band one counts, in dB.
pub(super) const RANGE_DB: f32 = 80.1;

/// A frame that lies too deep by so much by the results of a more exact way does so by those of any, in dB.
pub(super) const SURE_DB: f32 = 1.0;

/// Samples that tell whether a frame has an offset.
const OFFSET_SAMPLES: usize = 64;
/// An offset is one whose square is above so many times the variance: less takes no digits that count.
const OFFSET_RATIO: f32 = 100.0;

/// What of the sample before is taken from each: all of it would leave nothing of the mean, less more of a hum.
const DIFFERENCE: f64 = 63.0 / 64.0;

/// How a frame is done, from the fastest way to the most exact one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// A float32 transform.
    Plain,
    /// One of the samples without what they have in common, if that is most of them: the window's own spectrum times
    /// this offset is added afterwards.
    Centred,
    /// One of the differences of the windowed samples, which are formed in float64: little is left of a hum. Each power
    /// is divided by what that did to its frequency afterwards.
    Difference,
    /// A float64 transform.
    Float64,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Centred, Self::Difference, Self::Float64];
}

/// Sums of powers in each lane.
#[derive(Clone, Copy)]
pub(super) struct Sums<V> {
    /// Of the frame.
    pub(super) frame: V,
    /// Of what was transformed: errors follow that.
    pub(super) transformed: V,
}

/// For each band, the decibels above those of the mean power of what was transformed from which on it is exact enough,
/// where the power of each bin was multiplied by its factor after the transform.
fn limits(bank: &FilterBank, spectrum: Spectrum, factor: impl Fn(usize) -> f64) -> Vec<f32> {
    let limit = |mel: usize| {
        let bins = (bank.first_bin(mel)..).map(&factor);
        let weights = bank.weights(mel).iter().map(|&w| f64::from(w)).zip(bins);
        let (scale, sum): (_, f64) = match spectrum {
            Spectrum::Power => (10.0, weights.map(|(w, factor)| w * factor).sum()),
            Spectrum::Magnitude => (20.0, weights.map(|(w, factor)| w * factor.sqrt()).sum()),
        };
        // An empty filter has no error at all.
        if sum == 0.0 { f32::MIN } else { (scale * sum.log10() - DEPTH_DB) as f32 }
    };
    (0..bank.len()).map(limit).collect()
}

/// Those of a spectrum that was transformed as it is.
pub(super) fn plain_limits(bank: &FilterBank, spectrum: Spectrum) -> Vec<f32> {
    limits(bank, spectrum, |_| 1.0)
}

/// What most of the samples of each frame is, if they have that in common, or else 0: by some of them.
#[inline(always)]
pub(super) fn offsets<V: Vector>(group: FrameGroup<'_>, length: usize) -> V {
    let places = (0..length).step_by(length.div_ceil(OFFSET_SAMPLES));
    let share = V::splat(1.0 / places.len() as f32);
    let [mut sum, mut squares] = [V::splat(0.0); 2];
    for place in places {
        let mut lanes = [0.0; MAX_LANES];
        for (lane, to) in lanes[..V::LANES].iter_mut().enumerate() {
            *to = group.samples[lane * group.stride + place];
        }
        let x = V::load(&lanes);
        (sum, squares) = (sum + x, x.mul_add(x, squares));
    }
    let mean = sum * share;
    let [mut means, mut variances] = [[0.0; MAX_LANES]; 2];
    mean.store(&mut means);
    (squares * share - mean * mean).store(&mut variances);
    for (mean, variance) in means.iter_mut().zip(variances) {
        *mean = if *mean * *mean > OFFSET_RATIO * variance { *mean } else { 0.0 };
    }
    V::load(&means)
}

/// The plan of what is more than a float32 transform.
pub(super) struct GreatRange {
    wide: Stft<f64>,
    /// The window's own spectrum.
    window: Vec<Complex<f32>>,
    /// What differences do to the power of each frequency, and its inverse.
    gains: Vec<f32>,
    inverse: Vec<f32>,
    limits: Vec<f32>,
}

impl GreatRange {
    pub(super) fn new(window: &[f64], bank: &FilterBank, spectrum: Spectrum, level: SimdLevel) -> Self {
        let wide = Stft::new(window);
        let step = TAU / window.len() as f64;
        // |1 - factor * e^-iw|^2
        let gain = |bin: usize| 1.0 + DIFFERENCE * DIFFERENCE - 2.0 * DIFFERENCE * (step * bin as f64).cos();
        let gains = (0..wide.bins()).map(|bin| gain(bin) as f32).collect();
        let inverse = (0..wide.bins()).map(|bin| (1.0 / gain(bin)) as f32).collect();
        let limits = limits(bank, spectrum, |bin| 1.0 / gain(bin));
        Self { window: level.run(OfOnes(&wide, level)), wide, gains, inverse, limits }
    }

    /// As [`plain_limits`], of differences.
    pub(super) fn limits(&self) -> &[f32] {
        &self.limits
    }

    /// [`Stft::power`] of frames less an offset in each, which is put back after the transform.
    #[inline(always)]
    pub(super) fn centred<V: Vector>(
        &self,
        stft: &Stft,
        group: FrameGroup<'_>,
        offsets: V,
        buffers: [&mut [V]; 2],
        power: &mut [V],
    ) -> Sums<V> {
        let spectrum = stft.spectrum(group, Some(offsets), buffers);
        for (power, &bin) in power.iter_mut().zip(&*spectrum) {
            *power = Power::of(bin);
        }
        let transformed = sum(power);
        for ((power, [re, im]), &[c, s]) in power.iter_mut().zip(spectrum).zip(&self.window) {
            *power = Power::of([offsets.mul_add(V::splat(c), *re), offsets.mul_add(V::splat(s), *im)]);
        }
        Sums { frame: sum(power), transformed }
    }

    /// [`Stft::power`] by differences.
    #[inline(always)]
    pub(super) fn difference<V: Vector>(
        &self,
        stft: &Stft,
        group: FrameGroup<'_>,
        buffers: [&mut [V]; 2],
        power: &mut [V],
    ) -> Sums<V> {
        stft.difference_power(group, (&self.wide, DIFFERENCE), buffers, power);
        let transformed = sum(power);
        for (power, &inverse) in power.iter_mut().zip(&self.inverse) {
            *power = *power * V::splat(inverse);
        }
        Sums { frame: sum(power), transformed }
    }

    /// The sum of the powers of differences, from those of frames.
    #[inline(always)]
    pub(super) fn of_differences<V: Vector>(&self, power: &[V]) -> V {
        let terms = power.iter().zip(&self.gains);
        terms.fold(V::splat(0.0), |sum, (&power, &gain)| power.mul_add(V::splat(gain), sum))
    }

    /// [`Stft::power`] in float64, half of the lanes at a time.
    #[inline(always)]
    pub(super) fn float64<V: Vector>(
        &self,
        group: FrameGroup<'_>,
        buffers: &mut [Vec<Aligned>; 2],
        halves: &mut [Vec<Aligned>; 2],
        power: &mut [V],
    ) -> V {
        let mut totals = [V::Wide::splat(0.0); 2];
        for (half, (to, total)) in halves.iter_mut().zip(&mut totals).enumerate() {
            let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V::Wide>(buffer)[..self.wide.room()]);
            let to = &mut vectors::<V::Wide>(to)[..power.len()];
            *total = self.wide.power(group.from(half * V::LANES / 2), [a, b], to);
        }
        let [low, high] = halves.each_mut().map(|half| &*vectors::<V::Wide>(half));
        for ((power, &low), &high) in power.iter_mut().zip(low).zip(high) {
            *power = V::narrowed([low, high]);
        }
        V::narrowed(totals)
    }
}

/// The spectrum of ones.
struct OfOnes<'a>(&'a Stft<f64>, SimdLevel);

impl Kernel for OfOnes<'_> {
    type Output = Vec<Complex<f32>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let Self(stft, level) = self;
        let mut buffers = [(); 2].map(|()| Aligned::zeros(level, stft.room()));
        let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V::Wide>(buffer)[..stft.room()]);
        let ones = vec![1.0; stft.reads()];
        let spectrum = stft.spectrum(FrameGroup { samples: &ones, stride: 0 }, None, [a, b]);
        let part = |vector| numbers(&[vector])[0] as f32;
        spectrum.iter().map(|&bin| bin.map(part)).collect()
    }
}
