//! What a sample may be: a finite number of at most [`MAX_SAMPLE`].

use crate::par::Cancel;
use crate::simd::{Kernel, SimdLevel, Vector};
use crate::{Error, Result};
use std::ops::Range;

/// Largest magnitude of a sample, full scale being 1: beyond it the power of a spectrum leaves float32.
pub const MAX_SAMPLE: f32 = 1e12;

/// Values that are copied and looked at together: where that takes two passes, they stay in the nearest cache in between.
pub(crate) const NEAR: usize = 2048;

/// Values between two looks whether the call is to stop: less than a millisecond of work.
pub(crate) const UNINTERRUPTED: usize = 1 << 18;

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
/// [`Error::Array`] with the first offending position; [`Error::Interrupted`].
pub(crate) fn check(samples: &[f32], cancel: &Cancel) -> Result<()> {
    check_part(samples, 0..samples.len(), cancel)
}

/// [`check`] of a part of them.
pub(crate) fn check_part(samples: &[f32], part: Range<usize>, cancel: &Cancel) -> Result<()> {
    for start in part.clone().step_by(UNINTERRUPTED) {
        cancel.check()?;
        let piece = start..part.end.min(start + UNINTERRUPTED);
        // The whole piece is tested before the place is sought: it vectorises.
        if SimdLevel::best().run(IsFiniteInRange(&samples[piece.clone()])) {
            continue;
        }
        let place = piece.into_iter().find(|&i| !is_finite_in_range(&samples[i..=i])).unwrap_or_default();
        let expected = format!("finite samples of at most {MAX_SAMPLE:e}, full scale being 1");
        return Err(Error::array("samples", format!("{} at position {place}", samples[place]), expected));
    }
    Ok(())
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
pub(crate) fn copy(samples: &[f32], to: &mut [f32], cancel: &Cancel) -> Result<()> {
    for (piece, to) in samples.chunks(UNINTERRUPTED).zip(to.chunks_mut(UNINTERRUPTED)) {
        cancel.check()?;
        if !SimdLevel::best().run(Copy(piece, to)) {
            return check(samples, cancel);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_no_sample_is_named() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.1e12, -1.1e12] {
            let mut samples = [0.5; 40];
            (samples[31], samples[35]) = (bad, bad);
            let cancel = &Cancel::default();
            assert!(
                check_part(&samples, 0..31, cancel).is_ok() && check_part(&samples, 36..40, cancel).is_ok()
            );
            let copied = copy(&samples, &mut [0.0; 40], cancel);
            for error in [check(&samples, cancel), check_part(&samples, 30..36, cancel), copied] {
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
        copy(&odd, &mut to, &Cancel::default()).unwrap();
        assert_eq!(to.map(f32::to_bits), odd.map(f32::to_bits));
    }

    #[test]
    fn long_clips_are_checked_and_copied_in_pieces() {
        let cancel = Cancel::default();
        let mut samples: Vec<f32> = (0..2 * UNINTERRUPTED + 5).map(|i| i as f32).collect();
        let mut to = vec![0.0; samples.len()];
        copy(&samples, &mut to, &cancel).unwrap();
        assert!(to == samples);
        samples[2 * UNINTERRUPTED + 1] = f32::NAN;
        for error in [check(&samples, &cancel), copy(&samples, &mut to, &cancel)] {
            let text = error.unwrap_err().to_string();
            assert!(text.starts_with("samples: NaN at position 524289;"), "{text}");
        }
        cancel.cancel();
        for error in [check(&samples, &cancel), copy(&samples, &mut to, &cancel)] {
            assert!(matches!(error, Err(Error::Interrupted)));
        }
    }
}
