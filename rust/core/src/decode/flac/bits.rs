//! Bits of a slice of bytes, the most significant first.

use super::Fault;

/// A reader that holds the next bits at the top of a word.
///
/// Behind the end of the slice it reads zeros; [`Bits::check`] tells whether that happened.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The first byte that is not wholly held.
    next: usize,
    /// The next bits, from the top. Below those that are held stand zeros or the bits that follow.
    word: u64,
    held: u32,
}

/// Bits that are held at least after a refill.
const REFILLED: u32 = 56;

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, next: 0, word: 0, held: 0 }
    }

    /// The next `count` bits, 32 at most, as an unsigned number.
    #[inline(always)]
    pub(super) fn unsigned(&mut self, count: u32) -> u32 {
        self.refill();
        // In two steps, because a shift by 64 is none.
        #[expect(clippy::cast_possible_truncation)] // no more bits than fit
        let value = ((self.word >> 1) >> (63 - count)) as u32;
        self.drop(count);
        value
    }

    /// The next `count` bits, 1 to 56, as a number in two's complement.
    #[inline(always)]
    pub(super) fn signed(&mut self, count: u32) -> i64 {
        self.refill();
        let value = self.word.cast_signed() >> (64 - count);
        self.drop(count);
        value
    }

    /// Zeros up to the next one, which is passed over too.
    pub(super) fn unary(&mut self) -> Result<u32, Fault> {
        let mut zeros = 0;
        loop {
            self.refill();
            let count = self.word.leading_zeros().min(self.held);
            zeros += count;
            if count < self.held {
                self.drop(count + 1);
                return Ok(zeros);
            }
            self.drop(count);
            self.check()?;
        }
    }

    /// Rice codes with `low` lower bits, 30 at most, each given to the next place of `out`.
    #[inline(always)]
    pub(super) fn rice<S: From<i32>>(&mut self, low: u32, out: &mut [S]) -> Result<(), Fault> {
        let mut bits = *self; // a copy, so that it stays in registers
        let mut excess = 0;
        let mut set = |bits: &mut Self, place: &mut S| {
            let code = bits.rice_code(low)?;
            excess |= code >> 32;
            // Even codes stand for 0, 1, 2 ..., odd ones for -1, -2, -3 ...
            #[expect(clippy::cast_possible_truncation)] // which `excess` tells
            let code = code as u32;
            *place = S::from((code >> 1).cast_signed() ^ -((code & 1).cast_signed()));
            Ok(())
        };
        // Two codes seldom have more bits than one refill.
        let (pairs, last) = out.as_chunks_mut::<2>();
        for [first, second] in pairs {
            bits.refill();
            set(&mut bits, first)?;
            set(&mut bits, second)?;
        }
        for place in last {
            set(&mut bits, place)?;
        }
        *self = bits;
        if excess == 0 { Ok(()) } else { Err(Fault::Damaged("a residual has more than 32 bits")) }
    }

    /// Zeros up to a one, then the lower bits: fast, if all are held.
    #[inline(always)]
    fn rice_code(&mut self, low: u32) -> Result<u64, Fault> {
        let zeros = self.word.leading_zeros();
        let count = zeros + 1 + low;
        if count > self.held {
            let (bits, code) = self.long_rice_code(low)?;
            *self = bits;
            return Ok(code);
        }
        let rest = self.word << zeros << 1;
        self.word = rest << low;
        self.held -= count;
        Ok(u64::from(zeros) << low | (rest >> 1) >> (63 - low))
    }

    #[cold]
    #[inline(never)]
    fn long_rice_code(mut self, low: u32) -> Result<(Self, u64), Fault> {
        let zeros = u64::from(self.unary()?);
        let code = zeros << low | u64::from(self.unsigned(low));
        Ok((self, code))
    }

    /// Pass over the rest of a byte; the number of bytes up to here.
    pub(super) fn byte_position(&mut self) -> Result<usize, Fault> {
        self.check()?;
        self.drop(self.held % 8);
        Ok(self.next - (self.held / 8) as usize)
    }

    /// [`Fault::End`] where more was read than there is.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let position = 8 * self.next as u64 - u64::from(self.held);
        if position <= 8 * self.bytes.len() as u64 { Ok(()) } else { Err(Fault::End) }
    }

    #[inline(always)]
    fn drop(&mut self, count: u32) {
        self.word = self.word << (count / 2) << (count - count / 2);
        self.held -= count;
    }

    /// Hold at least [`REFILLED`] bits.
    #[inline(always)]
    fn refill(&mut self) {
        match self.bytes.get(self.next..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => {
                // Bits of a byte that is not wholly held are read once more, to the same place.
                self.word |= u64::from_be_bytes(*bytes) >> self.held;
                self.next += ((63 - self.held) / 8) as usize;
                self.held |= REFILLED;
            }
            None => *self = self.refilled_at_the_end(),
        }
    }

    #[cold]
    #[inline(never)]
    fn refilled_at_the_end(mut self) -> Self {
        while self.held < REFILLED {
            let byte = self.bytes.get(self.next).copied().unwrap_or(0);
            self.word |= u64::from(byte) << (REFILLED - self.held);
            self.next += 1;
            self.held += 8;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, bit by bit.
    struct Plain<'a>(&'a [u8], usize);

    impl Plain<'_> {
        fn bit(&mut self) -> u64 {
            let bit = self.0.get(self.1 / 8).map_or(0, |byte| byte >> (7 - self.1 % 8) & 1);
            self.1 += 1;
            u64::from(bit)
        }

        fn unsigned(&mut self, count: u32) -> u64 {
            (0..count).fold(0, |value, _| value << 1 | self.bit())
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_read_bit_by_bit(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..60),
            steps in prop::collection::vec((0u32..4, 1u32..34), 1..40),
        ) {
            let (mut fast, mut plain) = (Bits::new(&bytes), Plain(&bytes, 0));
            for (kind, count) in steps {
                match kind {
                    0 => {
                        let count = count.min(32);
                        prop_assert_eq!(u64::from(fast.unsigned(count)), plain.unsigned(count));
                    }
                    1 => {
                        let value = plain.unsigned(count) << (64 - count);
                        prop_assert_eq!(fast.signed(count), value.cast_signed() >> (64 - count));
                    }
                    2 => {
                        let Ok(zeros) = fast.unary() else { return Ok(()) };
                        prop_assert_eq!(zeros, (0..).find(|_| plain.bit() == 1).unwrap());
                    }
                    _ => {
                        let (low, mut out) = (count.min(30), [0i64; 3]);
                        if fast.rice(low, &mut out).is_err() { return Ok(()) };
                        for value in out {
                            let mut zeros = 0;
                            while plain.bit() == 0 {
                                zeros += 1;
                                prop_assume!(plain.1 < 2000);
                            }
                            let code = zeros << low | plain.unsigned(low).cast_signed();
                            prop_assert_eq!(value, if code % 2 == 0 { code / 2 } else { -code / 2 - 1 });
                        }
                    }
                }
                prop_assert_eq!(fast.check().is_ok(), plain.1 <= 8 * bytes.len());
            }
        }
    }
}
