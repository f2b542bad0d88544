//! AVX2 with FMA (8 lanes of `f32`, 4 of `f64`) and AVX-512 (16 and 8).
//!
//! These vectors are made and used by kernels alone, and kernels come here only through `SimdLevel::run`, which has
//! looked whether the processor has what they need: that is the safety of every intrinsic below.

use super::{Kernel, Lanes, RowLoader, SQRT_HALF_BITS, Vector};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::{Add, Mul, Sub};

/// A kernel compiled for AVX2 and FMA, and the operations on bits that came with them.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt")]
pub(super) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// A kernel compiled for AVX-512F, and all that [`run_avx2`] asks for.
#[target_feature(enable = "avx512f,avx2,fma,bmi1,bmi2,lzcnt")]
pub(super) fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

/// Lanes of either precision: what a register holds, how its rows are transposed, and the intrinsics.
macro_rules! lanes {
    ($name:ident: $lanes:literal of $scalar:ty as $raw:ty, $registers:literal registers, $transpose:ident [$($row:literal)*],
     $splat:ident $load:ident $load_f32:ident $store:ident $add:ident $sub:ident $mul:ident $mul_add:ident $mul_sub:ident) => {
        #[derive(Clone, Copy, Debug)]
        #[repr(transparent)]
        pub(super) struct $name($raw);

        lanes!(@operator $name, Add, add, $add);
        lanes!(@operator $name, Sub, sub, $sub);
        lanes!(@operator $name, Mul, mul, $mul);

        // SAFETY: plain numbers in 32 or 64 bytes, aligned to their size.
        unsafe impl Lanes for $name {
            type Scalar = $scalar;
            type Transposed = [Self; $lanes];
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;

            #[inline(always)]
            fn splat(value: $scalar) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn load(from: &[$scalar]) -> Self {
                let from = &from[..$lanes];
                // SAFETY: see the module; the slice holds as many numbers as are read.
                Self(unsafe { $load(from.as_ptr()) })
            }

            #[inline(always)]
            fn load_f32(from: &[f32]) -> Self {
                let from: &[f32; $lanes] = from.first_chunk().expect("as many numbers as lanes");
                // SAFETY: see the module.
                Self(unsafe { $load_f32(from) })
            }

            #[inline(always)]
            fn store(self, to: &mut [$scalar]) {
                let to = &mut to[..$lanes];
                // SAFETY: see the module; the slice holds as many numbers as are written.
                unsafe { $store(to.as_mut_ptr(), self.0) }
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $mul_add(self.0, factor.0, addend.0) })
            }

            #[inline(always)]
            fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $mul_sub(self.0, factor.0, subtrahend.0) })
            }

            #[inline(always)]
            fn transposed(rows: &impl RowLoader<Self>) -> [Self; $lanes] {
                // SAFETY: see the module.
                let columns = unsafe { $transpose([$(rows.row($row).0),*]) };
                // Not `map`, a function of its own, which is not always inlined.
                [$(Self(columns[$row])),*]
            }
        }
    };
    (@operator $name:ident, $operator:ident, $method:ident, $intrinsic:ident) => {
        impl $operator for $name {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}

/// What `f32` lanes can besides.
macro_rules! vector {
    ($name:ident: $lanes:literal, twice $wide:ident, integers $integers:ty, $eights:ident,
     $widen:ident $narrow:ident $store:ident $max:ident $min:ident $sqrt:ident
     $to_bits:ident $from_bits:ident $convert:ident $isplat:ident $isub:ident $shift_right:ident $shift_left:ident) => {
        impl Vector for $name {
            type Wide = $wide;

            #[inline(always)]
            fn widened(self) -> [$wide; 2] {
                // SAFETY: see the module.
                let [low, high] = unsafe { $widen(self.0) };
                [$wide(low), $wide(high)]
            }

            #[inline(always)]
            fn narrowed([low, high]: [$wide; 2]) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $narrow(low.0, high.0) })
            }

            #[inline(always)]
            fn store_fresh(self, to: &mut [MaybeUninit<f32>]) {
                let to = &mut to[..$lanes];
                // SAFETY: see the module; the slice holds as many `f32` as are written.
                unsafe { $store(to.as_mut_ptr().cast(), self.0) }
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $max(self.0, other.0) })
            }

            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $min(self.0, other.0) })
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: see the module.
                Self(unsafe { $sqrt(self.0) })
            }

            #[inline(always)]
            fn split(self) -> (Self, Self) {
                // SAFETY: see the module.
                unsafe {
                    let bits: $integers = $to_bits(self.0);
                    let exponent = $shift_right::<23>($isub(bits, $isplat(SQRT_HALF_BITS)));
                    let mantissa = $from_bits($isub(bits, $shift_left::<23>(exponent)));
                    (Self(mantissa), Self($convert(exponent)))
                }
            }

            #[inline(always)]
            fn int16_eights(frames: &[[u8; 16]]) -> [Self; 8] {
                let frames: &[[u8; 16]; $lanes] = frames.first_chunk().expect("as many frames as lanes");
                // SAFETY: see the module.
                unsafe { $eights(frames) }.map(Self)
            }
        }
    };
}

