//! A clip's samples as frames want them: float32, with what stands before the first and behind the last one.

use super::settings::PadMode;
use crate::par::Cancel;
use crate::simd::INT16;
use crate::{Result, samples};

/// The samples of one clip and channel.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// Full scale is 1.
    F32(&'a [f32]),
    /// Full scale is 32768, as in PCM files.
    I16(&'a [i16]),
}

impl Samples<'_> {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(samples) => samples.len(),
            Self::I16(samples) => samples.len(),
        }
    }

    /// Whether there is no sample at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Write the samples from `start` on.
    #[inline(always)]
    fn copy(&self, start: usize, to: &mut [f32]) {
        match self {
            Self::F32(samples) => to.copy_from_slice(&samples[start..start + to.len()]),
            Self::I16(samples) => {
                let from = &samples[start..start + to.len()];
                for (to, &sample) in to.iter_mut().zip(from) {
                    *to = f32::from(sample) * INT16;
                }
            }
        }
    }

    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> f32 {
        match self {
            Self::F32(samples) => samples[index],
            Self::I16(samples) => f32::from(samples[index]) * INT16,
        }
    }

    /// Whether all samples of a range are finite and at most [`MAX_SAMPLE`](crate::MAX_SAMPLE).
    #[inline(always)]
    pub(super) fn are_in_range(&self, range: std::ops::Range<usize>) -> bool {
        match self {
            Self::F32(samples) => samples::is_finite_in_range(&samples[range]),
            Self::I16(_) => true,
        }
    }

    /// Name the first sample that is not.
    pub(super) fn check(&self, cancel: &Cancel) -> Result<()> {
        match self {
            Self::F32(samples) => samples::check(samples, cancel),
            Self::I16(_) => Ok(()),
        }
    }
}

/// A clip between its paddings of `pad` samples each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padded<'a> {
    pub(super) samples: Samples<'a>,
    pub(super) pad: usize,
    pub(super) mode: PadMode,
}

impl Padded<'_> {
    /// Write the padded clip from `start` on; behind its end come zeros.
    #[inline(always)]
    pub(super) fn fill(&self, start: usize, to: &mut [f32]) {
        let (pad, count) = (self.pad, self.samples.len());
        let place = |padded: usize| padded.saturating_sub(start).min(to.len());
        let (first, end) = (place(pad), place(pad + count));
        let (before, rest) = to.split_at_mut(first);
        let (inside, behind) = rest.split_at_mut(end - first);
        let reflect = self.mode == PadMode::Reflect;
        for (i, to) in before.iter_mut().enumerate() {
            *to = if reflect { self.samples.at(pad - (start + i)) } else { 0.0 };
        }
        if !inside.is_empty() {
            self.samples.copy(start + first - pad, inside);
        }
        for (i, to) in behind.iter_mut().enumerate() {
            // How far behind the last sample this one is.
            let distance = start + end + i - (pad + count) + 1;
            *to = if reflect && distance <= pad { self.samples.at(count - 1 - distance) } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_numpys() {
        let samples = [1.0, 2.0, 3.0, 4.0];
        let padded = |mode, pad| Padded { samples: Samples::F32(&samples), pad, mode };
        let whole = |padded: Padded<'_>| {
            let mut out = [9.0; 12];
            padded.fill(0, &mut out);
            out
        };
        assert_eq!(whole(padded(PadMode::Constant, 3)), [0., 0., 0., 1., 2., 3., 4., 0., 0., 0., 0., 0.]);
        assert_eq!(whole(padded(PadMode::Reflect, 3)), [4., 3., 2., 1., 2., 3., 4., 3., 2., 1., 0., 0.]);
        assert_eq!(whole(padded(PadMode::None, 0)), [1., 2., 3., 4., 0., 0., 0., 0., 0., 0., 0., 0.]);
    }

    #[test]
    fn any_part_is_a_part_of_the_whole() {
        let samples: Vec<i16> = (1..=9).map(|i| i * 1000).collect();
        for (mode, pad) in [(PadMode::Constant, 8), (PadMode::Reflect, 8), (PadMode::None, 0)] {
            let padded = Padded { samples: Samples::I16(&samples), pad, mode };
            let mut whole = [9.0; 40];
            padded.fill(0, &mut whole);
            assert!((whole[pad + 4] - 5000.0 / 32768.0).abs() < 1e-9);
            for start in 0..40 {
                for end in start..=40 {
                    let mut part = vec![9.0; end - start];
                    padded.fill(start, &mut part);
                    assert_eq!(part, whole[start..end], "{mode:?} {start}..{end}");
                }
            }
        }
    }
}
