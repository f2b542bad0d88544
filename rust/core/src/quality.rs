//! What can be seen of a clip's samples alone: level, clipping, silence; and whether it is the same as another.

use crate::par::{self, Cancel};
use crate::simd::{Kernel, MAX_LANES, SimdLevel, Vector};
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// Frames in a second.
const FRAMES_PER_SECOND: u32 = 50;

/// A frame whose samples span at most this part of what those of the clip span is still.
const STILL: f32 = 1e-3;

/// From here on a magnitude is full scale.
const FULL_SCALE: f32 = 0.99;

/// As many equal samples in a row, all at the clip's highest or lowest value, are clipped.
const RUN: usize = 3;

/// The measurements of one clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipQuality {
    /// The lowest sample.
    pub low: f32,
    /// The highest sample.
    pub high: f32,
    /// Mean of the squared samples.
    pub mean_square: f64,
    /// Share of samples in runs of three or more that stay at the lowest or the highest value.
    pub clipped: f64,
    /// Share of samples of magnitude 0.99 or more.
    pub full_scale: f64,
    /// Share of frames of 20 ms that span at most a thousandth of what the clip spans.
    pub still: f64,
}

/// Measure many clips.
///
/// # Errors
/// [`Error::Array`] if one has no samples, naming it; [`Error::Parameter`] for a rate of 0; [`Error::Interrupted`].
pub fn measure(
    clips: &[&[f32]],
    sample_rate: u32,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<ClipQuality>> {
    if sample_rate == 0 {
        return Err(Error::parameter("sample_rate", sample_rate, "a positive integer in Hz"));
    }
    let work = |scratch: &mut QualityScratch, index: usize, samples: &[f32]| {
        if samples.is_empty() {
            return Err(Error::array(format!("clips[{index}]"), "no samples", "at least one"));
        }
        Ok(clip(samples, sample_rate, scratch))
    };
    par::map(clips.to_vec(), threads, cancel, QualityScratch::default, work)
}

/// A hash of the bits of each clip's samples: equal for equal clips, and for others practically never.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn contents(clips: &[&[f32]], threads: Option<NonZeroUsize>, cancel: &Cancel) -> Result<Vec<u64>> {
    par::map(clips.to_vec(), threads, cancel, || (), |(), _, samples| Ok(content(samples)))
}

/// Memory for one clip after the other: the lowest and the highest sample of each frame.
#[derive(Default)]
pub(crate) struct QualityScratch(Vec<[f32; 2]>);

/// Measure one clip, which has samples, at a rate above 0.
pub(crate) fn clip(samples: &[f32], sample_rate: u32, scratch: &mut QualityScratch) -> ClipQuality {
    let frame = (sample_rate / FRAMES_PER_SECOND).max(1) as usize;
    SimdLevel::best().run(QualityKernel { samples, frame, spans: &mut scratch.0 })
}

/// One clip's work.
struct QualityKernel<'a> {
    samples: &'a [f32],
    frame: usize,
    /// Room for the lowest and the highest sample of each frame.
    spans: &'a mut Vec<[f32; 2]>,
}

impl Kernel for QualityKernel<'_> {
    type Output = ClipQuality;

    #[inline(always)]
    fn run<V: Vector>(self) -> ClipQuality {
        let Self { samples, frame, spans } = self;
        spans.clear();
        let (mut squares, mut full) = (0.0, 0);
        for part in samples.chunks(frame) {
            let (low, high, sum) = span_and_squares::<V>(part);
            spans.push([low, high]);
            squares += sum;
            if low.abs().max(high) >= FULL_SCALE {
                full += part.iter().filter(|sample| sample.abs() >= FULL_SCALE).count();
            }
        }
        let low = spans.iter().fold(f32::INFINITY, |low, span| low.min(span[0]));
        let high = spans.iter().fold(f32::NEG_INFINITY, |high, span| high.max(span[1]));
        let limit = STILL * (high - low);
        let still = spans.iter().filter(|span| span[1] - span[0] <= limit).count();
        let count = samples.len() as f64;
        ClipQuality {
            low,
            high,
            mean_square: squares / count,
            clipped: clipped(samples, frame, spans, [low, high]) as f64 / count,
            full_scale: full as f64 / count,
            still: still as f64 / spans.len() as f64,
        }
    }
}

