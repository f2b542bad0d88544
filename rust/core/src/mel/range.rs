//! Frames whose range is too great for float32.
//!
//! A float32 transform leaves an error in every bin that follows the frame's mean power, whatever the bin itself
//! holds: a quiet band beside loud tones is off by more the deeper it lies. A band whose mean lies deeper than
//! [`DEPTH_DB`] below the mean power of all bins, and that still counts, which is down to 80 dB below the clip's
//! maximum so far, makes its group of frames too deep for what it was done by, and the group is done again by what
//! comes next:
//!
//! 1. a float32 transform;
//! 2. one of the samples without what they have in common, if that is most of them: the window's own spectrum times
//!    this offset is added afterwards;
//! 3. a float64 transform, without that offset too.
//!
//! A clip is mostly alike from one group to the next, which begins with what was needed for the one before. Of
//! recordings of machines less than one frame in a thousand needs more than the first.

use super::filterbank::FilterBank;
use super::input::Samples;
use super::settings::Spectrum;
use super::stft::{FrameGroup, Offset, Stft};
use crate::fft::Complex;
use crate::simd::{Aligned, Kernel, Lanes, SimdLevel, Vector, numbers, vectors};
use std::ops::Range;

/// Errors at this depth are below 5e-4 dB, and they halve with every 6 dB less.
const DEPTH_DB: f64 = 40.0;

/// How far below the clip's maximum a band counts, in dB.
pub(super) const RANGE_DB: f32 = 80.1;

/// Samples that tell whether a group of frames has an offset.
const OFFSET_SAMPLES: usize = 64;
/// An offset is one whose square is above so many times the variance: less takes no digits that count.
const OFFSET_RATIO: f64 = 100.0;

/// For each band, the decibels above those of the frame's mean power from which on it is exact enough.
pub(super) fn limits(bank: &FilterBank, spectrum: Spectrum) -> Vec<f32> {
    let scale = match spectrum {
        Spectrum::Power => 10.0,
        Spectrum::Magnitude => 20.0,
    };
    let limit = |weights: &[f32]| {
        let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        // An empty filter has no error at all.
        if sum == 0.0 { f32::MIN } else { (scale * sum.log10() - DEPTH_DB) as f32 }
    };
    (0..bank.len()).map(|mel| limit(bank.weights(mel))).collect()
}

/// What a group of frames is done by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Means {
    /// What is taken from every sample; 0: nothing.
    pub(super) offset: f32,
    /// Whether the transform is in float64.
    pub(super) float64: bool,
}

impl Means {
    /// Whether it is the plain float32 transform.
    pub(super) fn are_plain(self) -> bool {
        self.offset == 0.0 && !self.float64
    }
}

/// What most of the samples of a range is, if they have that in common, or else 0: by some of them.
pub(super) fn offset(samples: &Samples<'_>, range: Range<usize>) -> f32 {
    let step = range.len().div_ceil(OFFSET_SAMPLES).max(1);
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for i in range.step_by(step) {
        let x = f64::from(samples.at(i));
        (count, sum, squares) = (count + 1.0, sum + x, squares + x * x);
    }
    let mean = sum / count;
    if mean * mean > OFFSET_RATIO * (squares / count - mean * mean) { mean as f32 } else { 0.0 }
}

/// The plan of what is more than a float32 transform.
pub(super) struct GreatRange {
    stft: Stft<f64>,
    /// The window's own spectrum.
    window: Vec<Complex<f64>>,
}

impl GreatRange {
    pub(super) fn new(window: &[f64], level: SimdLevel) -> Self {
        let stft = Stft::new(window);
        let window = level.run(OfOnes(&stft, level));
        Self { stft, window }
    }

    /// A constant in all samples.
    pub(super) fn offset(&self, value: f32) -> Option<Offset<'_>> {
        (value != 0.0).then_some(Offset { value, window: &self.window })
    }

    /// [`Stft::power`] in float64, half of the lanes at a time.
    #[inline(always)]
    pub(super) fn power<V: Vector>(
        &self,
        group: FrameGroup<'_>,
        offset: f32,
        buffers: &mut [Vec<Aligned>; 2],
        halves: &mut [Vec<Aligned>; 2],
        power: &mut [V],
    ) -> V {
        let mut totals = [V::Wide::splat(0.0); 2];
        for (half, (to, total)) in halves.iter_mut().zip(&mut totals).enumerate() {
            let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V::Wide>(buffer)[..self.stft.room()]);
            let to = &mut vectors::<V::Wide>(to)[..power.len()];
            *total = self.stft.power(group.from(half * V::LANES / 2), self.offset(offset), [a, b], to);
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
    type Output = Vec<Complex<f64>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let Self(stft, level) = self;
        let mut buffers = [(); 2].map(|()| Aligned::zeros(level, stft.room()));
        let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V::Wide>(buffer)[..stft.room()]);
        let ones = vec![1.0; stft.reads()];
        let spectrum = stft.spectrum(FrameGroup { samples: &ones, stride: 0 }, None, [a, b]);
        spectrum.iter().map(|bin| [numbers(&bin[..1])[0], numbers(&bin[1..])[0]]).collect()
    }
}
