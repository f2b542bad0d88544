//! Fade in and fade out with the curves of torchaudio's `Fade`.

use super::checks::check_length;
use super::elementary::{half_exp2, log10_of_1_to_11, quarter_sine};
use crate::par::Cancel;
use crate::simd::{Kernel, SimdLevel, Vector};
use crate::{Error, Result, samples};

/// Samples whose places are counted in 32 bits at a time.
const PIECE: usize = 1 << 16;

/// The curve of a fade. With `u` rising from 0 to 1 over the fade in:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `u`
    Linear,
    /// `u 2^(u - 1)`
    Exponential,
    /// `1 + log10(0.1 + u)`, at most 1
    Logarithmic,
    /// `sin(pi u / 2)`
    QuarterSine,
    /// `(1 - cos(pi u)) / 2`
    HalfSine,
}

impl Shape {
    /// All shapes, in the order in which the augmenter numbers them.
    pub const ALL: [Self; 5] =
        [Self::Linear, Self::Exponential, Self::Logarithmic, Self::QuarterSine, Self::HalfSine];

    /// The shape's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Exponential => "exponential",
            Self::Logarithmic => "logarithmic",
            Self::QuarterSine => "quarter_sine",
            Self::HalfSine => "half_sine",
        }
    }

    /// The shape of that name.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|shape| shape.name() == name);
        found.ok_or_else(|| Error::parameter("shape", format!("{name:?}"), format!("one of {}", names())))
    }
}

/// Fade a clip in over its first `fade_in` samples and out over its last `fade_out`.
///
/// The first sample of a fade in and the last of a fade out have the curve's gain at 0, which is silence. The
/// fades may overlap; their gains then multiply. `out` becomes the faded copy of `clip`; without one it is itself the
/// clip, of which only the samples that fade are then looked at.
///
/// # Errors
/// [`Error::Parameter`] if a fade is longer than the clip, [`Error::Array`] if a sample is not finite or the lengths
/// differ, [`Error::Interrupted`], where a clip that is changed itself may be faded in part.
pub fn fade(
    clip: Option<&[f32]>,
    out: &mut [f32],
    fade_in: usize,
    fade_out: usize,
    shape: Shape,
    cancel: &Cancel,
) -> Result<()> {
    check_lengths(clip.unwrap_or(out), fade_in, fade_out)?;
    if let Some(clip) = clip {
        check_length(clip, out)?;
        samples::copy(clip, out, cancel)?;
    } else {
        samples::check_part(out, 0..fade_in, cancel)?;
        samples::check_part(out, out.len() - fade_out..out.len(), cancel)?;
    }
    ramps(out, fade_in, fade_out, shape, cancel)
}

fn check_lengths(samples: &[f32], fade_in: usize, fade_out: usize) -> Result<()> {
    for (name, length) in [("fade_in", fade_in), ("fade_out", fade_out)] {
        if length > samples.len() {
            let expected = format!("at most the clip's {} samples", samples.len());
            return Err(Error::parameter(name, length, expected));
        }
    }
    Ok(())
}

fn ramps(samples: &mut [f32], fade_in: usize, fade_out: usize, shape: Shape, cancel: &Cancel) -> Result<()> {
    let level = SimdLevel::best();
    level.run(Ramp { samples: &mut samples[..fade_in], shape, falling: false, cancel })?;
    // A fade out of one sample ends before it falls, as torchaudio's does.
    if fade_out > 1 {
        let start = samples.len() - fade_out;
        level.run(Ramp { samples: &mut samples[start..], shape, falling: true, cancel })?;
    }
    Ok(())
}

/// A fade in over all samples, or the same run backwards.
struct Ramp<'a> {
    samples: &'a mut [f32],
    shape: Shape,
    falling: bool,
    cancel: &'a Cancel,
}

impl Kernel for Ramp<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<()> {
        match self.shape {
            Shape::Linear => self.line(),
            Shape::Exponential => self.apply(|u| u * half_exp2(u)),
            Shape::Logarithmic => self.apply(log10_of_1_to_11),
            Shape::QuarterSine => self.apply(quarter_sine),
            // (1 - cos 2x) / 2 = sin^2 x
            Shape::HalfSine => self.apply(|u| quarter_sine(u) * quarter_sine(u)),
        }
    }
}

impl Ramp<'_> {
    /// Multiply by the gain where the fade in has come to `u` in `0..=1`. The loops are plain and vectorise.
    #[inline(always)]
    fn apply(self, gain: impl Fn(f64) -> f64) -> Result<()> {
        let last = self.samples.len().saturating_sub(1);
        let step = 1.0 / last.max(1) as f64;
        let (origin, direction) = if self.falling { (last as f64, -1.0) } else { (0.0, 1.0) };
        for (piece, samples) in self.samples.chunks_mut(PIECE).enumerate() {
            self.cancel.check()?;
            let first = (piece * PIECE) as f64;
            for (i, sample) in samples.iter_mut().enumerate() {
                let place = first + f64::from(i as i32); // exact, and signed 32 bits convert fastest
                let gain = gain((origin + direction * place) * step);
                let gain = if gain > 1.0 { 1.0 } else { gain };
                *sample *= gain as f32;
            }
        }
        Ok(())
    }
}

