//! White Gaussian noise at a signal-to-noise ratio.

use super::{check_range, check_samples};
use crate::Result;
use crate::rng::Stream;

/// Samples drawn at a time: enough for the loops to vectorise, few enough to stay in the nearest cache.
const BLOCK: usize = 256;

/// Add white Gaussian noise whose power is exactly `snr_db` below the clip's.
///
/// A silent clip stays silent: its noise has the power 0.
///
/// # Errors
/// [`crate::Error::Parameter`] if the ratio is not within -100 to 200 dB, [`crate::Error::Array`] if a sample
/// is not finite.
pub fn white_noise(samples: &[f32], snr_db: f64, stream: &mut Stream) -> Result<Vec<f32>> {
    check_samples(samples)?;
    check_range("snr_db", snr_db, -100.0, 200.0)?;
    let mut out = vec![0.0; samples.len()];
    white_noise_into(samples, snr_db, stream, &mut out);
    Ok(out)
}

/// [`white_noise`] with a checked ratio into an array of the clip's length.
pub(super) fn white_noise_into(samples: &[f32], snr_db: f64, stream: &mut Stream, out: &mut [f32]) {
    gaussian(stream, out);
    let noise_power = energy(out);
    let gain = if noise_power > 0.0 {
        (energy(samples) / noise_power).sqrt() * 10_f64.powf(-snr_db / 20.0)
    } else {
        0.0
    };
    let gain = gain as f32;
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = sample + gain * *out;
    }
}

/// Sum of squares, each block in its own sum so that a long clip loses no precision.
fn energy(samples: &[f32]) -> f64 {
    let block = |block: &[f32]| {
        let mut lanes = [0.0_f64; 8];
        for eight in block.chunks(8) {
            for (lane, &sample) in lanes.iter_mut().zip(eight) {
                *lane += f64::from(sample) * f64::from(sample);
            }
        }
        lanes.iter().sum::<f64>()
    };
    samples.chunks(BLOCK).map(block).sum()
}

/// Fill an array with standard normal numbers by the method of Box and Muller (1958).
///
/// Only additions, multiplications, divisions and square roots are used, so that every processor gives the
/// same bytes.
pub(super) fn gaussian(stream: &mut Stream, out: &mut [f32]) {
    let mut bits = [0_u64; BLOCK / 2];
    for block in out.chunks_mut(BLOCK) {
        let pairs = block.len().div_ceil(2);
        bits[..pairs].fill_with(|| stream.next_u64());
        let mut drawn = [[0.0_f32; 2]; BLOCK / 2];
        for (pair, &bits) in drawn.iter_mut().zip(&bits[..pairs]) {
            *pair = normal_pair(bits);
        }
        block.copy_from_slice(&drawn.as_flattened()[..block.len()]);
    }
}

/// Two independent standard normal numbers from 64 uniform bits: 32 for the radius, 32 for the angle.
#[inline]
fn normal_pair(bits: u64) -> [f32; 2] {
    let uniform = ((bits >> 32) as f32 + 0.5) * (1.0 / 4_294_967_296.0); // rounds to 1 at most, never to 0
    let radius = (-2.0 * ln(uniform)).max(0.0).sqrt();
    let turn = (bits as u32) << 2; // the two bits that this drops choose the quadrant
    let (sin, cos) = quarter_turn(turn as f32 * (1.0 / 4_294_967_296.0));
    let quadrant = (bits as u32) >> 30;
    let (a, b) = if quadrant & 1 == 0 { (cos, sin) } else { (sin, -cos) };
    let sign = if quadrant & 2 == 0 { radius } else { -radius };
    [sign * a, sign * b]
}

/// Natural logarithm of a normal positive number, to 1e-7 relative to the larger of itself and 1.
#[inline]
fn ln(x: f32) -> f32 {
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)) by its series.
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let exponent = (bits as i32) >> 23;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) + 0x3f35_04f3);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    let series = 2.0 + q * (2.0 / 3.0 + q * (2.0 / 5.0 + q * (2.0 / 7.0 + q * (2.0 / 9.0))));
    exponent as f32 * std::f32::consts::LN_2 + s * series
}

