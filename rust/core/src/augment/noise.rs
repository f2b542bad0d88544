//! White Gaussian noise at a signal-to-noise ratio.
//!
//! Only additions, multiplications, divisions and square roots, in an order that no vector width changes: every
//! processor gives the same bytes. The loops are plain; [`SimdLevel::run`] compiles them for the processor's vectors.

use super::checks::{check_length, check_range};
use super::elementary::{exp2, ln, quarter_turn};
use crate::Result;
use crate::par::Cancel;
use crate::rng::RandomStream;
use crate::samples::{self, UNINTERRUPTED};
use crate::simd::{Kernel, SimdLevel, Vector};
use std::f64::consts::LOG2_10;

/// Samples drawn at a time: enough for the loops to vectorise, few enough to stay in the nearest cache.
const BLOCK: usize = 1024;
/// Generators side by side: several vectors of the widest kind.
pub(super) const GENERATORS: usize = 64;

/// Add white Gaussian noise whose power is exactly `snr_db` below the clip's.
///
/// A silent clip stays silent: its noise has the power 0.
///
/// # Errors
/// [`crate::Error::Parameter`] if the ratio is not within -100 to 200 dB, [`crate::Error::Array`] if a sample
/// is not finite or the lengths differ, [`crate::Error::Interrupted`].
pub fn white_noise(
    clip: &[f32],
    snr_db: f64,
    stream: &mut RandomStream,
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    check_range("snr_db", snr_db, -100.0, 200.0)?;
    samples::check(clip, cancel)?;
    check_length(clip, out)?;
    SimdLevel::best().run(Noise { samples: clip, snr_db, generators: Generators::new(stream), out, cancel })
}

/// The noise of one clip; `out` is as long as the samples.
struct Noise<'a> {
    samples: &'a [f32],
    snr_db: f64,
    generators: Generators,
    out: &'a mut [f32],
    cancel: &'a Cancel,
}

impl Kernel for Noise<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<()> {
        let Self { samples, snr_db, mut generators, out, cancel } = self;
        gaussian(&mut generators, out, cancel)?;
        let noise_power = energy(out, cancel)?;
        let gain = if noise_power > 0.0 {
            (energy(samples, cancel)? / noise_power).sqrt() * exp2(-snr_db / 20.0 * LOG2_10)
        } else {
            0.0
        };
        let gain = gain as f32;
        for (out, samples) in out.chunks_mut(UNINTERRUPTED).zip(samples.chunks(UNINTERRUPTED)) {
            cancel.check()?;
            for (out, sample) in out.iter_mut().zip(samples) {
                *out = sample + gain * *out;
            }
        }
        Ok(())
    }
}

/// Sums side by side in [`energy`]: as many on every processor, because the order of additions is part of the result.
const SUMS: usize = 16;

/// Sum of squares: exact squares in several sums side by side.
#[inline(always)]
fn energy(samples: &[f32], cancel: &Cancel) -> Result<f64> {
    let mut lanes = [0.0_f64; SUMS];
    let (whole, rest) = samples.as_chunks::<SUMS>();
    for piece in whole.chunks(UNINTERRUPTED / SUMS) {
        cancel.check()?;
        for chunk in piece {
            for (lane, &sample) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(sample) * f64::from(sample);
            }
        }
    }
    for (lane, &sample) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(sample) * f64::from(sample);
    }
    Ok(lanes.iter().sum())
}

/// Generators xoshiro128++ (Blackman and Vigna 2019) side by side, each with a state of its own.
pub(super) struct Generators([[u32; GENERATORS]; 4]);

impl Generators {
    pub(super) fn new(stream: &mut RandomStream) -> Self {
        let mut states = [[0; GENERATORS]; 4];
        for i in 0..GENERATORS {
            for words in states.chunks_exact_mut(2) {
                let bits = stream.next_u64();
                (words[0][i], words[1][i]) = (bits as u32, (bits >> 32) as u32);
            }
        }
        Self(states)
    }