impl Ramp<'_> {
    /// The linear gain in float32, which is as exact as it is itself.
    #[inline(always)]
    fn line(self) -> Result<()> {
        let last = self.samples.len().saturating_sub(1);
        let step = 1.0 / last.max(1) as f32;
        let (origin, direction) = if self.falling { (last as f64, -1.0) } else { (0.0, 1.0) };
        for (piece, samples) in self.samples.chunks_mut(PIECE).enumerate() {
            self.cancel.check()?;
            // A whole number, so that a fade out mirrors a fade in.
            let first = (origin + direction * (piece * PIECE) as f64) as f32;
            for (i, sample) in samples.iter_mut().enumerate() {
                let gain = (first + direction as f32 * i as i32 as f32) * step;
                *sample *= if gain > 1.0 { 1.0 } else { gain };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::FRAC_PI_2;

    fn faded(clip: &[f32], fade_in: usize, fade_out: usize, shape: Shape) -> Vec<f32> {
        let mut out = vec![f32::NAN; clip.len()];
        fade(Some(clip), &mut out, fade_in, fade_out, shape, &Cancel::default()).unwrap();
        out
    }

    #[test]
    fn half_of_a_linear_fade() {
        assert_eq!(faded(&[1.0; 6], 3, 2, Shape::Linear), [0.0, 0.5, 1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn curves_are_their_formulas() {
        let formula = |shape: Shape, u: f64| match shape {
            Shape::Linear => u,
            Shape::Exponential => u * (u - 1.0).exp2(),
            Shape::Logarithmic => (1.0 + (0.1 + u).log10()).min(1.0),
            Shape::QuarterSine => (FRAC_PI_2 * u).sin(),
            Shape::HalfSine => 0.5 - 0.5 * (2.0 * FRAC_PI_2 * u).cos(),
        };
        for shape in Shape::ALL {
            let faded = faded(&[1.0; 1001], 1001, 0, shape);
            assert_eq!(faded[0], 0.0);
            // The linear one is computed in float32 and rounds twice.
            let bound = if shape == Shape::Linear { 1.2e-7 } else { 4e-8 };
            for (i, &gain) in faded.iter().enumerate() {
                let expected = formula(shape, i as f64 / 1000.0);
                assert!(
                    (f64::from(gain) - expected).abs() < bound,
                    "{shape:?} at {i}: {gain}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn in_place_is_the_same_and_looks_at_nothing_else() {
        let clip: Vec<f32> = (0..300).map(|i| (i as f32).sin()).collect();
        for shape in Shape::ALL {
            let mut changed = clip.clone();
            fade(None, &mut changed, 200, 250, shape, &Cancel::default()).unwrap();
            assert_eq!(changed, faded(&clip, 200, 250, shape));
        }
        let mut bad = [1.0, 1.0, f32::NAN, 1.0, 1.0];
        fade(None, &mut bad, 2, 2, Shape::Linear, &Cancel::default()).unwrap();
        let before = bad.map(f32::to_bits);
        let copied = fade(Some(&bad), &mut [0.0; 5], 0, 0, Shape::Linear, &Cancel::default());
        for got in [fade(None, &mut bad, 2, 3, Shape::Linear, &Cancel::default()), copied] {
            let text = got.unwrap_err().to_string();
            assert!(text.starts_with("samples: NaN at position 2"), "{text}");
        }
        assert_eq!(bad.map(f32::to_bits), before, "nothing was changed");
    }

    #[test]
    fn a_raised_flag_stops_it() {
        let cancel = Cancel::default();
        cancel.cancel();
        for shape in Shape::ALL {
            let copied = fade(Some(&[1.0; 9]), &mut [0.0; 9], 0, 0, shape, &cancel);
            let changed = fade(None, &mut [1.0; 9], 9, 9, shape, &cancel);
            let ramp = ramps(&mut [1.0; 9], 0, 9, shape, &cancel);
            for got in [copied, changed, ramp] {
                assert!(matches!(got, Err(Error::Interrupted)));
            }
        }
    }

    #[test]
    fn every_level_gives_the_same_bytes() {
        for shape in Shape::ALL {
            let faded = |level: SimdLevel| {
                let mut out = [0.7_f32; 777];
                level
                    .run(Ramp { samples: &mut out, shape, falling: true, cancel: &Cancel::default() })
                    .unwrap();
                out.map(f32::to_bits)
            };
            for level in SimdLevel::all() {
                assert_eq!(faded(level), faded(SimdLevel::all()[0]), "{shape:?} {level:?}");
            }
        }
    }

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for shape in Shape::ALL {
            assert_eq!(Shape::from_name(shape.name()).unwrap(), shape);
        }
        let text = Shape::from_name("cubic").unwrap_err().to_string();
        assert!(text.starts_with("shape = \"cubic\": expected one of linear, "), "{text}");
    }

    #[test]
    fn a_fade_longer_than_the_clip_is_refused() {
        for clip in [None, Some(&[1.0; 4][..])] {
            let text =
                fade(clip, &mut [1.0; 4], 2, 5, Shape::Linear, &Cancel::default()).unwrap_err().to_string();
            assert_eq!(text, "fade_out = 5: expected at most the clip's 4 samples");
        }
        let text = fade(Some(&[1.0; 4]), &mut [1.0; 5], 2, 4, Shape::Linear, &Cancel::default())
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("out: 5 samples; expected 4"), "{text}");
    }

    proptest! {
        #[test]
        fn gains_rise_and_stay_within_0_and_1(length in 2_usize..500, shape in 0_usize..5) {
            let faded = faded(&vec![1.0; length], length, 0, Shape::ALL[shape]);
            prop_assert!(faded.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(faded[0].abs() < 1e-6 && (faded[length - 1] - 1.0).abs() < 1e-6);
        }

        #[test]
        fn a_fade_out_mirrors_a_fade_in(length in 2_usize..500, shape in 0_usize..5) {
            let mut rising = faded(&vec![1.0; length], length, 0, Shape::ALL[shape]);
            rising.reverse();
            prop_assert_eq!(rising, faded(&vec![1.0; length], 0, length, Shape::ALL[shape]));
        }
    }
}