lanes!(Avx2: 8 of f32 as __m256, 16 registers, transpose8 [0 1 2 3 4 5 6 7],
    _mm256_set1_ps _mm256_loadu_ps singles8 _mm256_storeu_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps
    _mm256_fmsub_ps);
lanes!(Avx2Wide: 4 of f64 as __m256d, 16 registers, transpose4_wide [0 1 2 3],
    _mm256_set1_pd _mm256_loadu_pd widened4 _mm256_storeu_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd
    _mm256_fmsub_pd);
lanes!(Avx512: 16 of f32 as __m512, 32 registers, transpose16 [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15],
    _mm512_set1_ps _mm512_loadu_ps singles16 _mm512_storeu_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps
    _mm512_fmsub_ps);
lanes!(Avx512Wide: 8 of f64 as __m512d, 32 registers, transpose8_wide [0 1 2 3 4 5 6 7],
    _mm512_set1_pd _mm512_loadu_pd widened8 _mm512_storeu_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd
    _mm512_fmsub_pd);

vector!(Avx2: 8, twice Avx2Wide, integers __m256i, eights8,
    widen8 narrow8 _mm256_storeu_ps _mm256_max_ps _mm256_min_ps _mm256_sqrt_ps
    _mm256_castps_si256 _mm256_castsi256_ps _mm256_cvtepi32_ps _mm256_set1_epi32 _mm256_sub_epi32
    _mm256_srai_epi32 _mm256_slli_epi32);
vector!(Avx512: 16, twice Avx512Wide, integers __m512i, eights16,
    widen16 narrow16 _mm512_storeu_ps _mm512_max_ps _mm512_min_ps _mm512_sqrt_ps
    _mm512_castps_si512 _mm512_castsi512_ps _mm512_cvtepi32_ps _mm512_set1_epi32 _mm512_sub_epi32
    _mm512_srai_epi32 _mm512_slli_epi32);

/// Loads of `f32` in either precision.
macro_rules! loads {
    ($($name:ident: $lanes:literal to $raw:ty, $load:ident $($widen:ident)?, $features:literal;)*) => {
        $(
            #[inline]
            #[target_feature(enable = $features)]
            fn $name(from: &[f32; $lanes]) -> $raw {
                // SAFETY: the array holds as many `f32` as are read.
                let lanes = unsafe { $load(from.as_ptr()) };
                $(let lanes = $widen(lanes);)?
                lanes
            }
        )*
    };
}

loads!(
    singles8: 8 to __m256, _mm256_loadu_ps, "avx2,fma";
    widened4: 4 to __m256d, _mm_loadu_ps _mm256_cvtps_pd, "avx2,fma";
    singles16: 16 to __m512, _mm512_loadu_ps, "avx512f,avx2,fma";
    widened8: 8 to __m512d, _mm256_loadu_ps _mm512_cvtps_pd, "avx512f,avx2,fma";
);

#[inline]
#[target_feature(enable = "avx2,fma")]
fn widen8(lanes: __m256) -> [__m256d; 2] {
    [_mm256_cvtps_pd(_mm256_castps256_ps128(lanes)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(lanes))]
}

#[inline]
#[target_feature(enable = "avx512f,avx2,fma")]
fn widen16(lanes: __m512) -> [__m512d; 2] {
    let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes));
    [_mm512_cvtps_pd(_mm512_castps512_ps256(lanes)), _mm512_cvtps_pd(_mm256_castpd_ps(high))]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn narrow8(low: __m256d, high: __m256d) -> __m256 {
    _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low))
}

