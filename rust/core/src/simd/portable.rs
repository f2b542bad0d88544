//! Lanes in plain Rust: the twin of the intrinsics, and what runs where there are none.

use super::{Lanes, RowLoader, Vector};
use std::array::from_fn;
use std::mem::MaybeUninit;
use std::ops::{Add, Mul, Sub};

/// Lanes of either precision.
macro_rules! lanes {
    ($name:ident: $lanes:literal of $scalar:ty) => {
        #[derive(Clone, Copy, Debug)]
        #[repr(C, align(32))]
        pub(crate) struct $name([$scalar; $lanes]);

        lanes!(@operator $name, Add, add);
        lanes!(@operator $name, Sub, sub);
        lanes!(@operator $name, Mul, mul);

        // SAFETY: plain numbers in 32 bytes, aligned to their size.
        unsafe impl Lanes for $name {
            type Scalar = $scalar;
            type Transposed = [Self; $lanes];
            const LANES: usize = $lanes;
            const REGISTERS: usize = 16;

            #[inline(always)]
            fn splat(value: $scalar) -> Self {
                Self([value; $lanes])
            }

            #[inline(always)]
            fn load(from: &[$scalar]) -> Self {
                Self(from_fn(|i| from[..$lanes][i]))
            }

            #[inline(always)]
            fn load_f32(from: &[f32]) -> Self {
                Self(from_fn(|i| <$scalar>::from(from[..$lanes][i])))
            }

            #[inline(always)]
            fn store(self, to: &mut [$scalar]) {
                to[..$lanes].copy_from_slice(&self.0);
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self * factor + addend
            }

            #[inline(always)]
            fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
                self * factor - subtrahend
            }

            #[inline(always)]
            fn transposed(rows: &impl RowLoader<Self>) -> [Self; $lanes] {
                let rows: [Self; $lanes] = from_fn(|i| rows.row(i));
                from_fn(|j| Self(from_fn(|i| rows[i].0[j])))
            }
        }
    };
    (@operator $name:ident, $operator:ident, $method:ident) => {
        impl $operator for $name {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(from_fn(|i| self.0[i].$method(other.0[i])))
            }
        }
    };
}

lanes!(Portable: 8 of f32);
lanes!(PortableWide: 4 of f64);

impl Vector for Portable {
    type Wide = PortableWide;

    #[inline(always)]
    fn widened(self) -> [PortableWide; 2] {
        from_fn(|half| PortableWide(from_fn(|i| f64::from(self.0[4 * half + i]))))
    }

    #[inline(always)]
    fn narrowed(halves: [PortableWide; 2]) -> Self {
        Self(from_fn(|i| halves[i / 4].0[i % 4] as f32))
    }

    #[inline(always)]
    fn store_fresh(self, to: &mut [MaybeUninit<f32>]) {
        for (place, value) in to[..8].iter_mut().zip(self.0) {
            place.write(value);
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(from_fn(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] }))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(from_fn(|i| if self.0[i] < other.0[i] { self.0[i] } else { other.0[i] }))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let bits = self.0.map(|x| x.to_bits() as i32);
        let exponent = bits.map(|b| b.wrapping_sub(super::SQRT_HALF_BITS) >> 23);
        let mantissa = from_fn(|i| f32::from_bits(bits[i].wrapping_sub(exponent[i] << 23) as u32));
        (Self(mantissa), Self(exponent.map(|e| e as f32)))
    }

    #[inline(always)]
    fn int16_eights(frames: &[[u8; 16]]) -> [Self; 8] {
        let frames = &frames[..8];
        from_fn(|j| {
            Self(from_fn(|i| f32::from(i16::from_le_bytes([frames[i][2 * j], frames[i][2 * j + 1]]))))
        })
    }
}
