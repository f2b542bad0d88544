//! Samples from residuals: the predictions of a subframe, which are the hot loops of the decoder.

use super::Fault;

/// A whole number that samples are held in: 64 bits for the side channel of 32-bit stereo, else 32.
pub(super) trait Sample: Copy + From<i32> {
    fn wide(self) -> i64;
    /// The same number, if it fits.
    fn narrowed(value: i64) -> Self;
    /// All samples have so many bits.
    fn all_have(samples: &[Self], bits: u32) -> bool;
    /// [`Prediction::restore`] with sums of 32 bits, where the type of the samples allows it.
    fn restore_narrow<const ORDER: usize>(samples: &mut [Self], prediction: &Prediction) -> bool;
}

impl Sample for i32 {
    #[inline(always)]
    fn wide(self) -> i64 {
        i64::from(self)
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation)] // the caller looks whether it fits
    fn narrowed(value: i64) -> Self {
        value as i32
    }

    #[inline(always)]
    fn all_have(samples: &[Self], bits: u32) -> bool {
        // Every bit from the sign on is the same, unless there are more.
        samples.iter().fold(0, |all, sample| all | sample ^ sample >> 31) >> (bits - 1) == 0
    }

    #[inline(always)]
    fn restore_narrow<const ORDER: usize>(samples: &mut [Self], prediction: &Prediction) -> bool {
        narrow::<ORDER>(samples, prediction);
        true
    }
}

impl Sample for i64 {
    #[inline(always)]
    fn wide(self) -> i64 {
        self
    }

    #[inline(always)]
    fn narrowed(value: i64) -> Self {
        value
    }

    #[inline(always)]
    fn all_have(samples: &[Self], bits: u32) -> bool {
        // Every bit from the sign on is the same, unless there are more.
        samples.iter().fold(0, |all, sample| all | sample ^ sample >> 63) >> (bits - 1) == 0
    }

    #[inline(always)]
    fn restore_narrow<const ORDER: usize>(samples: &mut [Self], prediction: &Prediction) -> bool {
        wide(samples, prediction)
    }
}

/// Highest order of a prediction.
pub(super) const MAX_ORDER: usize = 32;

/// A sample is predicted as the sum of those before it, each times its coefficient, shifted right.
pub(super) struct Prediction {
    order: usize,
    /// That of the sample before first, then those of older ones; the rest are 0.
    coefficients: [i32; MAX_ORDER],
    shift: u32,
    /// Bits that any coefficient needs at most, with its sign.
    precision: u32,
}

impl Prediction {
    pub(super) fn new(coefficients: &[i32], shift: u32, precision: u32) -> Self {
        let mut all = [0; MAX_ORDER];
        all[..coefficients.len()].copy_from_slice(coefficients);
        Self { order: coefficients.len(), coefficients: all, shift, precision }
    }

    /// The differences of an order from 0 to 4.
    pub(super) fn fixed(order: usize) -> Self {
        const DIFFERENCES: [&[i32]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
        Self::new(DIFFERENCES[order], 0, 4)
    }

    /// Replace residuals by samples of so many bits; the first `order` of them are samples already.
    ///
    /// A sample with more bits is damage. The sums have room for all others.
    #[inline(always)]
    pub(super) fn restore<S: Sample>(&self, samples: &mut [S], bits: u32) -> Result<(), Fault> {
        // Each product has at most bits + precision - 2 bits behind its sign, the sum at most 30.
        let fits = if bits + self.precision + self.order.next_power_of_two().ilog2() <= 32 {
            match self.order {
                0 => true,
                1 => S::restore_narrow::<1>(samples, self),
                2 => S::restore_narrow::<2>(samples, self),
                3 => S::restore_narrow::<3>(samples, self),
                4 => S::restore_narrow::<4>(samples, self),
                5 => S::restore_narrow::<5>(samples, self),
                6 => S::restore_narrow::<6>(samples, self),
                7 => S::restore_narrow::<7>(samples, self),
                8 => S::restore_narrow::<8>(samples, self),
                9 => S::restore_narrow::<9>(samples, self),
                10 => S::restore_narrow::<10>(samples, self),
                11 => S::restore_narrow::<11>(samples, self),
                12 => S::restore_narrow::<12>(samples, self),
                _ => wide(samples, self),
            }
        } else {
            wide(samples, self)
        };
        if fits && S::all_have(samples, bits) { Ok(()) } else { Err(OUTSIDE) }
    }
}

pub(super) const OUTSIDE: Fault = Fault::Damaged("a sample has more bits than the stream");

/// With sums of 32 bits and an order that the compiler knows.
///
/// A sample out of range is found afterwards. Up to the first one nothing has overflowed.
#[inline(always)]
fn narrow<const ORDER: usize>(samples: &mut [i32], prediction: &Prediction) {
    let coefficients: [i32; ORDER] = std::array::from_fn(|i| prediction.coefficients[i]);
    let Some((first, rest)) = samples.split_first_chunk_mut::<ORDER>() else { return };
    // The last `ORDER` samples: a ring, so that none has to be moved.
    let mut ring = *first;
    let next = |ring: &[i32; ORDER], at: usize, residual: i32| {
        // From the oldest on: the sum waits for the sample before only at its end.
        let sum = (0..ORDER).rev().fold(0i32, |sum, age| {
            sum.wrapping_add(coefficients[age].wrapping_mul(ring[(at + 2 * ORDER - 1 - age) % ORDER]))
        });
        residual.wrapping_add(sum >> prediction.shift)
    };
    let mut rounds = rest.chunks_exact_mut(ORDER);
    for round in &mut rounds {
        for at in 0..ORDER {
            ring[at] = next(&ring, at, round[at]);
            round[at] = ring[at];
        }
    }
    for (at, place) in rounds.into_remainder().iter_mut().enumerate() {
        ring[at] = next(&ring, at, *place);
        *place = ring[at];
    }
}

/// With sums of 64 bits, for all else. False where a sample did not even fit its type.
#[inline(always)]
fn wide<S: Sample>(samples: &mut [S], prediction: &Prediction) -> bool {
    let (order, mut fits) = (prediction.order, true);
    for at in order..samples.len() {
        let (before, from) = samples.split_at_mut(at);
        let past = before[at - order..].iter().rev().zip(&prediction.coefficients);
        let sum = past.fold(0i64, |sum, (sample, &coefficient)| {
            sum.wrapping_add(sample.wide().wrapping_mul(i64::from(coefficient)))
        });
        let value = from[0].wide().wrapping_add(sum >> prediction.shift);
        from[0] = S::narrowed(value);
        fits &= from[0].wide() == value;
    }
    fits
}
