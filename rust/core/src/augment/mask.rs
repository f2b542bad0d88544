//! Masks over time or frequency, on a log-Mel spectrogram.

use crate::par::Cancel;
use crate::samples::{NEAR, bits, copied_bits, greatest_bits};
use crate::simd::{Kernel, SimdLevel, Vector, numbers};
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

/// What a log-Mel is masked along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Frames.
    Time,
    /// Mel bins.
    Frequency,
}

impl Axis {
    /// The axis of that name: `time` or `frequency`.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "time" => Ok(Self::Time),
            "frequency" => Ok(Self::Frequency),
            _ => Err(Error::parameter("axis", format!("{name:?}"), "time or frequency")),
        }
    }

    /// Number of bins along it.
    fn size(self, logmel: &[f32], n_frames: usize) -> usize {
        match self {
            Self::Time => n_frames,
            Self::Frequency => logmel.len().checked_div(n_frames).unwrap_or(0),
        }
    }

    /// Set bins to a value.
    fn fill(
        self,
        logmel: &mut [f32],
        n_frames: usize,
        bins: Range<usize>,
        value: f32,
        cancel: &Cancel,
    ) -> Result<()> {
        if bins.is_empty() {
            return Ok(());
        }
        let (rows, part) = match self {
            Self::Time => (logmel, bins),
            Self::Frequency => (&mut logmel[bins.start * n_frames..bins.end * n_frames], 0..n_frames),
        };
        for row in rows.chunks_exact_mut(n_frames) {
            cancel.check()?;
            row[part.clone()].fill(value);
        }
        Ok(())
    }
}

/// Set the bins of one axis of a log-Mel (rows of Mel bins, `n_frames` each) to a value, or else to its minimum.
///
/// `out` becomes the masked copy of `logmel`; without one it is itself the log-Mel, of which nothing is looked at if
/// there is a value.
///
/// # Errors
/// [`Error::Parameter`] if the bins are not all there or the value is not finite, [`Error::Array`] if the log-Mel
/// is not or the sizes differ; a log-Mel that is changed itself is then as it was. [`Error::Interrupted`], where it may
/// be masked in part.
pub fn mask(
    logmel: Option<&[f32]>,
    out: &mut [f32],
    n_frames: usize,
    axis: Axis,
    bins: Range<usize>,
    value: Option<f32>,
    cancel: &Cancel,
) -> Result<()> {
    if let Some(value) = value.filter(|value| !value.is_finite()) {
        return Err(Error::parameter("value", value, "a finite number, or none for the minimum"));
    }
    let size = axis.size(out, n_frames);
    if bins.start > bins.end || bins.end > size {
        let given = format!("{}..{}", bins.start, bins.end);
        let expected = match axis {
            Axis::Time => format!("a part of the {size} frames"),
            Axis::Frequency => format!("a part of the {size} Mel bins"),
        };
        return Err(Error::parameter("start..start + width", given, expected));
    }
    let value = filler(logmel, out, value, cancel)?;
    axis.fill(out, n_frames, bins, value, cancel)
}

/// [`mask`] by a band of time and a band of frequency, to the minimum.
///
/// # Errors
/// [`Error::Array`] if a value is not finite or the sizes differ; [`Error::Interrupted`].
pub fn mask_bands(
    logmel: Option<&[f32]>,
    out: &mut [f32],
    n_frames: usize,
    time: Band,
    frequency: Band,
    cancel: &Cancel,
) -> Result<()> {
    let minimum = filler(logmel, out, None, cancel)?;
    for (axis, band) in [(Axis::Time, time), (Axis::Frequency, frequency)] {
        let bins = band.bins(axis.size(out, n_frames));
        axis.fill(out, n_frames, bins, minimum, cancel)?;
    }
    Ok(())
}

/// The value given or else the minimum; `out` becomes a copy of the log-Mel if there is one.
fn filler(logmel: Option<&[f32]>, out: &mut [f32], value: Option<f32>, cancel: &Cancel) -> Result<f32> {
    if let (None, Some(value)) = (logmel, value) {
        return Ok(value);
    }
    if let Some(other) = logmel.map(<[f32]>::len).filter(|&length| length != out.len()) {
        return Err(Error::array("out", format!("{} values", out.len()), format!("{other} values")));
    }
    SimdLevel::best().run(Filler { logmel, out: &mut *out, value, cancel })?.ok_or_else(|| {
        let logmel = logmel.unwrap_or(out);
        let place = logmel.iter().position(|x| !x.is_finite()).unwrap_or_default();
        let given = logmel.get(place).map_or_else(String::new, |x| format!("{x} at flat position {place}"));
        Error::array("logmel", given, "finite numbers")
    })
}

/// The value given or else the minimum of a log-Mel (0 if it is empty); nothing if a value of it is not finite. Each
/// value is looked at, and copied if there is a log-Mel apart from `out`, while it is near. The loops are plain and
/// vectorise.
struct Filler<'a> {
    logmel: Option<&'a [f32]>,
    out: &'a mut [f32],
    value: Option<f32>,
    cancel: &'a Cancel,
}

