//! Decibels of powers or magnitudes, with the floor of the settings.

use super::settings::{Floor, Settings, Spectrum};
use crate::simd::Vector;

/// `scale * log10(max(x, floor))` or `scale * log10(x + floor)`.
#[derive(Clone, Copy)]
pub(super) struct Decibels {
    added: f32,
    least: f32,
    per_octave: f32,
    per_neper: f32,
}

impl Decibels {
    #[inline(always)]
    pub(super) fn new(settings: &Settings) -> Self {
        let scale = match settings.spectrum {
            Spectrum::Power => 10.0,
            Spectrum::Magnitude => 20.0,
        };
        let floor = settings.floor_value as f32;
        let (added, least) = match settings.floor {
            Floor::Max => (0.0, floor),
            Floor::Add => (floor, 0.0),
        };
        Self {
            added,
            least,
            per_octave: (scale * std::f64::consts::LOG10_2) as f32,
            per_neper: (scale * std::f64::consts::LOG10_E) as f32,
        }
    }

    /// Decibels of a mean power, of its root if decibels are those of magnitudes; no floor.
    #[inline(always)]
    pub(super) fn of_mean<V: Vector>(self, power: V, kind: Spectrum) -> V {
        let value = if kind == Spectrum::Magnitude { power.sqrt() } else { power };
        Self { added: 0.0, least: f32::MIN_POSITIVE, ..self }.of(value)
    }

    /// The logarithm is that of Cephes (`logf`): exact to about one unit in the last place of its result.
    #[inline(always)]
    pub(super) fn of<V: Vector>(self, x: V) -> V {
        const POLYNOMIAL: [f32; 9] = [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_84e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_7e-1,
            2.000_071_4e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ];
        let x = (x + V::splat(self.added)).max(V::splat(self.least));
        let (mantissa, exponent) = x.split();
        let m = mantissa - V::splat(1.0);
        let mut p = V::splat(POLYNOMIAL[0]);
        for &coefficient in &POLYNOMIAL[1..] {
            p = p.mul_add(m, V::splat(coefficient));
        }
        let square = m * m;
        let log = (p * m).mul_add(square, V::splat(-0.5).mul_add(square, m));
        exponent.mul_add(V::splat(self.per_octave), log * V::splat(self.per_neper))
    }
}
