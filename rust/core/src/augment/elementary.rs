//! Elementary functions in additions, multiplications, divisions and square roots alone: every processor gives the
//! same bytes, and loops over arrays vectorise.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_PI_2, LN_2, PI};
use std::f64::consts;
use std::ops::{Add, Mul};

/// Adding and subtracting it rounds a number below 2^22 to an integer.
const ROUNDER: f32 = 12_582_912.0;

/// A polynomial by Horner's rule; the coefficient of the highest power comes first.
#[inline(always)]
fn polynomial<T: Copy + Add<Output = T> + Mul<Output = T>, const N: usize>(x: T, coefficients: [T; N]) -> T {
    let mut sum = coefficients[0];
    for i in 1..N {
        sum = sum * x + coefficients[i];
    }
    sum
}

/// Natural logarithm of a normal positive number, to 2e-7 relative to the larger of itself and 1.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)) by its series.
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let exponent = (bits as i32) >> 23;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) + 0x3f35_04f3);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    exponent as f32 * LN_2 + s * polynomial(q, [2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0])
}

/// Sine and cosine of `x` within `-pi / 4 ..= pi / 4`, to 1e-7, by their Taylor series.
#[inline(always)]
fn small_sin_cos(x: f32) -> (f32, f32) {
    let q = x * x;
    let sin = polynomial(q, [1.0 / 362_880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0]);
    let cos = polynomial(q, [1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0]);
    (x * sin, cos)
}

/// Sine and cosine of `turn` quarter turns, `turn` in `0..=1`, to 3e-7.
#[inline(always)]
pub(super) fn quarter_turn(turn: f32) -> (f32, f32) {
    // About the middle of the quarter, then a rotation by pi / 4.
    let (sin, cos) = small_sin_cos((turn - 0.5) * FRAC_PI_2);
    (FRAC_1_SQRT_2 * (cos + sin), FRAC_1_SQRT_2 * (cos - sin))
}

/// Sine and cosine of any number of radians up to a million, to 3e-7 of the number or of 1.
#[inline(always)]
pub(super) fn sin_cos(radians: f32) -> (f32, f32) {
    let quarters = radians * (1.0 / FRAC_PI_2);
    let whole = (quarters + ROUNDER) - ROUNDER;
    let (sin, cos) = small_sin_cos((quarters - whole) * FRAC_PI_2);
    // The rounder's last bits are those of the integer.
    let quadrant = (quarters + ROUNDER).to_bits();
    let (a, b) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, -sin) };
    if quadrant & 2 == 0 { (a, b) } else { (-a, -b) }
}

/// Angle of the vector `(x, y)`, to 3e-7; 0 where there is none.
#[inline(always)]
pub(super) fn atan2(y: f32, x: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let (least, most) = if ax < ay { (ax, ay) } else { (ay, ax) };
    // tan a = least / most; above pi / 8 by the angle to the diagonal. The polynomial is that of Cephes (`atanf`).
    let steep = least > 0.414_213_57 * most;
    let numerator = if steep { least - most } else { least };
    let denominator = if steep { least + most } else { most };
    let t = numerator / if denominator > f32::MIN_POSITIVE { denominator } else { f32::MIN_POSITIVE };
    let q = t * t;
    let series = polynomial(q, [8.053_744_5e-2, -1.387_768_5e-1, 1.997_771_1e-1, -3.333_295e-1]);
    let angle = series * q * t + t + if steep { PI / 4.0 } else { 0.0 };
    let angle = if ax < ay { FRAC_PI_2 - angle } else { angle };
    let angle = if x < 0.0 { PI - angle } else { angle };
    if y < 0.0 { -angle } else { angle }
}

/// `2^x` in double precision, for `x` within -1000 to 1000, by the Taylor series about the nearest integer.
pub(super) fn exp2(x: f64) -> f64 {
    let whole = x.round();
    let t = (x - whole) * consts::LN_2;
    let series = (1..=16).rev().fold(1.0, |sum, n| 1.0 + sum * t / f64::from(n));
    series * f64::from_bits(((whole as i64 + 1023) as u64) << 52)
}

