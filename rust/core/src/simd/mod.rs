//! The only unsafe code of the crate: vectors of `f32` lanes, chosen once at run time by what the processor has.
//!
//! A kernel is written once, generic over [`Vector`], as a [`Kernel`]; [`Level::run`] compiles it for each level
//! (everything below it must be `#[inline(always)]`) and calls the one that was asked for. [`Portable`] is the
//! twin without any intrinsic, which tests compare with the others. Lanes never mix but in [`Vector::transposed`]
//! and [`Vector::int16_eights`]. [`Planes`] is memory that is not zeroed before it is written.

#![allow(unsafe_code)]

mod lanes;
mod planes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::{Error, Result};
pub(crate) use lanes::{Lanes, lanes_of, numbers, numbers_mut};
pub(crate) use planes::{INT16, Planes};
use std::mem::MaybeUninit;
use std::ops::{Add, Mul, Sub};
use std::sync::OnceLock;

/// The environment variable that limits [`Level::best`].
const LIMIT: &str = "OFFKEY_SIMD";
/// Of all levels, the plainest first.
const NAMES: [&str; 3] = ["portable", "avx2", "avx512"];

/// The bits of `sqrt(1/2)`: where [`Vector::split`] cuts between two exponents.
const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

/// Some `f32` side by side, one for each lane.
///
/// # Safety
/// The type is `LANES` plain `f32` and nothing else: any bits are a value, its size divides that of [`Block`] and
/// its alignment is at most that of [`Block`].
pub(crate) unsafe trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// Number of lanes.
    const LANES: usize;
    /// `LANES` vectors.
    type Square: AsRef<[Self]>;
    /// As many bytes of `f64` lanes.
    type Wide: Lanes<Scalar = f64>;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// The first `LANES` values of a slice.
    fn load(from: &[f32]) -> Self;
    /// The first `LANES` values of a slice in double precision.
    fn load_wide(from: &[f32]) -> [Self::Wide; 2];
    /// Write the lanes to the first `LANES` places of a slice.
    fn store(self, to: &mut [f32]);
    /// [`Vector::store`] to memory that nobody has written yet.
    fn store_fresh(self, to: &mut [MaybeUninit<f32>]);
    /// `self * factor + addend`, fused where the processor can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self * factor - subtrahend`, fused where the processor can.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// The greater of the two in each lane.
    fn max(self, other: Self) -> Self;
    /// The lesser of the two in each lane.
    fn min(self, other: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Mantissa in `[sqrt(1/2), sqrt(2))` and exponent of positive normal numbers: `self = mantissa * 2^exponent`.
    fn split(self) -> (Self, Self);
    /// Lane `i` of vector `j` is lane `j` of row `i`.
    fn transposed(rows: &impl Rows<Self>) -> Self::Square;

    /// Lane `i` of vector `j` is `from[i * stride + j]`: a transposed square of `LANES` rows.
    #[inline(always)]
    fn columns(from: &[f32], stride: usize) -> Self::Square {
        Self::transposed(&Strided { from, stride })
    }
    /// Lane `i` of vector `j` is number `j` of the eight little-endian 16-bit integers of frame `i`.
    fn int16_eights(frames: &[[u8; 16]]) -> [Self; 8];
}

/// Where the rows of a square come from. `row` must be `#[inline(always)]`, which a closure cannot be.
pub(crate) trait Rows<V> {
    /// Row `i`, one number in each lane.
    fn row(&self, i: usize) -> V;
}

struct Strided<'a> {
    from: &'a [f32],
    stride: usize,
}

impl<V: Vector> Rows<V> for Strided<'_> {
    #[inline(always)]
    fn row(&self, i: usize) -> V {
        V::load(&self.from[i * self.stride..i * self.stride + V::LANES])
    }
}

/// A piece of aligned memory that holds one vector of the widest level, or several of a narrower one.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Block([f32; 16]);

impl Block {
    /// Memory for `count` vectors of the given level, all zero.
    pub(crate) fn zeros(level: Level, count: usize) -> Vec<Self> {
        let mut memory = Vec::new();
        Self::make_room(level, count, &mut memory);
        memory
    }

    /// Let memory grow, by zeros, until it has room for `count` vectors of the given level.
    pub(crate) fn make_room(level: Level, count: usize, memory: &mut Vec<Self>) {
        let blocks = (count * level.lanes()).div_ceil(16);
        if memory.len() < blocks {
            memory.resize(blocks, Self([0.0; 16]));
        }
    }
}

/// The same memory as vectors of a level's type.
#[inline(always)]
pub(crate) fn vectors<V: Vector>(blocks: &mut [Block]) -> &mut [V] {
    const { assert!(align_of::<V>() <= align_of::<Block>() && size_of::<Block>().is_multiple_of(size_of::<V>())) };
    let count = size_of_val(blocks) / size_of::<V>();
    // SAFETY: the same bytes, exclusively borrowed; alignment and size fit (asserted above), and by the contract of
    // `Vector` both types are plain `f32`.
    unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), count) }
}

