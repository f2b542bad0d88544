//! Lanes of either precision, for linear algebra that is written once for `f32` and `f64`.

use super::{Block, Rows, Vector};
use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

/// Some numbers side by side, `f32` or `f64`.
///
/// # Safety
/// The type is `COUNT` plain numbers and nothing else: any bits are a value, its size divides that of [`Block`] and
/// its alignment is at most that of [`Block`].
pub(crate) unsafe trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// `f32` or `f64`.
    type Scalar: Copy;
    /// Number of lanes.
    const COUNT: usize;
    /// `COUNT` vectors.
    type Square: AsRef<[Self]>;

    /// The same value in every lane.
    fn splat(value: Self::Scalar) -> Self;
    /// The first `COUNT` values of a slice.
    fn load(from: &[Self::Scalar]) -> Self;
    /// Write the lanes to the first `COUNT` places of a slice.
    fn store(self, to: &mut [Self::Scalar]);
    /// `self * factor + addend`, fused where the processor can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Lane `i` of vector `j` is lane `j` of row `i`.
    fn transposed(rows: &impl Rows<Self>) -> Self::Square;
}

// SAFETY: by the contract of `Vector`, which asks the same.
unsafe impl<V: Vector> Lanes for V {
    type Scalar = f32;
    const COUNT: usize = V::LANES;
    type Square = V::Square;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        <V as Vector>::splat(value)
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        <V as Vector>::load(from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        Vector::store(self, to);
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Vector::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn transposed(rows: &impl Rows<Self>) -> V::Square {
        <V as Vector>::transposed(rows)
    }
}

/// Aligned memory as vectors.
#[inline(always)]
pub(crate) fn lanes_of<L: Lanes>(blocks: &mut [Block]) -> &mut [L] {
    const { assert!(align_of::<L>() <= align_of::<Block>() && size_of::<Block>().is_multiple_of(size_of::<L>())) };
    let count = size_of_val(blocks) / size_of::<L>();
    // SAFETY: the same bytes, exclusively borrowed; alignment and size fit (asserted above), and by the contracts of
    // `Lanes` and `Block` both types are plain numbers.
    unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), count) }
}

/// The numbers in the lanes, in order.
#[inline(always)]
pub(crate) fn numbers<L: Lanes>(vectors: &[L]) -> &[L::Scalar] {
    const { assert!(size_of::<L>() == L::COUNT * size_of::<L::Scalar>()) };
    let count = vectors.len() * L::COUNT;
    // SAFETY: the same bytes, borrowed as long; by the contract of `Lanes` each vector is `COUNT` plain numbers.
    unsafe { std::slice::from_raw_parts(vectors.as_ptr().cast(), count) }
}

/// The numbers in the lanes, in order, to be written to.
#[inline(always)]
pub(crate) fn numbers_mut<L: Lanes>(vectors: &mut [L]) -> &mut [L::Scalar] {
    const { assert!(size_of::<L>() == L::COUNT * size_of::<L::Scalar>()) };
    let count = vectors.len() * L::COUNT;
    // SAFETY: as in `numbers`, exclusively borrowed.
    unsafe { std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), count) }
}

/// Four `f64` in plain Rust.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(crate) struct Portable64(pub(super) [f64; 4]);

macro_rules! operators {
    ($name:ident: $($operator:ident $method:ident |$a:ident, $b:ident| $result:expr;)*) => {$(
        impl $operator for $name {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let ($a, $b) = (self.0, other.0);
                Self($result)
            }
        }
    )*};
}

operators!(Portable64:
    Add add |a, b| from_fn(|i| a[i] + b[i]);
    Sub sub |a, b| from_fn(|i| a[i] - b[i]);
    Mul mul |a, b| from_fn(|i| a[i] * b[i]););

