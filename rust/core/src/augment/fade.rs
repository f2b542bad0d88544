//! Fade in and fade out with the curves of torchaudio's `Fade`.

use super::check_samples;
use crate::{Error, Result};
use std::f64::consts::{FRAC_PI_2, PI};

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

    /// The gain where the fade in has come to `u` in `0..=1`; a fade out is the same curve run backwards.
    fn gain(self, u: f64) -> f64 {
        let gain = match self {
            Self::Linear => u,
            Self::Exponential => u * (u - 1.0).exp2(),
            Self::Logarithmic => 1.0 + (0.1 + u).log10(),
            Self::QuarterSine => (FRAC_PI_2 * u).sin(),
            Self::HalfSine => 0.5 - 0.5 * (PI * u).cos(),
        };
        gain.clamp(0.0, 1.0)
    }
}

/// Fade a clip in over its first `fade_in` samples and out over its last `fade_out`.
///
/// The first sample of a fade in and the last of a fade out have the curve's gain at 0, which is silence. The
/// fades may overlap; their gains then multiply.
///
/// # Errors
/// [`Error::Parameter`] if a fade is longer than the clip, [`Error::Array`] if a sample is not finite.
pub fn fade(samples: &[f32], fade_in: usize, fade_out: usize, shape: Shape) -> Result<Vec<f32>> {
    check_samples(samples)?;
    for (name, length) in [("fade_in", fade_in), ("fade_out", fade_out)] {
        if length > samples.len() {
            let expected = format!("at most the clip's {} samples", samples.len());
            return Err(Error::parameter(name, length, expected));
        }
    }
    let mut out = samples.to_vec();
    fade_in_place(&mut out, fade_in, fade_out, shape);
    Ok(out)
}

/// [`fade`] of lengths known to fit.
pub(super) fn fade_in_place(samples: &mut [f32], fade_in: usize, fade_out: usize, shape: Shape) {
    ramp(samples[..fade_in].iter_mut(), shape);
    let start = samples.len() - fade_out;
    if fade_out == 1 {
        return; // a fade out of one sample ends before it falls, as torchaudio's does
    }
    ramp(samples[start..].iter_mut().rev(), shape);
}

fn ramp<'a>(samples: impl ExactSizeIterator<Item = &'a mut f32>, shape: Shape) {
    let step = 1.0 / samples.len().saturating_sub(1).max(1) as f64;
    for (i, sample) in samples.enumerate() {
        *sample *= shape.gain(i as f64 * step) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_of_a_linear_fade() {
        let faded = fade(&[1.0; 6], 3, 2, Shape::Linear).unwrap();
        assert_eq!(faded, [0.0, 0.5, 1.0, 1.0, 1.0, 0.0]);
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
        let text = fade(&[1.0; 4], 2, 5, Shape::Linear).unwrap_err().to_string();
        assert_eq!(text, "fade_out = 5: expected at most the clip's 4 samples");
    }

    proptest! {
        #[test]
        fn gains_rise_and_stay_within_0_and_1(length in 2_usize..500, shape in 0_usize..5) {
            let faded = fade(&vec![1.0; length], length, 0, Shape::ALL[shape]).unwrap();
            prop_assert!(faded.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(faded[0].abs() < 1e-6 && (faded[length - 1] - 1.0).abs() < 1e-6);
        }

        #[test]
        fn a_fade_out_mirrors_a_fade_in(length in 2_usize..500, shape in 0_usize..5) {
            let mut rising = fade(&vec![1.0; length], length, 0, Shape::ALL[shape]).unwrap();
            rising.reverse();
            prop_assert_eq!(rising, fade(&vec![1.0; length], 0, length, Shape::ALL[shape]).unwrap());
        }
    }
}