#[inline]
#[target_feature(enable = "avx512f,avx2,fma")]
fn narrow16(low: __m512d, high: __m512d) -> __m512 {
    let [low, high] = [low, high].map(|half| _mm256_castps_pd(_mm512_cvtpd_ps(half)));
    _mm512_castpd_ps(_mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low), high))
}

/// Transpose 8 rows of 8: pairs, then fours, then halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transpose8(r: [__m256; 8]) -> [__m256; 8] {
    let mut out = r;
    for half in [0, 4] {
        let low = [_mm256_unpacklo_ps(r[half], r[half + 1]), _mm256_unpacklo_ps(r[half + 2], r[half + 3])];
        let high = [_mm256_unpackhi_ps(r[half], r[half + 1]), _mm256_unpackhi_ps(r[half + 2], r[half + 3])];
        out[half] = _mm256_shuffle_ps::<0x44>(low[0], low[1]);
        out[half + 1] = _mm256_shuffle_ps::<0xee>(low[0], low[1]);
        out[half + 2] = _mm256_shuffle_ps::<0x44>(high[0], high[1]);
        out[half + 3] = _mm256_shuffle_ps::<0xee>(high[0], high[1]);
    }
    std::array::from_fn(|j| {
        let (top, bottom) = (out[j % 4], out[j % 4 + 4]);
        if j < 4 {
            _mm256_permute2f128_ps::<0x20>(top, bottom)
        } else {
            _mm256_permute2f128_ps::<0x31>(top, bottom)
        }
    })
}

/// Transpose 16 rows of 16: pairs, then fours, then the 4 x 4 square of quarters.
#[inline]
#[target_feature(enable = "avx512f,avx2,fma")]
fn transpose16(r: [__m512; 16]) -> [__m512; 16] {
    let mut u = r;
    for q in [0, 4, 8, 12] {
        let low = [_mm512_unpacklo_ps(r[q], r[q + 1]), _mm512_unpacklo_ps(r[q + 2], r[q + 3])];
        let high = [_mm512_unpackhi_ps(r[q], r[q + 1]), _mm512_unpackhi_ps(r[q + 2], r[q + 3])];
        u[q] = _mm512_shuffle_ps::<0x44>(low[0], low[1]);
        u[q + 1] = _mm512_shuffle_ps::<0xee>(low[0], low[1]);
        u[q + 2] = _mm512_shuffle_ps::<0x44>(high[0], high[1]);
        u[q + 3] = _mm512_shuffle_ps::<0xee>(high[0], high[1]);
    }
    let mut out = r;
    for j in 0..4 {
        let even =
            [_mm512_shuffle_f32x4::<0x88>(u[j], u[4 + j]), _mm512_shuffle_f32x4::<0x88>(u[8 + j], u[12 + j])];
        let odd =
            [_mm512_shuffle_f32x4::<0xdd>(u[j], u[4 + j]), _mm512_shuffle_f32x4::<0xdd>(u[8 + j], u[12 + j])];
        out[j] = _mm512_shuffle_f32x4::<0x88>(even[0], even[1]);
        out[j + 4] = _mm512_shuffle_f32x4::<0x88>(odd[0], odd[1]);
        out[j + 8] = _mm512_shuffle_f32x4::<0xdd>(even[0], even[1]);
        out[j + 12] = _mm512_shuffle_f32x4::<0xdd>(odd[0], odd[1]);
    }
    out
}

/// Transpose 4 rows of 4: pairs, then halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transpose4_wide(r: [__m256d; 4]) -> [__m256d; 4] {
    let low = [_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpacklo_pd(r[2], r[3])];
    let high = [_mm256_unpackhi_pd(r[0], r[1]), _mm256_unpackhi_pd(r[2], r[3])];
    [
        _mm256_permute2f128_pd::<0x20>(low[0], low[1]),
        _mm256_permute2f128_pd::<0x20>(high[0], high[1]),
        _mm256_permute2f128_pd::<0x31>(low[0], low[1]),
        _mm256_permute2f128_pd::<0x31>(high[0], high[1]),
    ]
}

