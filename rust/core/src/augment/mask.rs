//! Masks over time or frequency, on a log-Mel spectrogram.

use crate::{Error, Result};
use std::ops::Range;

/// A masked stretch of an axis as fractions, so that it can be drawn before the spectrogram's size is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Band {
    /// Where it starts, in `[0, 1)`: 0 the first position that the width allows, just under 1 the last.
    pub start: f32,
    /// How wide it is, in `[0, 1]`: 0 masks nothing, anything more at least one bin.
    pub width: f32,
}

impl Band {
    /// The bins that the band covers on an axis of `size` bins.
    #[must_use]
    pub fn bins(self, size: usize) -> Range<usize> {
        if self.width <= 0.0 || size == 0 {
            return 0..0;
        }
        let width = (f64::from(self.width) * size as f64) as usize;
        let width = width.clamp(1, size);
        let start = (f64::from(self.start) * (size - width + 1) as f64) as usize;
        let start = start.min(size - width);
        start..start + width
    }
}

/// Set `frames` of every row of a log-Mel (rows of Mel bins, `n_frames` each) to its minimum.
///
/// # Errors
/// [`Error::Parameter`] if the frames are not all there, [`Error::Array`] if a value is not finite.
pub fn time_mask(logmel: &[f32], n_frames: usize, frames: Range<usize>) -> Result<Vec<f32>> {
    check_bins(&frames, n_frames, "frames")?;
    let minimum = minimum(logmel)?;
    let mut out = logmel.to_vec();
    fill_frames(&mut out, n_frames, frames, minimum);
    Ok(out)
}

/// Set the Mel bins `bins` of a log-Mel (rows of Mel bins, `n_frames` each) to its minimum.
///
/// # Errors
/// [`Error::Parameter`] if the bins are not all there, [`Error::Array`] if a value is not finite.
pub fn frequency_mask(logmel: &[f32], n_frames: usize, bins: Range<usize>) -> Result<Vec<f32>> {
    check_bins(&bins, logmel.len().checked_div(n_frames).unwrap_or(0), "Mel bins")?;
    let minimum = minimum(logmel)?;
    let mut out = logmel.to_vec();
    out[bins.start * n_frames..bins.end * n_frames].fill(minimum);
    Ok(out)
}

/// Mask a log-Mel in place by bands of time and of frequency.
///
/// # Errors
/// [`Error::Array`] if a value is not finite.
pub(crate) fn mask_in_place(logmel: &mut [f32], n_frames: usize, time: Band, frequency: Band) -> Result<()> {
    let minimum = minimum(logmel)?;
    fill_frames(logmel, n_frames, time.bins(n_frames), minimum);
    let bins = frequency.bins(logmel.len().checked_div(n_frames).unwrap_or(0));
    logmel[bins.start * n_frames..bins.end * n_frames].fill(minimum);
    Ok(())
}

fn fill_frames(logmel: &mut [f32], n_frames: usize, frames: Range<usize>, value: f32) {
    if frames.is_empty() {
        return;
    }
    for row in logmel.chunks_exact_mut(n_frames) {
        row[frames.clone()].fill(value);
    }
}

fn check_bins(bins: &Range<usize>, size: usize, what: &str) -> Result<()> {
    if bins.start <= bins.end && bins.end <= size {
        return Ok(());
    }
    let given = format!("{}..{}", bins.start, bins.end);
    Err(Error::parameter("start..start + width", given, format!("a part of the {size} {what}")))
}

fn minimum(logmel: &[f32]) -> Result<f32> {
    if let Some(place) = logmel.iter().position(|x| !x.is_finite()) {
        let given = format!("{} at flat position {place}", logmel[place]);
        return Err(Error::array("logmel", given, "finite numbers"));
    }
    Ok(logmel.iter().copied().reduce(f32::min).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_masks_fill_with_the_minimum() {
        let logmel = [1.0, 2.0, 3.0, 4.0, 5.0, -6.0];
        assert_eq!(time_mask(&logmel, 3, 1..2).unwrap(), [1.0, -6.0, 3.0, 4.0, -6.0, -6.0]);
        assert_eq!(frequency_mask(&logmel, 3, 0..1).unwrap(), [-6.0, -6.0, -6.0, 4.0, 5.0, -6.0]);
        assert_eq!(time_mask(&logmel, 3, 3..3).unwrap(), logmel);
    }

    #[test]
    fn a_mask_outside_is_refused() {
        let text = time_mask(&[0.0; 6], 3, 2..4).unwrap_err().to_string();
        assert_eq!(text, "start..start + width = 2..4: expected a part of the 3 frames");
        assert!(frequency_mask(&[0.0; 6], 3, 0..3).is_err());
        assert!(time_mask(&[f32::NAN; 6], 3, 0..1).is_err());
    }

    proptest! {
        #[test]
        fn bands_lie_inside(start in 0.0_f32..=1.0, width in 0.0_f32..=1.0, size in 0_usize..400) {
            let bins = Band { start, width }.bins(size);
            prop_assert!(bins.end <= size);
            let floor = (f64::from(width) * size as f64) as usize;
            let expected = if width == 0.0 || size == 0 { 0 } else { floor.max(1) };
            prop_assert_eq!(bins.len(), expected);
        }
    }
}