/// Sine and cosine of `turn` quarter turns, `turn` in [0, 1], to 2e-7.
#[inline]
fn quarter_turn(turn: f32) -> (f32, f32) {
    // Taylor series about the middle of the quarter, |x| <= pi / 4, then a rotation by pi / 4.
    let x = (turn - 0.5) * std::f32::consts::FRAC_PI_2;
    let q = x * x;
    let sin = x * (1.0 + q * (-1.0 / 6.0 + q * (1.0 / 120.0 + q * (-1.0 / 5040.0 + q * (1.0 / 362_880.0)))));
    let cos = 1.0 + q * (-0.5 + q * (1.0 / 24.0 + q * (-1.0 / 720.0 + q * (1.0 / 40_320.0))));
    let half = std::f32::consts::FRAC_1_SQRT_2;
    (half * (cos + sin), half * (cos - sin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn logarithm_and_sines_are_accurate() {
        for i in 0..=10_000 {
            let turn = i as f32 / 10_000.0;
            let (sin, cos) = quarter_turn(turn);
            let angle = f64::from(turn) * std::f64::consts::FRAC_PI_2;
            assert!((f64::from(sin) - angle.sin()).abs() < 3e-7, "sin {turn}");
            assert!((f64::from(cos) - angle.cos()).abs() < 3e-7, "cos {turn}");
            let x = 10_f32.powf(-10.0 * turn);
            let exact = f64::from(x).ln();
            assert!((f64::from(ln(x)) - exact).abs() < 2e-7 * exact.abs().max(1.0), "ln {x}");
        }
    }

    #[test]
    fn moments_are_those_of_a_normal_distribution() {
        let mut numbers = vec![0.0; 1_000_000];
        gaussian(&mut Stream::new(&[1]), &mut numbers);
        let moment = |power: i32| numbers.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / 1e6;
        for (power, expected, error) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            // five standard errors of each moment
            let bound = 5.0 * f64::sqrt(error / 1e6);
            assert!((moment(power) - expected).abs() < bound, "moment {power}: {}", moment(power));
        }
        let pairs = numbers.chunks(2).map(|pair| f64::from(pair[0] * pair[1])).sum::<f64>() / 5e5;
        assert!(pairs.abs() < 5.0 / 5e5_f64.sqrt());
    }

    #[test]
    fn silence_and_nothing_stay_what_they_are() {
        assert_eq!(white_noise(&[0.0; 100], -6.0, &mut Stream::new(&[])).unwrap(), [0.0; 100]);
        assert!(white_noise(&[], 0.0, &mut Stream::new(&[])).unwrap().is_empty());
    }

    #[test]
    fn the_largest_clip_and_noise_do_not_overflow() {
        let noisy = white_noise(&[super::super::MAX_SAMPLE; 1000], -100.0, &mut Stream::new(&[3])).unwrap();
        assert!(noisy.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn what_is_not_a_ratio_is_refused() {
        for snr_db in [f64::NAN, f64::INFINITY, -101.0] {
            assert!(white_noise(&[1.0], snr_db, &mut Stream::new(&[])).is_err());
        }
    }

    proptest! {
        #[test]
        fn the_ratio_is_exact(level in 1e-6_f32..1.0, snr_db in -20.0_f64..40.0, length in 1_usize..2000) {
            let clip: Vec<f32> = (0..length).map(|i| level * (1.0 + (i as f32).sin())).collect();
            let noisy = white_noise(&clip, snr_db, &mut Stream::new(&[length as u64])).unwrap();
            let noise: Vec<f32> = noisy.iter().zip(&clip).map(|(y, x)| y - x).collect();
            let measured = 10.0 * (energy(&clip) / energy(&noise)).log10();
            prop_assert!((measured - snr_db).abs() < 0.01, "{measured} for {snr_db}");
        }
    }
}