/// `2^x` for `x` within -126 to 126, to 2e-7 relative, by the Taylor series about the nearest integer.
#[inline(always)]
pub(super) fn exp2_single(x: f32) -> f32 {
    let rounded = x + ROUNDER;
    let t = (x - (rounded - ROUNDER)) * LN_2;
    let series =
        polynomial(t, [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]);
    // The rounder's last bits are those of the integer.
    series * f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// Binary logarithm of a normal positive number in double precision, to 1e-15 relative to the larger of itself and 1.
pub(super) fn log2(x: f64) -> f64 {
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)) by its series.
    const SQRT_HALF_BITS: u64 = consts::FRAC_1_SQRT_2.to_bits();
    let bits = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = ((bits as i64) >> 52) as f64;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) + SQRT_HALF_BITS);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let series = (0..11).rev().fold(0.0, |sum, n| sum * s * s + 2.0 / f64::from(2 * n + 1));
    exponent + s * series * consts::LOG2_E
}

/// `2^(u - 1)` for `u` in `0..=1`, to 1e-9, by the Taylor series about the middle.
#[inline(always)]
pub(super) fn half_exp2(u: f64) -> f64 {
    let t = (u - 0.5) * consts::LN_2;
    let coefficients =
        [1.0 / 40_320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    consts::FRAC_1_SQRT_2 * polynomial(t, coefficients)
}

/// `log10(1 + 10 u)` for `u` in `0..=1`, to 1e-9 and exact at 0.
#[inline(always)]
pub(super) fn log10_of_1_to_11(u: f64) -> f64 {
    // Halved up to three times, then 2 atanh by its series.
    let (mut m, mut octaves) = (1.0 + 10.0 * u, 0.0);
    for _ in 0..3 {
        (m, octaves) = if m < consts::SQRT_2 { (m, octaves) } else { (0.5 * m, octaves + 1.0) };
    }
    let s = (m - 1.0) / (m + 1.0);
    let series = polynomial(s * s, [2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0]);
    octaves * consts::LOG10_2 + s * series * consts::LOG10_E
}

/// `sin(pi u / 2)` for `u` in `0..=1`, to 1e-11 and exact at 0, by its Taylor series.
#[inline(always)]
pub(super) fn quarter_sine(u: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        -1.0 / 1_307_674_368_000.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 39_916_800.0,
        1.0 / 362_880.0,
        -1.0 / 5040.0,
        1.0 / 120.0,
        -1.0 / 6.0,
        1.0,
    ];
    let x = u * consts::FRAC_PI_2;
    x * polynomial(x * x, COEFFICIENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_quarter_turns_are_accurate() {
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
    fn powers_of_two_are_accurate_in_double_precision() {
        for i in -40_000..=40_000 {
            let x = f64::from(i) * 1e-3;
            assert!((exp2(x) / x.exp2() - 1.0).abs() < 4e-16, "2^{x}");
        }
        assert_eq!([exp2(0.0), exp2(-3.0), exp2(10.0)], [1.0, 0.125, 1024.0]);
    }

    #[test]
    fn powers_of_two_are_accurate_in_single_precision() {
        for i in -12_600..=12_600 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).exp2();
            assert!((f64::from(exp2_single(x)) / exact - 1.0).abs() < 2e-7, "2^{x}");
        }
        assert_eq!([exp2_single(0.0), exp2_single(-126.0), exp2_single(3.0)], [1.0, f32::MIN_POSITIVE, 8.0]);
    }

    #[test]
    fn binary_logarithms_are_accurate() {
        for i in -3_000..=3_000 {
            let x = (f64::from(i) * 0.037).exp2();
            assert!((log2(x) - x.log2()).abs() < 1e-15 * x.log2().abs().max(1.0), "log2 {x}");
        }
        assert_eq!([log2(1.0), log2(8.0), log2(0.25)], [0.0, 3.0, -2.0]);
    }

    #[test]
    fn angles_are_accurate_both_ways() {
        for i in -10_000..=10_000 {
            let radians = i as f32 * 1e-3;
            let (sin, cos) = sin_cos(radians);
            let exact = f64::from(radians).sin_cos();
            let bound = 3e-7 * f64::from(radians.abs().max(1.0));
            assert!((f64::from(sin) - exact.0).abs() < bound, "sin {radians}");
            assert!((f64::from(cos) - exact.1).abs() < bound, "cos {radians}");
            for scale in [1e-15_f64, 1.0, 1e15] {
                let (y, x) = ((scale * exact.0) as f32, (scale * exact.1) as f32);
                let expected = f64::from(y).atan2(f64::from(x));
                assert!((f64::from(atan2(y, x)) - expected).abs() < 3e-7 * 2.0, "atan2({y}, {x})");
            }
        }
        assert_eq!((atan2(0.0, 0.0), atan2(0.0, 1.0), atan2(1.0, 0.0)), (0.0, 0.0, FRAC_PI_2));
    }
}
