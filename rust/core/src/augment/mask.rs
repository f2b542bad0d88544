//! Masks over time or frequency, on a log-Mel spectrogram.

use super::{NEAR, append, greatest};
use crate::simd::{Kernel, Level, Vector, numbers};
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

/// Set `frames` of every row of a log-Mel (rows of Mel bins, `n_frames` each) to a value, or else to its minimum.
///
/// # Errors
/// [`Error::Parameter`] if the frames are not all there or the value is not finite, [`Error::Array`] if the log-Mel
/// is not.
pub fn time_mask(
    logmel: &[f32],
    n_frames: usize,
    frames: Range<usize>,
    value: Option<f32>,
) -> Result<Vec<f32>> {
    check_mask(&frames, n_frames, "frames", value)?;
    let (mut out, value) = copied(logmel, value)?;
    fill_frames(&mut out, n_frames, frames, value);
    Ok(out)
}

/// [`time_mask`] of the log-Mel itself; with a value, what is not masked is not looked at.
///
/// # Errors
/// As [`time_mask`]; the log-Mel is then as it was.
pub fn time_mask_in_place(
    logmel: &mut [f32],
    n_frames: usize,
    frames: Range<usize>,
    value: Option<f32>,
) -> Result<()> {
    check_mask(&frames, n_frames, "frames", value)?;
    let value = value.map_or_else(|| minimum(logmel), Ok)?;
    fill_frames(logmel, n_frames, frames, value);
    Ok(())
}

/// Set the Mel bins `bins` of a log-Mel (rows of Mel bins, `n_frames` each) to a value, or else to its minimum.
///
/// # Errors
/// [`Error::Parameter`] if the bins are not all there or the value is not finite, [`Error::Array`] if the log-Mel
/// is not.
pub fn frequency_mask(
    logmel: &[f32],
    n_frames: usize,
    bins: Range<usize>,
    value: Option<f32>,
) -> Result<Vec<f32>> {
    check_mask(&bins, logmel.len().checked_div(n_frames).unwrap_or(0), "Mel bins", value)?;
    let (mut out, value) = copied(logmel, value)?;
    out[bins.start * n_frames..bins.end * n_frames].fill(value);
    Ok(out)
}

/// [`frequency_mask`] of the log-Mel itself; with a value, what is not masked is not looked at.
///
/// # Errors
/// As [`frequency_mask`]; the log-Mel is then as it was.
pub fn frequency_mask_in_place(
    logmel: &mut [f32],
    n_frames: usize,
    bins: Range<usize>,
    value: Option<f32>,
) -> Result<()> {
    check_mask(&bins, logmel.len().checked_div(n_frames).unwrap_or(0), "Mel bins", value)?;
    let value = value.map_or_else(|| minimum(logmel), Ok)?;
    logmel[bins.start * n_frames..bins.end * n_frames].fill(value);
    Ok(())
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

fn check_mask(bins: &Range<usize>, size: usize, what: &str, value: Option<f32>) -> Result<()> {
    if let Some(value) = value.filter(|value| !value.is_finite()) {
        return Err(Error::parameter("value", value, "a finite number, or none for the minimum"));
    }
    if bins.start <= bins.end && bins.end <= size {
        return Ok(());
    }
    let given = format!("{}..{}", bins.start, bins.end);
    Err(Error::parameter("start..start + width", given, format!("a part of the {size} {what}")))
}

/// A copy of a log-Mel, and the value given or else its minimum.
fn copied(logmel: &[f32], value: Option<f32>) -> Result<(Vec<f32>, f32)> {
    let mut out = Vec::with_capacity(logmel.len());
    let filler = Level::best().run(Filler { logmel, value, copy: Some(&mut out) });
    filler.map(|filler| (out, filler)).ok_or_else(|| not_finite(logmel))
}

fn minimum(logmel: &[f32]) -> Result<f32> {
    Level::best().run(Filler { logmel, value: None, copy: None }).ok_or_else(|| not_finite(logmel))
}

fn not_finite(logmel: &[f32]) -> Error {
    let place = logmel.iter().position(|x| !x.is_finite()).unwrap_or_default();
    let given = logmel.get(place).map_or_else(String::new, |x| format!("{x} at flat position {place}"));
    Error::array("logmel", given, "finite numbers")
}

/// The value given or else the minimum of a log-Mel (0 if it is empty); nothing if a value of it is not finite. If
/// asked for, with a copy. Each value is looked at while it is near. The loops are plain and vectorise.
struct Filler<'a> {
    logmel: &'a [f32],
    value: Option<f32>,
    copy: Option<&'a mut Vec<f32>>,
}