/// The lowest and the highest of some samples, and the sum of their squares.
#[inline(always)]
fn span_and_squares<V: Vector>(samples: &[f32]) -> (f32, f32, f64) {
    let mut lows = [V::splat(f32::INFINITY); 2];
    let mut highs = [V::splat(f32::NEG_INFINITY); 2];
    let mut sums = [V::splat(0.0); 2];
    let mut pairs = samples.chunks_exact(2 * V::LANES);
    for pair in &mut pairs {
        let pair = [V::load(pair), V::load(&pair[V::LANES..])];
        for half in 0..2 {
            lows[half] = lows[half].min(pair[half]);
            highs[half] = highs[half].max(pair[half]);
            sums[half] = pair[half].mul_add(pair[half], sums[half]);
        }
    }
    let (low, high) = (lanes(lows[0].min(lows[1])), lanes(highs[0].max(highs[1])));
    let (mut low, mut high) = (first::<V>(&low, f32::min), first::<V>(&high, f32::max));
    let mut sum: f64 = lanes(sums[0] + sums[1])[..V::LANES].iter().map(|&lane| f64::from(lane)).sum();
    for &sample in pairs.remainder() {
        (low, high) = (low.min(sample), high.max(sample));
        sum += f64::from(sample) * f64::from(sample);
    }
    (low, high, sum)
}

/// The lanes of a vector; what follows them is 0.
#[inline(always)]
fn lanes<V: Vector>(vector: V) -> [f32; MAX_LANES] {
    let mut lanes = [0.0; MAX_LANES];
    vector.store(&mut lanes);
    lanes
}

/// All lanes put together.
#[inline(always)]
fn first<V: Vector>(lanes: &[f32; MAX_LANES], join: fn(f32, f32) -> f32) -> f32 {
    lanes[1..V::LANES].iter().fold(lanes[0], |result, &lane| join(result, lane))
}

/// The number of samples in runs at one of the two ends of a clip. Only frames that reach an end are looked at again.
fn clipped(samples: &[f32], frame: usize, spans: &[[f32; 2]], ends: [f32; 2]) -> usize {
    if ends[0] == ends[1] {
        return 0; // a constant
    }
    let (mut total, mut run, mut at) = (0, 0, f32::NAN);
    let mut end = |run: usize| total += if run >= RUN { run } else { 0 };
    for (part, span) in samples.chunks(frame).zip(spans) {
        if span[0] != ends[0] && span[1] != ends[1] {
            end(std::mem::take(&mut run));
            continue;
        }
        for &sample in part {
            if run > 0 && sample == at {
                run += 1;
                continue;
            }
            end(run);
            (run, at) = (usize::from(sample == ends[0] || sample == ends[1]), sample);
        }
    }
    end(run);
    total
}

/// A hash of the samples' bits and of their number; four side by side, as a multiplication takes three cycles.
fn content(samples: &[f32]) -> u64 {
    let mut hashes = [1_u64, 2, 3, 4];
    let (eights, rest) = samples.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in eights {
        hashes[0] = mixed(hashes[0], word(a, b));
        hashes[1] = mixed(hashes[1], word(c, d));
        hashes[2] = mixed(hashes[2], word(e, f));
        hashes[3] = mixed(hashes[3], word(g, h));
    }
    let mut hash = samples.len() as u64;
    for part in hashes {
        hash = mixed(hash, part);
    }
    for &sample in rest {
        hash = mixed(hash, word(sample, 0.0));
    }
    hash
}

/// The bits of two samples.
#[inline(always)]
fn word(low: f32, high: f32) -> u64 {
    u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32
}

