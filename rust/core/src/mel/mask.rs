//! Masks over time and frequency, given as fractions so that they fit any spectrogram.

use crate::augment::{Band, mask_bands};
use crate::par::Cancel;
use crate::{Error, Result};

/// Start and width of a time mask, then of a frequency mask, as fractions; width 0 is no mask.
pub type Mask = [f32; 4];

/// Refuse widths outside `[0, 1]` and starts outside `[0, 1)`.
pub(super) fn check(masks: &[Mask], clips: usize) -> Result<()> {
    if masks.len() != clips {
        return Err(Error::array(
            "masks",
            format!("{} rows", masks.len()),
            format!("one for each of {clips} clips"),
        ));
    }
    for (index, mask) in masks.iter().enumerate() {
        let [start, width, low, height] = mask;
        if !([start, low].iter().all(|x| (0.0..1.0).contains(*x))
            && [width, height].iter().all(|x| (0.0..=1.0).contains(*x)))
        {
            let expected =
                "(time_start, time_width, freq_start, freq_width), starts in [0, 1), widths in [0, 1]";
            return Err(Error::array(format!("masks[{index}]"), format!("{mask:?}"), expected));
        }
    }
    Ok(())
}

/// Fill both masks of one spectrogram, `(n_mels, frames)` row by row, with its least value.
pub(super) fn apply(logmel: &mut [f32], frames: usize, mask: Mask, cancel: &Cancel) -> Result<()> {
    let [time, frequency] =
        [(mask[0], mask[1]), (mask[2], mask[3])].map(|(start, width)| Band { start, width });
    if time.width == 0.0 && frequency.width == 0.0 {
        return Ok(());
    }
    mask_bands(None, logmel, frames, time, frequency, cancel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_what_the_fractions_say() {
        let mut logmel: Vec<f32> = (0..40).map(|i| i as f32).collect();
        // Frames: floor(0.25 * 10) = 2 from floor(0.5 * 9) = 4; bands: 1 from floor(0.9 * 4) = 3.
        apply(&mut logmel, 10, [0.5, 0.25, 0.9, 0.01], &Cancel::default()).unwrap();
        apply(&mut logmel, 10, [0.9, 0.0, 0.1, 0.0], &Cancel::default()).unwrap();
        for (i, x) in logmel.iter().enumerate() {
            let masked = i / 10 == 3 || [4, 5].contains(&(i % 10));
            assert_eq!(*x, if masked { 0.0 } else { i as f32 });
        }
    }

    #[test]
    fn bad_masks_are_named() {
        let good = [0.0, 0.0, 0.0, 1.0];
        assert!(check(&[good], 1).is_ok());
        assert!(
            check(&[good], 2)
                .unwrap_err()
                .to_string()
                .starts_with("masks: 1 rows; expected one for each of 2")
        );
        for bad in [[1.0, 0., 0., 0.], [0., 1.1, 0., 0.], [0., 0., -0.1, 0.], [0., 0., 0., f32::NAN]] {
            assert!(check(&[good, bad], 2).unwrap_err().to_string().starts_with("masks[1]: "));
        }
    }
}