/// Transpose 8 rows of 8: pairs, then the 4 x 4 square of quarters.
#[inline]
#[target_feature(enable = "avx512f,avx2,fma")]
fn transpose8_wide(r: [__m512d; 8]) -> [__m512d; 8] {
    let mut out = r;
    for odd in 0..2 {
        let mut pairs = [r[0], r[2], r[4], r[6]];
        for q in 0..4 {
            let (top, bottom) = (r[2 * q], r[2 * q + 1]);
            pairs[q] =
                if odd == 0 { _mm512_unpacklo_pd(top, bottom) } else { _mm512_unpackhi_pd(top, bottom) };
        }
        // quarters 0 and 2, then 1 and 3, of two pairs each
        let even = [
            _mm512_shuffle_f64x2::<0x88>(pairs[0], pairs[1]),
            _mm512_shuffle_f64x2::<0x88>(pairs[2], pairs[3]),
        ];
        let uneven = [
            _mm512_shuffle_f64x2::<0xdd>(pairs[0], pairs[1]),
            _mm512_shuffle_f64x2::<0xdd>(pairs[2], pairs[3]),
        ];
        out[odd] = _mm512_shuffle_f64x2::<0x88>(even[0], even[1]);
        out[odd + 2] = _mm512_shuffle_f64x2::<0x88>(uneven[0], uneven[1]);
        out[odd + 4] = _mm512_shuffle_f64x2::<0xdd>(even[0], even[1]);
        out[odd + 6] = _mm512_shuffle_f64x2::<0xdd>(uneven[0], uneven[1]);
    }
    out
}

/// Eight frames: the 32-bit pairs of integers are transposed by fours in each half, then taken apart.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn eights8(frames: &[[u8; 16]; 8]) -> [__m256; 8] {
    // SAFETY: every frame has the 16 bytes that are read.
    let frame = |i: usize| unsafe { _mm_loadu_si128(frames[i].as_ptr().cast()) };
    let r: [__m256i; 4] =
        std::array::from_fn(|i| _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(frame(i)), frame(i + 4)));
    let low = [_mm256_unpacklo_epi32(r[0], r[1]), _mm256_unpacklo_epi32(r[2], r[3])];
    let high = [_mm256_unpackhi_epi32(r[0], r[1]), _mm256_unpackhi_epi32(r[2], r[3])];
    let pairs = [
        _mm256_unpacklo_epi64(low[0], low[1]),
        _mm256_unpackhi_epi64(low[0], low[1]),
        _mm256_unpacklo_epi64(high[0], high[1]),
        _mm256_unpackhi_epi64(high[0], high[1]),
    ];
    std::array::from_fn(|j| {
        let pair = pairs[j / 2];
        let top = if j % 2 == 0 { _mm256_slli_epi32::<16>(pair) } else { pair };
        _mm256_cvtepi32_ps(_mm256_srai_epi32::<16>(top))
    })
}

/// Sixteen frames, as [`eights8`] does it in each quarter.
#[inline]
#[target_feature(enable = "avx512f,avx2,fma")]
fn eights16(frames: &[[u8; 16]; 16]) -> [__m512; 8] {
    // SAFETY: every frame has the 16 bytes that are read.
    let frame = |i: usize| unsafe { _mm_loadu_si128(frames[i].as_ptr().cast()) };
    let r: [__m512i; 4] = std::array::from_fn(|i| {
        let first = _mm512_castsi128_si512(frame(i));
        let second = _mm512_inserti32x4::<1>(first, frame(i + 4));
        _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(second, frame(i + 8)), frame(i + 12))
    });
    let low = [_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpacklo_epi32(r[2], r[3])];
    let high = [_mm512_unpackhi_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[2], r[3])];
    let pairs = [
        _mm512_unpacklo_epi64(low[0], low[1]),
        _mm512_unpackhi_epi64(low[0], low[1]),
        _mm512_unpacklo_epi64(high[0], high[1]),
        _mm512_unpackhi_epi64(high[0], high[1]),
    ];
    std::array::from_fn(|j| {
        let pair = pairs[j / 2];
        let top = if j % 2 == 0 { _mm512_slli_epi32::<16>(pair) } else { pair };
        _mm512_cvtepi32_ps(_mm512_srai_epi32::<16>(top))
    })
}