    /// 32 uniform bits of each generator in turn, as often as there is room for all of them.
    #[inline(always)]
    pub(super) fn fill(&mut self, bits: &mut [u32]) {
        let [a, b, c, d] = &mut self.0;
        for bits in bits.as_chunks_mut::<GENERATORS>().0 {
            for i in 0..GENERATORS {
                bits[i] = a[i].wrapping_add(d[i]).rotate_left(7).wrapping_add(a[i]);
                let shifted = b[i] << 9;
                c[i] ^= a[i];
                d[i] ^= b[i];
                b[i] ^= c[i];
                a[i] ^= d[i];
                c[i] ^= shifted;
                d[i] = d[i].rotate_left(11);
            }
        }
    }
}

/// Fill an array with standard normal numbers by the method of Box and Muller (1958).
#[inline(always)]
fn gaussian(generators: &mut Generators, out: &mut [f32], cancel: &Cancel) -> Result<()> {
    let mut bits = [0; BLOCK];
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    for block in blocks {
        cancel.check()?;
        generators.fill(&mut bits);
        normal_block(&bits, block);
    }
    if !rest.is_empty() {
        let mut block = [0.0; BLOCK];
        generators.fill(&mut bits);
        normal_block(&bits, &mut block);
        rest.copy_from_slice(&block[..rest.len()]);
    }
    Ok(())
}

