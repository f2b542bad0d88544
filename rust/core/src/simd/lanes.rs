//! What kernels are written in: numbers side by side, one in each lane.

use std::mem::MaybeUninit;
use std::ops::{Add, Mul, Sub};

/// What stands in a lane: `f32` or `f64`.
pub(crate) trait Scalar: Copy {
    /// The nearest number in this precision.
    fn of(value: f64) -> Self;
}

impl Scalar for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
}

/// Some numbers side by side, `f32` or `f64`.
///
/// # Safety
/// The type is `LANES` plain numbers and nothing else: any bits are a value, its size divides that of
/// [`Aligned`](super::Aligned) and its alignment is at most that of it.
pub(crate) unsafe trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// `f32` or `f64`.
    type Scalar: Scalar;
    /// `LANES` vectors: lane `i` of each came from row `i`.
    type Transposed: AsRef<[Self]>;
    /// Number of lanes.
    const LANES: usize;
    /// Vectors that the processor's registers hold.
    const REGISTERS: usize;

    /// The same value in every lane.
    fn splat(value: Self::Scalar) -> Self;
    /// The first `LANES` values of a slice.
    fn load(from: &[Self::Scalar]) -> Self;
    /// The first `LANES` values of a slice of `f32`, in the precision of the lanes.
    fn load_f32(from: &[f32]) -> Self;
    /// Write the lanes to the first `LANES` places of a slice.
    fn store(self, to: &mut [Self::Scalar]);
    /// `self * factor + addend`, fused where the processor can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self * factor - subtrahend`, fused where the processor can.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// Lane `i` of vector `j` is lane `j` of row `i`.
    fn transposed(rows: &impl RowLoader<Self>) -> Self::Transposed;

    /// Lane `i` of vector `j` is `from[i * stride + j]`: a transposed square of `LANES` rows.
    #[inline(always)]
    fn load_transposed(from: &[Self::Scalar], stride: usize) -> Self::Transposed {
        Self::transposed(&Strided { from, stride })
    }
}

/// Some `f32` side by side, and what only they can.
pub(crate) trait Vector: Lanes<Scalar = f32> {
    /// As many bytes of `f64` lanes.
    type Wide: Lanes<Scalar = f64>;

    /// The first `LANES` values of a slice in double precision.
    #[inline(always)]
    fn load_wide(from: &[f32]) -> [Self::Wide; 2] {
        let (low, high) = from[..Self::LANES].split_at(Self::LANES / 2);
        [Self::Wide::load_f32(low), Self::Wide::load_f32(high)]
    }

    /// The lanes in double precision.
    fn widened(self) -> [Self::Wide; 2];
    /// The nearest `f32` of two halves in double precision.
    fn narrowed(halves: [Self::Wide; 2]) -> Self;
    /// [`Lanes::store`] to memory that nobody has written yet.
    fn store_fresh(self, to: &mut [MaybeUninit<f32>]);
    /// The greater of the two in each lane.
    fn max(self, other: Self) -> Self;
    /// The lesser of the two in each lane.
    fn min(self, other: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Mantissa in `[sqrt(1/2), sqrt(2))` and exponent of positive normal numbers: `self = mantissa * 2^exponent`.
    fn split(self) -> (Self, Self);
    /// Lane `i` of vector `j` is number `j` of the eight little-endian 16-bit integers of frame `i`.
    fn int16_eights(frames: &[[u8; 16]]) -> [Self; 8];
}

/// Loads the rows that [`Lanes::transposed`] turns into columns. `row` must be `#[inline(always)]`, which a closure
/// cannot be.
pub(crate) trait RowLoader<V> {
    /// Row `i`, one number in each lane.
    fn row(&self, i: usize) -> V;
}

struct Strided<'a, T> {
    from: &'a [T],
    stride: usize,
}

