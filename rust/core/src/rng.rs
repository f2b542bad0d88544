//! Random streams named by a key: the same key gives the same numbers on every processor, for any number of
//! threads, because a stream is a function of its key and no state is shared.
//!
//! A key (seed, epoch, clip, occurrence, ...) is mixed by `SplitMix64` (Steele, Lea and Flood 2014) into the state of
//! xoshiro256++ (Blackman and Vigna 2019).

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct RandomStream([u64; 4]);

impl RandomStream {
    /// The stream of a key; any change of any part of the key gives an unrelated stream.
    #[must_use]
    pub fn new(key: &[u64]) -> Self {
        let mut hash = 0x6f66_666b_6579_0001 ^ key.len() as u64;
        for &part in key {
            hash =
                mix(hash.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        }
        Self(std::array::from_fn(|i| {
            mix(hash.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        }))
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..n` by Lemire's method without bias; `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "below(0) has no value to give");
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saved seeds stand for these numbers: whoever changes one of them changes the data of every training.
    #[test]
    fn streams_never_change() {
        let draws = |key: &[u64]| {
            let mut stream = RandomStream::new(key);
            [(); 3].map(|()| stream.next_u64())
        };
        assert_eq!(draws(&[]), [0x6e8d_b5c3_f659_b3da, 0xcbcd_d1ad_1611_3c5b, 0x5ff8_f438_9130_4450]);
        assert_eq!(draws(&[1, 2, 3]), [0xf14b_8195_8038_b45d, 0x21b0_bf82_5660_9696, 0x74c9_48f1_0887_dc9c]);
        assert_eq!(
            draws(&[u64::MAX, 0]),
            [0x6f76_5718_4a9e_5694, 0x8402_f41a_c70f_469d, 0xf6d6_7b56_2e14_8359]
        );
        assert_ne!(draws(&[1, 2, 3]), draws(&[1, 2, 4]));
        assert_ne!(draws(&[1, 2, 3]), draws(&[1, 2, 3, 0]));
    }

    #[test]
    fn uniform_numbers_and_integers_never_change() {
        let mut stream = RandomStream::new(&[1, 2, 3]);
        let uniform = [(); 3].map(|()| stream.uniform());
        assert_eq!(uniform, [0.942_558_382_987_246_1, 0.131_603_211_708_695_38, 0.456_196_364_255_93]);
        let mut stream = RandomStream::new(&[1, 2, 3]);
        assert_eq!([(); 6].map(|()| stream.below(1000)), [942, 131, 456, 753, 295, 512]);
        // Every other draw is refused here.
        let mut stream = RandomStream::new(&[1, 2, 3]);
        let large = [(); 3].map(|()| stream.below((1 << 63) + 1));
        assert_eq!(large, [417_133_745_033_916_119, 2_447_452_684_194_491_608, 6_979_128_341_848_646_054]);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut stream = RandomStream::new(&[7]);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
    }

    #[test]
    fn uniform_stays_inside() {
        let mut stream = RandomStream::new(&[]);
        let mean =
            (0..100_000).map(|_| stream.uniform()).inspect(|u| assert!((0.0..1.0).contains(u))).sum::<f64>()
                / 1e5;
        assert!((mean - 0.5).abs() < 0.005);
    }
}
