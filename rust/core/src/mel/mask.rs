//! Masks over time and frequency, given as fractions so that they fit any spectrogram.

use crate::{Error, Result};
use std::ops::Range;

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

/// The bins of a mask: none for width 0, else at least one.
fn bins(start: f32, width: f32, size: usize) -> Range<usize> {
    if width == 0.0 {
        return 0..0;
    }
    let width = ((f64::from(width) * size as f64) as usize).clamp(1, size);
    let start = (f64::from(start) * (size - width + 1) as f64) as usize;
    start..start + width
}

/// Fill both masks of one spectrogram, `(n_mels, frames)` row by row, with its least value.
pub(super) fn apply(logmel: &mut [f32], frames: usize, mask: Mask) {
    let [start, width, low, height] = mask;
    let (times, mels) = (bins(start, width, frames), bins(low, height, logmel.len() / frames));
    if times.is_empty() && mels.is_empty() {
        return;
    }
    let least = logmel.iter().copied().fold(f32::INFINITY, f32::min);
    for (mel, row) in logmel.chunks_exact_mut(frames).enumerate() {
        if mels.contains(&mel) {
            row.fill(least);
        } else {
            row[times.clone()].fill(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fills_what_the_fractions_say() {
        let mut logmel: Vec<f32> = (0..40).map(|i| i as f32).collect();
        // Frames: floor(0.25 * 10) = 2 from floor(0.5 * 9) = 4; bands: 1 from floor(0.9 * 4) = 3.
        apply(&mut logmel, 10, [0.5, 0.25, 0.9, 0.01]);
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

    proptest! {
        #[test]
        fn bins_stay_inside(start in 0.0_f32..1.0, width in 0.0_f32..=1.0, size in 1_usize..100_000) {
            for start in [start, 1.0 - f32::EPSILON / 2.0] {
                let bins = bins(start, width, size);
                prop_assert!(bins.end <= size && (width == 0.0) == bins.is_empty());
            }
        }
    }
}