impl<L: Lanes> RowLoader<L> for Strided<'_, L::Scalar> {
    #[inline(always)]
    fn row(&self, i: usize) -> L {
        L::load(&self.from[i * self.stride..i * self.stride + L::LANES])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kernel, SimdLevel, numbers};
    use super::*;

    /// Every operation on `LANES` values, written out one after another.
    struct Everything<'a>(&'a [f32]);

    impl Kernel for Everything<'_> {
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let transposed = V::load_transposed(self.0, 16);
            let x = transposed.as_ref();
            assert_eq!(x.len(), V::LANES);
            let (mantissa, exponent) = x[1].split();
            let two = V::splat(2.0);
            let results = [
                x[0],
                x[0] + x[1],
                x[0] - x[1],
                x[0] * x[1],
                x[0].mul_add(x[1], two),
                x[0].mul_sub(x[1], two),
                x[0].max(x[1]),
                x[0].min(x[1]),
                x[0].sqrt(),
                mantissa,
                exponent,
                x[V::LANES - 1],
            ];
            let written = results.map(|v| {
                let mut out = vec![0.0; V::LANES];
                v.store(&mut out);
                out
            });
            written.to_vec()
        }
    }

    #[test]
    fn every_level_does_what_the_names_say() {
        let square: Vec<f32> = (0..256).map(|i| 0.37 * i as f32 + 1e-3).collect();
        for level in SimdLevel::all() {
            let got = level.run(Everything(&square));
            for lane in 0..level.lanes() {
                let (a, b) = (square[lane * 16], square[lane * 16 + 1]);
                let (m, e) = (got[9][lane], got[10][lane]);
                assert!((0.707..1.415).contains(&m) && m * e.exp2() == b, "{b} = {m} * 2^{e}");
                let close = |x: f32, y: f32| (x - y).abs() <= 1e-6 * y.abs().max(1.0);
                let expected =
                    [a, a + b, a - b, a * b, a * b + 2.0, a * b - 2.0, a.max(b), a.min(b), a.sqrt()];
                for (i, want) in expected.into_iter().enumerate() {
                    assert!(close(got[i][lane], want), "{level:?}, operation {i}, lane {lane}");
                }
                assert_eq!(got[11][lane], square[lane * 16 + level.lanes() - 1]);
            }
        }
    }

    #[test]
    fn wide_lanes_keep_values_and_order() {
        struct Wide<'a>(&'a [f32]);
        impl Kernel for Wide<'_> {
            type Output = (Vec<f64>, Vec<f64>, Vec<f32>);
            #[inline(always)]
            fn run<V: Vector>(self) -> Self::Output {
                let (halves, widened) = (V::load_wide(self.0), V::load(self.0).widened());
                let narrowed = V::narrowed(halves);
                (numbers(&halves).to_vec(), numbers(&widened).to_vec(), numbers(&[narrowed]).to_vec())
            }
        }
        let values: Vec<f32> = (0..16).map(|i| [0.1, -0.0, f32::INFINITY, 1e-45][i % 4] * i as f32).collect();
        for level in SimdLevel::all() {
            let expected: Vec<u64> =
                values[..level.lanes()].iter().map(|&x| f64::from(x).to_bits()).collect();
            let (loaded, widened, narrow) = level.run(Wide(&values));
            for wide in [loaded, widened] {
                let got: Vec<u64> = wide.into_iter().map(f64::to_bits).collect();
                assert_eq!(got, expected, "{level:?}");
            }
            let bits = |x: &f32| x.to_bits();
            assert!(narrow.iter().map(bits).eq(values[..level.lanes()].iter().map(bits)), "{level:?}");
        }
    }

    /// Every operation on `f64` lanes, written out one after another.
    struct EverythingWide<'a>(&'a [f64]);

    impl Kernel for EverythingWide<'_> {
        type Output = Vec<Vec<f64>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            #[inline(always)]
            fn written<L: Lanes<Scalar = f64>>(from: &[f64]) -> Vec<Vec<f64>> {
                let transposed = L::load_transposed(from, 9);
                let x = transposed.as_ref();
                let two = L::splat(2.0);
                let (sum, difference, product) = (x[0] + x[1], x[0] - x[1], x[0] * x[1]);
                let results = [sum, difference, product, x[0].mul_add(x[1], two), x[0].mul_sub(x[1], two)];
                let write = |v: &L| {
                    let mut out = vec![0.0; L::LANES];
                    v.store(&mut out);
                    out
                };
                results.iter().chain(x).map(write).collect()
            }
            written::<V::Wide>(self.0)
        }
    }

    #[test]
    fn every_level_does_what_the_names_say_in_float64() {
        let square: Vec<f64> = (0..81).map(|i| 0.37 * f64::from(i) + 1e-3).collect();
        for level in SimdLevel::all() {
            let got = level.run(EverythingWide(&square));
            let count = level.lanes() / 2;
            assert_eq!(got.len(), 5 + count);
            for lane in 0..count {
                let (a, b) = (square[lane * 9], square[lane * 9 + 1]);
                for (got, want) in got.iter().zip([a + b, a - b, a * b, a * b + 2.0, a * b - 2.0]) {
                    assert!((got[lane] - want).abs() <= 1e-15 * want.abs(), "{level:?} {} {want}", got[lane]);
                }
                for (j, column) in got[5..].iter().enumerate() {
                    assert_eq!(column[lane], square[lane * 9 + j], "{level:?}, column {j}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "range end index")]
    fn a_square_out_of_bounds_is_no_silent_read() {
        struct Outside;
        impl Kernel for Outside {
            type Output = f32;
            #[inline(always)]
            fn run<V: Vector>(self) -> f32 {
                let mut out = [0.0; 16];
                V::load_transposed(&[0.0; 20], 8).as_ref()[0].store(&mut out);
                out[0]
            }
        }
        SimdLevel::best().run(Outside);
    }
}
