//! What a sample may be: a finite number of at most [`MAX_SAMPLE`].

use crate::simd::{Kernel, SimdLevel, Vector};
use crate::{Error, Result};
use std::ops::Range;

/// Largest magnitude of a sample, full scale being 1: beyond it the power of a spectrum leaves float32.
pub const MAX_SAMPLE: f32 = 1e12;

/// Values that are copied and looked at together: where that takes two passes, they stay in the nearest cache in between.
pub(crate) const NEAR: usize = 2048;

/// The bits of a magnitude: their order is that of the magnitudes, NaN above infinity. Signed, as the maximum of signed
/// integers vectorises on every processor.
#[inline(always)]
pub(crate) const fn bits(x: f32) -> i32 {
    x.abs().to_bits() as i32
}

/// The [`bits`] of the greatest magnitude.
#[inline(always)]
pub(crate) fn greatest_bits(values: &[f32]) -> i32 {
    values.iter().fold(0, |greatest, &x| greatest.max(bits(x)))
}

/// Copy values into as many places; returns their [`greatest_bits`].
#[inline(always)]
pub(crate) fn copied_bits(values: &[f32], to: &mut [f32]) -> i32 {
    let copy = |greatest: i32, (to, &x): (&mut f32, &f32)| {
        *to = x;
        greatest.max(bits(x))
    };
    to.iter_mut().zip(values).fold(0, copy)
}

/// Whether all are samples; for use inside of kernels.
#[inline(always)]
pub(crate) fn is_finite_in_range(samples: &[f32]) -> bool {
    greatest_bits(samples) <= bits(MAX_SAMPLE)
}

struct IsFiniteInRange<'a>(&'a [f32]);

impl Kernel for IsFiniteInRange<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        is_finite_in_range(self.0)
    }
}

/// Refuse what are no samples.
///
/// # Errors
/// [`Error::Array`] with the first offending position.
pub(crate) fn check(samples: &[f32]) -> Result<()> {
    check_part(samples, 0..samples.len())
}

/// [`check`] of a part of them.
pub(crate) fn check_part(samples: &[f32], part: Range<usize>) -> Result<()> {
    // The whole is tested before the place is sought: it vectorises.
    if SimdLevel::best().run(IsFiniteInRange(&samples[part.clone()])) {
        return Ok(());
    }
    let place = part.into_iter().find(|&i| !is_finite_in_range(&samples[i..=i])).unwrap_or_default();
    let expected = format!("finite samples of at most {MAX_SAMPLE:e}, full scale being 1");
    Err(Error::array("samples", format!("{} at position {place}", samples[place]), expected))
}

/// Copies samples into as many places, and looks at each on the way.
struct Copy<'a>(&'a [f32], &'a mut [f32]);

impl Kernel for Copy<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let pieces = self.0.chunks(NEAR).zip(self.1.chunks_mut(NEAR));
        pieces.fold(0, |greatest, (samples, to)| greatest.max(copied_bits(samples, to))) <= bits(MAX_SAMPLE)
    }
}

/// Copy samples into as many places.
///
/// # Errors
/// As [`check`]; `to` then holds nothing of use.
pub(crate) fn copy(samples: &[f32], to: &mut [f32]) -> Result<()> {
    if SimdLevel::best().run(Copy(samples, to)) { Ok(()) } else { check(samples) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_no_sample_is_named() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.1e12, -1.1e12] {
            let mut samples = [0.5; 40];
            (samples[31], samples[35]) = (bad, bad);
            assert!(check_part(&samples, 0..31).is_ok() && check_part(&samples, 36..40).is_ok());
            for error in [check(&samples), check_part(&samples, 30..36), copy(&samples, &mut [0.0; 40])] {
                let text = error.unwrap_err().to_string();
                assert_eq!(
                    text,
                    format!(
                        "samples: {bad} at position 31; expected finite samples of at most 1e12, full scale being 1"
                    )
                );
            }
        }
        let odd = [f32::MIN_POSITIVE, -0.0, 1e-45, -1e12];
        let mut to = [1.0; 4];
        copy(&odd, &mut to).unwrap();
        assert_eq!(to.map(f32::to_bits), odd.map(f32::to_bits));
    }
}
