//! Aligned memory, seen as vectors or as the numbers in their lanes.

use super::{Lanes, MAX_LANES, SimdLevel};
use crate::{Result, memory};

/// A piece of aligned memory that holds one vector of the widest level, or several of a narrower one.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Aligned([f32; MAX_LANES]);

impl Aligned {
    /// Memory for `count` vectors of the given level, all zero.
    pub(crate) fn zeros(level: SimdLevel, count: usize) -> Vec<Self> {
        vec![Self([0.0; MAX_LANES]); Self::pieces(level, count)]
    }

    /// Let memory grow, by zeros, until it has room for `count` vectors of the given level.
    ///
    /// # Errors
    /// [`crate::Error::Array`] if there is not enough memory.
    pub(crate) fn make_room(level: SimdLevel, count: usize, memory: &mut Vec<Self>) -> Result<()> {
        let pieces = Self::pieces(level, count);
        if memory.len() < pieces {
            memory::resize(memory, pieces, Self([0.0; MAX_LANES]))?;
        }
        Ok(())
    }

    /// Pieces that `count` vectors of the given level fill.
    fn pieces(level: SimdLevel, count: usize) -> usize {
        count.saturating_mul(level.lanes()).div_ceil(MAX_LANES)
    }
}

/// Aligned memory as vectors.
#[inline(always)]
pub(crate) fn vectors<L: Lanes>(memory: &mut [Aligned]) -> &mut [L] {
    const {
        assert!(
            align_of::<L>() <= align_of::<Aligned>() && size_of::<Aligned>().is_multiple_of(size_of::<L>())
        )
    };
    let count = size_of_val(memory) / size_of::<L>();
    // SAFETY: the same bytes, exclusively borrowed; alignment and size fit (asserted above), and by the contract of
    // `Lanes` both types are plain numbers.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), count) }
}

/// The numbers in the lanes, in order.
#[inline(always)]
pub(crate) fn numbers<L: Lanes>(vectors: &[L]) -> &[L::Scalar] {
    const { assert!(size_of::<L>() == L::LANES * size_of::<L::Scalar>()) };
    let count = vectors.len() * L::LANES;
    // SAFETY: the same bytes, borrowed as long; by the contract of `Lanes` each vector is `LANES` plain numbers.
    unsafe { std::slice::from_raw_parts(vectors.as_ptr().cast(), count) }
}

/// The numbers in the lanes, in order, to be written to.
#[inline(always)]
pub(crate) fn numbers_mut<L: Lanes>(vectors: &mut [L]) -> &mut [L::Scalar] {
    const { assert!(size_of::<L>() == L::LANES * size_of::<L::Scalar>()) };
    let count = vectors.len() * L::LANES;
    // SAFETY: as in `numbers`, exclusively borrowed.
    unsafe { std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), count) }
}

#[cfg(test)]
mod tests {
    use super::super::{Kernel, Vector};
    use super::*;

    #[test]
    fn there_is_room_for_what_was_asked() {
        struct Count(Vec<Aligned>);
        impl Kernel for Count {
            type Output = usize;
            #[inline(always)]
            fn run<V: Vector>(mut self) -> usize {
                vectors::<V>(&mut self.0).len()
            }
        }
        for level in SimdLevel::all() {
            for count in [0, 1, 2, 3, 17] {
                assert!(level.run(Count(Aligned::zeros(level, count))) >= count);
            }
        }
    }

    #[test]
    fn memory_grows_by_zeros_and_too_much_is_an_error() {
        let level = SimdLevel::best();
        let mut memory = Aligned::zeros(level, 1);
        memory[0].0[0] = 3.0;
        Aligned::make_room(level, 40, &mut memory).unwrap();
        assert!(memory.len() >= 40 * level.lanes() / MAX_LANES && memory[0].0[0] == 3.0);
        for count in [usize::MAX, 1 << 58] {
            let text = Aligned::make_room(level, count, &mut memory).unwrap_err().to_string();
            assert!(text.contains("more than fit into memory"), "{text}");
        }
        assert_eq!(memory[0].0[0], 3.0);
    }

    #[test]
    fn numbers_and_lanes_are_the_same_memory() {
        struct Write(Vec<Aligned>);
        impl Kernel for Write {
            type Output = Vec<f64>;
            #[inline(always)]
            fn run<V: Vector>(mut self) -> Vec<f64> {
                let vectors = vectors::<V::Wide>(&mut self.0);
                vectors[1] = V::Wide::splat(3.0);
                numbers_mut(vectors)[0] = 5.0;
                numbers(vectors)[..2 * V::Wide::LANES].to_vec()
            }
        }
        for level in SimdLevel::all() {
            let count = level.lanes() / 2;
            let got = level.run(Write(Aligned::zeros(level, 2)));
            let expected =
                (0..2 * count).map(|i| if i == 0 { 5.0 } else { 3.0 * f64::from(u8::from(i >= count)) });
            assert_eq!(got, expected.collect::<Vec<_>>());
        }
    }
}
