//! Circular shift in time.

use super::check_samples;
use crate::Result;

/// Rotate a clip: a positive shift moves the sound later, and what leaves at the end comes back at the start.
///
/// # Errors
/// [`crate::Error::Array`] if a sample is not finite.
pub fn time_shift(samples: &[f32], shift: i64) -> Result<Vec<f32>> {
    check_samples(samples)?;
    let mut out = vec![0.0; samples.len()];
    time_shift_into(samples, shift, &mut out);
    Ok(out)
}

/// [`time_shift`] into an array of the clip's length.
pub(super) fn time_shift_into(samples: &[f32], shift: i64, out: &mut [f32]) {
    if samples.is_empty() {
        return;
    }
    let split = shift.rem_euclid(samples.len() as i64) as usize;
    let (head, tail) = samples.split_at(samples.len() - split);
    out[..split].copy_from_slice(tail);
    out[split..].copy_from_slice(head);
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