// SAFETY: four plain `f64`, 32 bytes, alignment 32.
unsafe impl Lanes for Portable64 {
    type Scalar = f64;
    const COUNT: usize = 4;
    type Square = [Self; 4];

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Self {
        Self(from_fn(|i| from[..4][i]))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        to[..4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self * factor + addend
    }

    #[inline(always)]
    fn transposed(rows: &impl Rows<Self>) -> [Self; 4] {
        let rows: [Self; 4] = from_fn(|i| rows.row(i));
        from_fn(|j| Self(from_fn(|i| rows[i].0[j])))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2F64, Avx512F64};

/// As the `f32` vectors, these are made and used only by kernels that came through `Level::run`, which has looked
/// whether the processor has what they need: that is the safety of every intrinsic below.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Lanes, Rows};
    use std::arch::x86_64::*;
    use std::ops::{Add, Mul, Sub};

    macro_rules! double {
        ($name:ident, $raw:ty, $count:literal, $transpose:ident [$($row:literal)*],
         $splat:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $mul_add:ident) => {
            #[derive(Clone, Copy, Debug)]
            #[repr(transparent)]
            pub(crate) struct $name($raw);

            impl From<$raw> for $name {
                #[inline(always)]
                fn from(raw: $raw) -> Self {
                    Self(raw)
                }
            }

            operators!($name:
                // SAFETY: see the module, here and below.
                Add add |a, b| unsafe { $add(a, b) };
                // SAFETY: as above.
                Sub sub |a, b| unsafe { $sub(a, b) };
                // SAFETY: as above.
                Mul mul |a, b| unsafe { $mul(a, b) };);

            // SAFETY: plain `f64` lanes of 32 or 64 bytes, aligned to their size.
            unsafe impl Lanes for $name {
                type Scalar = f64;
                const COUNT: usize = $count;
                type Square = [Self; $count];

                #[inline(always)]
                fn splat(value: f64) -> Self {
                    // SAFETY: see the module.
                    Self(unsafe { $splat(value) })
                }

                #[inline(always)]
                fn load(from: &[f64]) -> Self {
                    let from = &from[..$count];
                    // SAFETY: see the module; the slice holds as many `f64` as are read.
                    Self(unsafe { $load(from.as_ptr()) })
                }

                #[inline(always)]
                fn store(self, to: &mut [f64]) {
                    let to = &mut to[..$count];
                    // SAFETY: see the module; the slice holds as many `f64` as are written.
                    unsafe { $store(to.as_mut_ptr(), self.0) }
                }

                #[inline(always)]
                fn mul_add(self, factor: Self, addend: Self) -> Self {
                    // SAFETY: see the module.
                    Self(unsafe { $mul_add(self.0, factor.0, addend.0) })
                }

                #[inline(always)]
                fn transposed(rows: &impl Rows<Self>) -> [Self; $count] {
                    // SAFETY: see the module.
                    unsafe { $transpose([$(rows.row($row).0),*]) }.map(Self)
                }
            }
        };
    }

    double!(Avx2F64, __m256d, 4, transpose4 [0 1 2 3],
        _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd);
    double!(Avx512F64, __m512d, 8, transpose8 [0 1 2 3 4 5 6 7],
        _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd);

    /// Transpose 4 rows of 4: pairs, then halves.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn transpose4(r: [__m256d; 4]) -> [__m256d; 4] {
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
    fn transpose8(r: [__m512d; 8]) -> [__m512d; 8] {
        let mut out = r;
        for odd in 0..2 {
            let pairs = [0, 2, 4, 6].map(|q| {
                if odd == 0 { _mm512_unpacklo_pd(r[q], r[q + 1]) } else { _mm512_unpackhi_pd(r[q], r[q + 1]) }
            });
            // quarters 0 and 2, then 1 and 3, of two pairs each
            let even = [0, 2].map(|q| _mm512_shuffle_f64x2::<0x88>(pairs[q], pairs[q + 1]));
            let uneven = [0, 2].map(|q| _mm512_shuffle_f64x2::<0xdd>(pairs[q], pairs[q + 1]));
            out[odd] = _mm512_shuffle_f64x2::<0x88>(even[0], even[1]);
            out[odd + 2] = _mm512_shuffle_f64x2::<0x88>(uneven[0], uneven[1]);
            out[odd + 4] = _mm512_shuffle_f64x2::<0xdd>(even[0], even[1]);
            out[odd + 6] = _mm512_shuffle_f64x2::<0xdd>(uneven[0], uneven[1]);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kernel, Level};
    use super::*;

    /// Rows nine numbers apart.
    struct Nines<'a>(&'a [f64]);

    impl<L: Lanes<Scalar = f64>> Rows<L> for Nines<'_> {
        #[inline(always)]
        fn row(&self, i: usize) -> L {
            L::load(&self.0[9 * i..])
        }
    }

    /// Every operation on `f64` lanes, written out one after another.
    struct Everything<'a>(&'a [f64]);

    impl Kernel for Everything<'_> {
        type Output = Vec<Vec<f64>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            fn written<L: Lanes<Scalar = f64>>(from: &[f64]) -> Vec<Vec<f64>> {
                let square = L::transposed(&Nines(from));
                let x = square.as_ref();
                let results = [x[0] + x[1], x[0] - x[1], x[0] * x[1], x[0].mul_add(x[1], L::splat(2.0))];
                let write = |v: &L| {
                    let mut out = vec![0.0; L::COUNT];
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
        for level in Level::all() {
            let got = level.run(Everything(&square));
            let count = level.lanes() / 2;
            assert_eq!(got.len(), 4 + count);
            for lane in 0..count {
                let (a, b) = (square[lane * 9], square[lane * 9 + 1]);
                for (got, want) in got.iter().zip([a + b, a - b, a * b, a * b + 2.0]) {
                    assert!((got[lane] - want).abs() <= 1e-15 * want.abs(), "{level:?} {} {want}", got[lane]);
                }
                for (j, column) in got[4..].iter().enumerate() {
                    assert_eq!(column[lane], square[lane * 9 + j], "{level:?}, column {j}");
                }
            }
        }
    }

    #[test]
    fn numbers_and_lanes_are_the_same_memory() {
        struct Write(Vec<Block>);
        impl Kernel for Write {
            type Output = Vec<f64>;
            #[inline(always)]
            fn run<V: Vector>(mut self) -> Vec<f64> {
                let vectors = lanes_of::<V::Wide>(&mut self.0);
                vectors[1] = V::Wide::splat(3.0);
                numbers_mut(vectors)[0] = 5.0;
                numbers(vectors)[..2 * V::Wide::COUNT].to_vec()
            }
        }
        for level in Level::all() {
            let count = level.lanes() / 2;
            let got = level.run(Write(Block::zeros(level, 2)));
            let expected =
                (0..2 * count).map(|i| if i == 0 { 5.0 } else { 3.0 * f64::from(u8::from(i >= count)) });
            assert_eq!(got, expected.collect::<Vec<_>>());
        }
    }
}