/// A word taken into a hash. The rotation brings high bits down, which a product alone carries up and out.
#[inline(always)]
fn mixed(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::RandomStream;

    fn of(samples: &[f32]) -> ClipQuality {
        measure(&[samples], 16_000, None, &Cancel::default()).unwrap()[0]
    }

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut stream = RandomStream::new(&[seed]);
        (0..count).map(|_| stream.uniform_in(-0.5, 0.5) as f32).collect()
    }

    #[test]
    fn every_level_measures_what_the_definition_says() {
        for length in [1, 2, 7, 15, 16, 31, 32, 33, 319, 320, 321, 1000, 16_001] {
            let mut samples = noise(length, 5);
            samples.iter_mut().for_each(|sample| *sample = sample.clamp(-0.2, 0.3));
            let squares: f64 = samples.iter().map(|&x| f64::from(x).powi(2)).sum();
            for level in SimdLevel::all() {
                let kernel = QualityKernel { samples: &samples, frame: 320, spans: &mut Vec::new() };
                let got = level.run(kernel);
                assert_eq!(got.low, samples.iter().copied().fold(1.0, f32::min), "{level:?}, {length}");
                assert_eq!(got.high, samples.iter().copied().fold(-1.0, f32::max), "{level:?}, {length}");
                let mean = squares / length as f64;
                assert!((got.mean_square - mean).abs() <= 1e-6 * mean, "{level:?}, {length}");
                let runs = samples.chunk_by(|a, b| a == b).map(<[f32]>::len).filter(|&run| run >= 3);
                let clipped = if got.low == got.high { 0 } else { runs.sum() };
                assert_eq!(got.clipped, clipped as f64 / length as f64, "{level:?}, {length}");
            }
        }
    }

    #[test]
    fn silence_and_constants_are_still_and_not_clipped() {
        for value in [0.0, 0.3, -1.0] {
            let got = of(&[value; 1000]);
            assert_eq!((got.low, got.high, got.clipped, got.still), (value, value, 0.0, 1.0));
            assert_eq!(got.full_scale, if value == -1.0 { 1.0 } else { 0.0 });
        }
    }

    #[test]
    fn a_run_may_cross_frames() {
        let mut samples = vec![0.0; 960];
        samples[318..323].fill(0.5);
        samples[700..702].fill(0.5); // too short
        samples[900..903].fill(-0.25); // at no end
        samples[950] = -0.5;
        assert_eq!(of(&samples).clipped, 5.0 / 960.0);
    }

    #[test]
    fn half_of_a_clip_may_be_still() {
        let mut samples = noise(32_000, 1);
        assert_eq!(of(&samples).still, 0.0);
        samples[16_000..].fill(1e-4);
        assert_eq!(of(&samples).still, 0.5);
    }

    #[test]
    fn any_other_bit_is_another_content() {
        let samples = noise(100, 2);
        let content_of = |samples: &[f32]| contents(&[samples], None, &Cancel::default()).unwrap()[0];
        let content = content_of(&samples);
        assert_eq!(content, content_of(&samples.clone()));
        for at in 0..100 {
            for bit in [0, 15, 31] {
                let mut other = samples.clone();
                other[at] = f32::from_bits(other[at].to_bits() ^ (1 << bit));
                assert_ne!(content, content_of(&other), "sample {at}, bit {bit}");
            }
        }
        let inverted: Vec<f32> = samples.iter().map(|sample| -sample).collect();
        let others = [&inverted, &samples[1..], &samples[..99]].map(content_of);
        assert!(!others.contains(&content));
        assert_ne!(content_of(&[0.0; 8]), content_of(&[0.0; 16]));
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        let cancel = Cancel::default();
        let text = measure(&[&[0.1], &[]], 16_000, None, &cancel).unwrap_err().to_string();
        assert_eq!(text, "clips[1]: no samples; expected at least one");
        let text = measure(&[&[0.1]], 0, None, &cancel).unwrap_err().to_string();
        assert!(text.contains("sample_rate"), "{text}");
        cancel.cancel();
        assert!(matches!(measure(&[&[0.1]], 16_000, None, &cancel), Err(Error::Interrupted)));
    }
}