impl Kernel for Filler<'_> {
    type Output = Option<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Option<f32> {
        let Self { logmel, value, mut copy } = self;
        let (mut least, mut finite) = (V::splat(f32::MAX), true);
        for chunk in logmel.chunks(NEAR) {
            let greatest = match &mut copy {
                Some(copy) => append(chunk, copy),
                None => greatest(chunk),
            };
            finite &= greatest <= f32::MAX.to_bits();
            if value.is_none() {
                least = least_of(chunk, least);
            }
        }
        let least = numbers(&[least]).iter().copied().fold(f32::MAX, f32::min);
        let least = if logmel.is_empty() { 0.0 } else { least };
        finite.then_some(value.unwrap_or(least))
    }
}

/// The least value of each lane.
#[inline(always)]
fn least_of<V: Vector>(values: &[f32], least: V) -> V {
    let mut least = [least; 4];
    let mut blocks = values.chunks_exact(4 * V::LANES);
    for block in &mut blocks {
        for (i, least) in least.iter_mut().enumerate() {
            *least = V::load(&block[i * V::LANES..]).min(*least);
        }
    }
    let rest = blocks.remainder().iter().copied().fold(f32::MAX, f32::min);
    least[0].min(least[1]).min(least[2].min(least[3])).min(V::splat(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_masks_fill_with_the_minimum() {
        let logmel = [1.0, 2.0, 3.0, 4.0, 5.0, -6.0];
        assert_eq!(time_mask(&logmel, 3, 1..2, None).unwrap(), [1.0, -6.0, 3.0, 4.0, -6.0, -6.0]);
        assert_eq!(frequency_mask(&logmel, 3, 0..1, None).unwrap(), [-6.0, -6.0, -6.0, 4.0, 5.0, -6.0]);
        assert_eq!(time_mask(&logmel, 3, 3..3, None).unwrap(), logmel);
    }

    #[test]
    fn a_mask_outside_is_refused() {
        let text = time_mask(&[0.0; 6], 3, 2..4, None).unwrap_err().to_string();
        assert_eq!(text, "start..start + width = 2..4: expected a part of the 3 frames");
        assert!(frequency_mask(&[0.0; 6], 3, 0..3, None).is_err());
        assert!(time_mask(&[f32::NAN; 6], 3, 0..1, None).is_err());
        let text = time_mask(&[0.0; 6], 3, 0..1, Some(f32::NAN)).unwrap_err().to_string();
        assert!(text.starts_with("value = NaN: expected a finite number"), "{text}");
        let mut values = vec![0.0; 5000];
        values[4567] = f32::INFINITY;
        let text = frequency_mask(&values, 50, 0..3, Some(1.0)).unwrap_err().to_string();
        assert!(text.starts_with("logmel: inf at flat position 4567"), "{text}");
    }

    #[test]
    fn in_place_is_the_same() {
        let logmel: Vec<f32> = (0..6000).map(|i| (0.1 * i as f32).sin()).collect();
        for value in [None, Some(-3.0)] {
            let mut changed = logmel.clone();
            time_mask_in_place(&mut changed, 60, 7..20, value).unwrap();
            assert_eq!(changed, time_mask(&logmel, 60, 7..20, value).unwrap());
            changed.copy_from_slice(&logmel);
            frequency_mask_in_place(&mut changed, 60, 30..50, value).unwrap();
            assert_eq!(changed, frequency_mask(&logmel, 60, 30..50, value).unwrap());
        }
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
