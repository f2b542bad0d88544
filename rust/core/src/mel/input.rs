//! A clip's samples as frames want them: float32, with what stands before the first and behind the last one.

use super::{MAX_SAMPLE, PadMode};
use crate::simd::INT16;
use crate::{Error, Result};

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
    fn at(&self, index: usize) -> f32 {
        match self {
            Self::F32(samples) => samples[index],
            Self::I16(samples) => f32::from(samples[index]) * INT16,
        }
    }

    /// Whether all samples of a range are numbers of at most [`MAX_SAMPLE`].
    #[inline(always)]
    pub(super) fn sound(&self, range: std::ops::Range<usize>) -> bool {
        match self {
            // No early return: so it is a loop over vectors.
            Self::F32(samples) => samples[range].iter().fold(true, |sound, sample| sound & is_sound(*sample)),
            Self::I16(_) => true,
        }
    }

    /// Name the first sample that is not sound.
    pub(super) fn check(&self) -> Result<()> {
        let Self::F32(samples) = self else { return Ok(()) };
        match samples.iter().position(|sample| !is_sound(*sample)) {
            None => Ok(()),
            Some(position) => Err(Error::array(
                "samples",
                format!("{} at position {position}", samples[position]),
                format!("finite samples of at most {MAX_SAMPLE:e}, full scale being 1"),
            )),
        }
    }
}

/// False for NaN too.
#[inline(always)]
fn is_sound(sample: f32) -> bool {
    sample.abs() <= MAX_SAMPLE
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

    #[test]
    fn the_first_unsound_sample_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.1e12] {
            let mut samples = [0.5; 40];
            (samples[31], samples[35]) = (bad, bad);
            let samples = Samples::F32(&samples);
            assert!(samples.sound(0..31) && samples.sound(36..40) && !samples.sound(0..40));
            let error = samples.check().unwrap_err().to_string();
            assert!(error.contains("at position 31;"), "{error}");
        }
        assert!(Samples::F32(&[f32::MIN_POSITIVE, -0.0, 1e-45, -1e12]).sound(0..4));
    }
}
