//! Circular shift in time.

use super::checks::check_length;
use crate::par::Cancel;
use crate::{Result, samples};

/// Rotate a clip: a positive shift moves the sound later, and what leaves at the end comes back at the start.
///
/// # Errors
/// [`crate::Error::Array`] if a sample is not finite or the lengths differ; [`crate::Error::Interrupted`]; `out` then
/// holds nothing of use.
pub fn time_shift(clip: &[f32], shift: i64, out: &mut [f32], cancel: &Cancel) -> Result<()> {
    check_length(clip, out)?;
    let shift = shift.rem_euclid(clip.len().max(1) as i64) as usize;
    let (later, wrapped) = clip.split_at(clip.len() - shift);
    let (start, rest) = out.split_at_mut(shift);
    let copied = samples::copy(wrapped, start, cancel).and_then(|()| samples::copy(later, rest, cancel));
    // The place of a bad sample is that in the clip, not in its half.
    copied.or_else(|_| samples::check(clip, cancel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shifted(clip: &[f32], shift: i64) -> Vec<f32> {
        let mut out = vec![f32::NAN; clip.len()];
        time_shift(clip, shift, &mut out, &Cancel::default()).unwrap();
        out
    }

    #[test]
    fn moves_later_and_wraps() {
        assert_eq!(shifted(&[1.0, 2.0, 3.0], 1), [3.0, 1.0, 2.0]);
        assert_eq!(shifted(&[1.0, 2.0, 3.0], -4), [2.0, 3.0, 1.0]);
        assert!(shifted(&[], i64::MIN).is_empty());
        let text = time_shift(&[1.0], 1, &mut [0.0; 3], &Cancel::default()).unwrap_err().to_string();
        assert_eq!(text, "out: 3 samples; expected 1 samples, as many as the clip has");
    }

    #[test]
    fn a_bad_sample_is_named_by_its_place_in_the_clip() {
        let mut clip = vec![0.0; 5000];
        clip[4321] = f32::NAN;
        for shift in [0, 700, 4999] {
            let text =
                time_shift(&clip, shift, &mut [0.0; 5000], &Cancel::default()).unwrap_err().to_string();
            assert!(text.starts_with("samples: NaN at position 4321"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn back_and_forth_is_nothing(
            clip in prop::collection::vec(-1.0_f32..1.0, 1..200),
            shift in -1000_i64..1000,
        ) {
            prop_assert_eq!(shifted(&shifted(&clip, shift), -shift), clip);
        }
    }
}