impl Kernel for Filler<'_> {
    type Output = Result<Option<f32>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<Option<f32>> {
        let Self { logmel, out, value, cancel } = self;
        let (mut least, mut finite) = (V::splat(f32::MAX), true);
        for (i, to) in out.chunks_mut(NEAR).enumerate() {
            cancel.check()?;
            let greatest = match logmel {
                Some(logmel) => copied_bits(&logmel[i * NEAR..][..to.len()], to),
                None => greatest_bits(to),
            };
            finite &= greatest <= bits(f32::MAX);
            if value.is_none() {
                least = least_of(to, least);
            }
        }
        let least = numbers(&[least]).iter().copied().fold(f32::MAX, f32::min);
        let least = if out.is_empty() { 0.0 } else { least };
        Ok(finite.then_some(value.unwrap_or(least)))
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

    fn masked(logmel: &[f32], n_frames: usize, axis: Axis, bins: Range<usize>) -> Vec<f32> {
        let mut out = vec![f32::NAN; logmel.len()];
        mask(Some(logmel), &mut out, n_frames, axis, bins, None, &Cancel::default()).unwrap();
        out
    }

    #[test]
    fn both_masks_fill_with_the_minimum() {
        let logmel = [1.0, 2.0, 3.0, 4.0, 5.0, -6.0];
        assert_eq!(masked(&logmel, 3, Axis::Time, 1..2), [1.0, -6.0, 3.0, 4.0, -6.0, -6.0]);
        assert_eq!(masked(&logmel, 3, Axis::Frequency, 0..1), [-6.0, -6.0, -6.0, 4.0, 5.0, -6.0]);
        assert_eq!(masked(&logmel, 3, Axis::Time, 3..3), logmel);
        assert!(masked(&[], 0, Axis::Time, 0..0).is_empty());
    }

    #[test]
    fn a_mask_outside_is_refused() {
        let refused = |logmel: &[f32], axis, bins, value| {
            let out = &mut vec![0.0; logmel.len()];
            mask(Some(logmel), out, 3, axis, bins, value, &Cancel::default()).unwrap_err().to_string()
        };
        let text = refused(&[0.0; 6], Axis::Time, 2..4, None);
        assert_eq!(text, "start..start + width = 2..4: expected a part of the 3 frames");
        let text = refused(&[0.0; 6], Axis::Frequency, 0..3, None);
        assert_eq!(text, "start..start + width = 0..3: expected a part of the 2 Mel bins");
        let text = refused(&[0.0; 6], Axis::Time, 0..1, Some(f32::NAN));
        assert!(text.starts_with("value = NaN: expected a finite number"), "{text}");
        let text = Axis::from_name("mel").unwrap_err().to_string();
        assert_eq!(text, "axis = \"mel\": expected time or frequency");
    }

    #[test]
    fn a_value_that_is_not_finite_is_refused_by_its_place() {
        let mut values = vec![0.0; 6000];
        values[4567] = f32::INFINITY;
        for value in [None, Some(1.0)] {
            let out = &mut vec![0.0; 6000];
            let text = mask(Some(&values), out, 50, Axis::Frequency, 0..3, value, &Cancel::default())
                .unwrap_err()
                .to_string();
            assert!(text.starts_with("logmel: inf at flat position 4567"), "{text}");
        }
        let text =
            mask(None, &mut values, 50, Axis::Time, 0..3, None, &Cancel::default()).unwrap_err().to_string();
        assert!(text.starts_with("logmel: inf at flat position 4567"), "{text}");
        let text = mask(Some(&values), &mut [0.0; 50], 50, Axis::Time, 0..3, None, &Cancel::default())
            .unwrap_err()
            .to_string();
        assert_eq!(text, "out: 50 values; expected 6000 values");
    }

    #[test]
    fn in_place_is_the_same() {
        let logmel: Vec<f32> = (0..6000).map(|i| (0.1 * i as f32).sin()).collect();
        for value in [None, Some(-3.0)] {
            for (axis, bins) in [(Axis::Time, 7..20), (Axis::Frequency, 30..50)] {
                let (mut changed, mut copy) = (logmel.clone(), vec![f32::NAN; 6000]);
                mask(None, &mut changed, 60, axis, bins.clone(), value, &Cancel::default()).unwrap();
                mask(Some(&logmel), &mut copy, 60, axis, bins, value, &Cancel::default()).unwrap();
                assert_eq!(changed, copy);
                assert_ne!(changed, logmel);
            }
        }
    }

    #[test]
    fn a_raised_flag_stops_it() {
        let cancel = Cancel::default();
        cancel.cancel();
        for axis in [Axis::Time, Axis::Frequency] {
            for value in [None, Some(1.0)] {
                for logmel in [None, Some(&[0.0; 9][..])] {
                    let got = mask(logmel, &mut [0.0; 9], 3, axis, 0..1, value, &cancel);
                    assert!(matches!(got, Err(Error::Interrupted)));
                }
            }
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