/// Ask for the cache lines of some numbers that will be read soon; changes nothing but the time.
#[inline(always)]
pub(crate) fn prefetch<T>(from: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in from.chunks(64 / size_of::<T>().clamp(1, 64)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of the architecture's baseline, and a prefetch may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Work that is written for any kind of vector. `run` must be `#[inline(always)]`, and so must all that it calls.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;
    /// Do it with vectors of this kind.
    fn run<V: Vector>(self) -> Self::Output;
}

/// A kind of vector that this processor has: the value is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Every level that this processor has, the plainest first and the fastest last.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut levels = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            // All processors with AVX2 have the others too; the compiler wants it said.
            let bits = std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
                && std::is_x86_feature_detected!("lzcnt");
            if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") && bits {
                levels.push(Self(Kind::Avx2));
                if std::is_x86_feature_detected!("avx512f") {
                    levels.push(Self(Kind::Avx512));
                }
            }
        }
        levels
    }

    /// The level that kernels take of themselves: the fastest that this processor has.
    ///
    /// Tests and measurements may set a limit: with the environment variable `OFFKEY_SIMD` it is the fastest up to the
    /// one of that name. The variable is read once.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            Self::limited().unwrap_or_else(|_| Self::all().pop().unwrap_or(Self(Kind::Portable)))
        })
    }

    /// What [`Level::best`] is limited to by the environment: an error where that names no level, which `best` ignores.
    pub fn limited() -> Result<Self> {
        Self::up_to(std::env::var(LIMIT).ok().as_deref())
    }

    /// The fastest level that this processor has, up to the one of a given name.
    fn up_to(limit: Option<&str>) -> Result<Self> {
        let known = |limit| NAMES.iter().position(|&name| name == limit);
        let rank = limit.map_or(Some(NAMES.len() - 1), known).ok_or_else(|| Error::Parameter {
            parameter: LIMIT,
            given: limit.unwrap_or_default().to_owned(),
            expected: format!("one of {}", NAMES.join(", ")),
        })?;
        Ok(Self::all().into_iter().take(rank + 1).next_back().unwrap_or(Self(Kind::Portable)))
    }

    /// Its name: `portable`, `avx2` (with FMA) or `avx512` (its foundation).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => NAMES[0],
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => NAMES[1],
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => NAMES[2],
        }
    }

    /// Number of lanes of its vectors.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Portable => portable::Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => x86::Avx512::LANES,
        }
    }

    /// Run a kernel, compiled for this level.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Portable => kernel.run::<portable::Portable>(),
            // SAFETY: this level exists only where AVX2, FMA, BMI1, BMI2 and LZCNT were detected.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above, and AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::run_avx512(kernel) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation on `LANES` values, written out one after another.
    struct Everything<'a>(&'a [f32]);

    impl Kernel for Everything<'_> {
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let square = V::columns(self.0, 16);
            let x = square.as_ref();
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
        for level in Level::all() {
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
            type Output = Vec<f64>;
            #[inline(always)]
            fn run<V: Vector>(self) -> Vec<f64> {
                numbers(&V::load_wide(self.0)).to_vec()
            }
        }
        let values: Vec<f32> = (0..16).map(|i| [0.1, -0.0, f32::INFINITY, 1e-45][i % 4] * i as f32).collect();
        for level in Level::all() {
            let expected: Vec<u64> =
                values[..level.lanes()].iter().map(|&x| f64::from(x).to_bits()).collect();
            let got: Vec<u64> = level.run(Wide(&values)).into_iter().map(f64::to_bits).collect();
            assert_eq!(got, expected, "{level:?}");
        }
    }

    #[test]
    fn a_limit_is_kept() {
        let levels = Level::all();
        assert_eq!(Level::up_to(None).unwrap(), levels[levels.len() - 1]);
        for (rank, name) in NAMES.into_iter().enumerate() {
            assert_eq!(Level::up_to(Some(name)).unwrap(), levels[rank.min(levels.len() - 1)]);
        }
        assert!(levels.iter().zip(NAMES).all(|(level, name)| level.name() == name));
    }

    #[test]
    fn a_limit_of_no_name_is_refused() {
        let text = Level::up_to(Some("fast")).unwrap_err().to_string();
        assert_eq!(text, "OFFKEY_SIMD = fast: expected one of portable, avx2, avx512");
    }

    #[test]
    fn blocks_hold_what_was_asked() {
        struct Count(Vec<Block>);
        impl Kernel for Count {
            type Output = usize;
            #[inline(always)]
            fn run<V: Vector>(mut self) -> usize {
                vectors::<V>(&mut self.0).len()
            }
        }
        for level in Level::all() {
            for count in [0, 1, 2, 3, 17] {
                assert!(level.run(Count(Block::zeros(level, count))) >= count);
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
                V::columns(&[0.0; 20], 8).as_ref()[0].store(&mut out);
                out[0]
            }
        }
        Level::best().run(Outside);
    }
}