/// Pairs of independent standard normal numbers, half a block apart: one from 32 bits for the radius and 32 for the
/// angle.
#[inline(always)]
fn normal_block(bits: &[u32; BLOCK], out: &mut [f32; BLOCK]) {
    let (radii, angles) = bits.split_at(BLOCK / 2);
    let (first, second) = out.split_at_mut(BLOCK / 2);
    for (((first, second), &radius), &angle) in first.iter_mut().zip(second).zip(radii).zip(angles) {
        // Signed integers convert fastest. The sum rounds to 2^31 at most, never to 0.
        let uniform = ((radius >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
        let square = -2.0 * ln(uniform);
        let radius = if square > 0.0 { square } else { 0.0 }.sqrt();
        // The two highest bits choose the quadrant.
        let (sin, cos) = quarter_turn((angle & 0x3fff_ffff) as i32 as f32 * (1.0 / 1_073_741_824.0));
        let odd = angle & 0x4000_0000 != 0;
        let (x, y) = (if odd { sin } else { cos }, if odd { -cos } else { sin });
        let sign = if angle >> 31 == 0 { radius } else { -radius };
        *first = sign * x;
        *second = sign * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use proptest::prelude::*;

    #[test]
    fn moments_are_those_of_a_normal_distribution() {
        let mut numbers = vec![0.0; 1_000_000];
        gaussian(&mut Generators::new(&mut RandomStream::new(&[1])), &mut numbers, &Cancel::default())
            .unwrap();
        let moment = |power: i32| numbers.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / 1e6;
        for (power, expected, error) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            // five standard errors of each moment
            let bound = 5.0 * f64::sqrt(error / 1e6);
            assert!((moment(power) - expected).abs() < bound, "moment {power}: {}", moment(power));
        }
        // Neither the two of a pair nor the numbers of neighbouring generators or of one in succession correlate.
        for lag in [1, GENERATORS, BLOCK / 2, BLOCK] {
            let products = numbers.iter().zip(&numbers[lag..]).map(|(a, b)| f64::from(a * b));
            let mean = products.sum::<f64>() / 1e6;
            assert!(mean.abs() < 5e-3, "lag {lag}: {mean}");
        }
    }

    #[test]
    fn normal_numbers_never_change() {
        let mut numbers = [0.0; BLOCK];
        gaussian(&mut Generators::new(&mut RandomStream::new(&[1, 2, 3])), &mut numbers, &Cancel::default())
            .unwrap();
        let pinned = [(0, -0.197_399_07), (1, -0.112_474_83), (2, -0.316_858_02)];
        let second = [(512, -1.236_095_8), (513, -0.851_268_2), (514, -0.446_938_42)];
        for (at, expected) in pinned.into_iter().chain(second) {
            assert!((numbers[at] - expected).abs() < 2e-6, "{at}: {}", numbers[at]);
        }
    }

    #[test]
    fn every_level_gives_the_same_bytes() {
        let clip: Vec<f32> = (0..3_333).map(|i| (0.1 * i as f32).sin()).collect();
        let noisy = |level: SimdLevel| {
            let mut out = vec![0.0; clip.len()];
            let generators = Generators::new(&mut RandomStream::new(&[5]));
            level
                .run(Noise {
                    samples: &clip,
                    snr_db: 3.0,
                    generators,
                    out: &mut out,
                    cancel: &Cancel::default(),
                })
                .unwrap();
            out.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let plain = clip.iter().copied().map(f32::to_bits).collect::<Vec<u32>>();
        for level in SimdLevel::all() {
            assert_eq!(noisy(level), noisy(SimdLevel::all()[0]), "{level:?}");
            assert_ne!(noisy(level), plain);
        }
    }

    #[test]
    fn the_generators_are_xoshiro128() {
        // The first outputs of xoshiro128++ from the state 1, 2, 3, 4.
        let mut generators = Generators([1, 2, 3, 4].map(|word| [word; GENERATORS]));
        let mut bits = [0; BLOCK];
        generators.fill(&mut bits);
        let drawn: Vec<u32> = bits.iter().copied().step_by(GENERATORS).take(4).collect();
        assert_eq!(drawn, [641, 1_573_767, 3_222_811_527, 3_517_856_514]);
    }

    fn noisy(clip: &[f32], snr_db: f64, key: &[u64]) -> Vec<f32> {
        let mut out = vec![f32::NAN; clip.len()];
        white_noise(clip, snr_db, &mut RandomStream::new(key), &mut out, &Cancel::default()).unwrap();
        out
    }

    #[test]
    fn silence_and_nothing_stay_what_they_are() {
        assert_eq!(noisy(&[0.0; 100], -6.0, &[]), [0.0; 100]);
        assert!(noisy(&[], 0.0, &[]).is_empty());
    }

    #[test]
    fn the_largest_clip_and_noise_do_not_overflow() {
        assert!(noisy(&[samples::MAX_SAMPLE; 1000], -100.0, &[3]).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn what_is_not_a_ratio_is_refused() {
        for snr_db in [f64::NAN, f64::INFINITY, -101.0] {
            assert!(
                white_noise(&[1.0], snr_db, &mut RandomStream::new(&[]), &mut [0.0], &Cancel::default())
                    .is_err()
            );
        }
        let text = white_noise(&[1.0], 0.0, &mut RandomStream::new(&[]), &mut [0.0; 2], &Cancel::default())
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("out: 2 samples"), "{text}");
    }

    #[test]
    fn a_raised_flag_stops_each_of_its_passes() {
        let (cancel, clip) = (Cancel::default(), vec![0.5; 3 * BLOCK]);
        cancel.cancel();
        let (stream, mut out) = (&mut RandomStream::new(&[1]), vec![0.0; 3 * BLOCK]);
        let drawn = gaussian(&mut Generators::new(stream), &mut out, &cancel);
        let added = white_noise(&clip, 0.0, stream, &mut out, &cancel);
        for got in [drawn, energy(&clip, &cancel).map(|_| ()), added] {
            assert!(matches!(got, Err(Error::Interrupted)));
        }
    }

    proptest! {
        #[test]
        fn the_ratio_is_exact(level in 1e-6_f32..1.0, snr_db in -20.0_f64..40.0, length in 1_usize..2000) {
            let clip: Vec<f32> = (0..length).map(|i| level * (1.0 + (i as f32).sin())).collect();
            let noisy = noisy(&clip, snr_db, &[length as u64]);
            let noise: Vec<f32> = noisy.iter().zip(&clip).map(|(y, x)| y - x).collect();
            let energy = |samples| energy(samples, &Cancel::default()).unwrap();
            let measured = 10.0 * (energy(&clip) / energy(&noise)).log10();
            prop_assert!((measured - snr_db).abs() < 0.01, "{measured} for {snr_db}");
        }
    }
}
