//! Circular shift in time.

use super::{check_length, join_into, joined};
use crate::Result;

/// Rotate a clip: a positive shift moves the sound later, and what leaves at the end comes back at the start.
///
/// # Errors
/// [`crate::Error::Array`] if a sample is not finite.
pub fn time_shift(samples: &[f32], shift: i64) -> Result<Vec<f32>> {
    let (head, tail) = parts(samples, shift);
    joined(samples, [tail, head])
}

/// [`time_shift`] into an array of the clip's length.
///
/// # Errors
/// As [`time_shift`], and [`crate::Error::Array`] if the lengths differ; `out` then holds nothing of use.
pub fn time_shift_into(samples: &[f32], shift: i64, out: &mut [f32]) -> Result<()> {
    check_length(samples, out)?;
    let (head, tail) = parts(samples, shift);
    join_into(samples, [tail, head], out)
}

/// The part of the clip that moves later, and the part that comes back at the start.
fn parts(samples: &[f32], shift: i64) -> (&[f32], &[f32]) {
    let split = shift.rem_euclid(samples.len().max(1) as i64) as usize;
    samples.split_at(samples.len() - split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moves_later_and_wraps() {
        assert_eq!(time_shift(&[1.0, 2.0, 3.0], 1).unwrap(), [3.0, 1.0, 2.0]);
        assert_eq!(time_shift(&[1.0, 2.0, 3.0], -4).unwrap(), [2.0, 3.0, 1.0]);
        assert!(time_shift(&[], i64::MIN).unwrap().is_empty());
        let mut out = [0.0; 3];
        time_shift_into(&[1.0, 2.0, 3.0], 1, &mut out).unwrap();
        assert_eq!(out, [3.0, 1.0, 2.0]);
        assert!(time_shift_into(&[1.0], 1, &mut out).is_err());
    }

    #[test]
    fn a_bad_sample_is_named_by_its_place_in_the_clip() {
        let mut clip = vec![0.0; 5000];
        clip[4321] = f32::NAN;
        for shift in [0, 700, 4999] {
            let text = time_shift(&clip, shift).unwrap_err().to_string();
            assert!(text.starts_with("samples: NaN at position 4321"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn back_and_forth_is_nothing(
            clip in prop::collection::vec(-1.0_f32..1.0, 1..200),
            shift in -1000_i64..1000,
        ) {
            let there = time_shift(&clip, shift).unwrap();
            prop_assert_eq!(time_shift(&there, -shift).unwrap(), clip);
        }
    }
}
