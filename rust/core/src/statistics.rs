//! Statistics of a log-Mel spectrogram over time, for each Mel band.

mod chirp;
mod order_statistic;
mod rhythm;

use crate::par::{self, Cancel};
use crate::simd::{Aligned, Kernel, Lanes, MAX_LANES, SimdLevel, Vector, numbers, vectors};
use crate::{Error, Result};
use std::num::NonZeroUsize;

pub use rhythm::{Rhythm, rhythms};
pub(crate) use rhythm::{RhythmScratch, clip as rhythm};

/// What is added to deviations, in dB, before the logarithm.
const DEVIATION_FLOOR_DB: f64 = 1e-3;

/// The percentile of `p5` as a fraction.
const LOW_FRACTION: f64 = 0.05;

/// The statistics of one band of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandStatistics {
    /// Mean of the decibels.
    pub mean: f32,
    /// `ln(std + 1e-3)`, the population's deviation (divided by the number of frames).
    pub lstd: f32,
    /// `ln(std + 1e-3)` of the differences of neighbouring frames, likewise; without any (one frame) `ln(1e-3)`.
    pub ldstd: f32,
    /// 5th percentile, linear between order statistics as numpy's default.
    pub p5: f32,
}

/// All that is computed of one clip.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipRow {
    /// One for each Mel band.
    pub bands: Vec<BandStatistics>,
    /// Mean of the decibels of each band of the finer spectrograms, one after the other; empty where there is none.
    pub fine_mean: Vec<f32>,
    /// See [`Rhythm`]; empty where it was not asked for.
    pub rhythm: Vec<f32>,
}

impl ClipRow {
    /// So many numbers of each that stand for a clip that could not be read.
    #[must_use]
    pub fn missing(n_mels: usize, fine_mels: usize, rhythm: usize) -> Self {
        let nan = f32::NAN;
        Self {
            bands: vec![BandStatistics { mean: nan, lstd: nan, ldstd: nan, p5: nan }; n_mels],
            fine_mean: vec![nan; fine_mels],
            rhythm: vec![nan; rhythm],
        }
    }
}

/// Statistics of every band, one array each: `(clips, n_mels)` for many clips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipStatistics {
    /// See [`BandStatistics::mean`].
    pub mean: Vec<f32>,
    /// See [`BandStatistics::lstd`].
    pub lstd: Vec<f32>,
    /// See [`BandStatistics::ldstd`].
    pub ldstd: Vec<f32>,
    /// See [`BandStatistics::p5`].
    pub p5: Vec<f32>,
    /// See [`ClipRow::fine_mean`].
    pub fine_mean: Vec<f32>,
    /// See [`ClipRow::rhythm`].
    pub rhythm: Vec<f32>,
}

impl ClipStatistics {
    /// Append those of one clip.
    pub fn push(&mut self, row: &ClipRow) {
        self.extend(&row.bands);
        self.fine_mean.extend(&row.fine_mean);
        self.rhythm.extend(&row.rhythm);
    }

    fn extend(&mut self, bands: &[BandStatistics]) {
        self.mean.extend(bands.iter().map(|band| band.mean));
        self.lstd.extend(bands.iter().map(|band| band.lstd));
        self.ldstd.extend(bands.iter().map(|band| band.ldstd));
        self.p5.extend(bands.iter().map(|band| band.p5));
    }
}

/// Statistics of many given spectrograms, `(clips, n_mels, frames)` row by row.
///
/// # Errors
/// As [`clip`]; the message names the clip.
pub fn given(
    logmels: &[f32],
    n_mels: usize,
    frames: usize,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<ClipStatistics> {
    if n_mels == 0 || frames == 0 {
        let given = format!("{n_mels} Mel bands, {frames} frames");
        return Err(Error::array("logmels", given, "at least one of each"));
    }
    let work = |scratch: &mut StatisticsScratch, index: usize, logmel: &[f32]| {
        clip(logmel, n_mels, scratch, cancel).map_err(|error| error.in_array(format!("logmels[{index}]")))
    };
    let clips: Vec<&[f32]> = logmels.chunks_exact(n_mels * frames).collect();
    let mut statistics = ClipStatistics::default();
    let all = par::map(clips, threads, cancel, || StatisticsScratch::new(SimdLevel::best()), work)?;
    all.iter().for_each(|bands| statistics.extend(bands));
    Ok(statistics)
}

/// Mean over time of each band of one clip, `(n_mels, frames)` row by row, at least one frame.
pub(crate) fn means(logmel: &[f32], n_mels: usize, level: SimdLevel) -> Vec<f32> {
    level.run(MeansKernel { logmel, frames: logmel.len() / n_mels })
}

struct MeansKernel<'a> {
    logmel: &'a [f32],
    frames: usize,
}

impl Kernel for MeansKernel<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        self.logmel.chunks_exact(self.frames).map(mean::<V>).collect()
    }
}

/// The mean, summed in double precision.
#[inline(always)]
fn mean<V: Vector>(row: &[f32]) -> f32 {
    let mut sums = [V::Wide::splat(0.0); 2];
    let (whole, rest) = row.split_at(row.len() / V::LANES * V::LANES);
    for block in whole.chunks_exact(V::LANES) {
        let [low, high] = V::load_wide(block);
        sums = [sums[0] + low, sums[1] + high];
    }
    let total = numbers(&sums).iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x)).sum::<f64>();
    (total / row.len() as f64) as f32
}

/// The memory of one worker, and how it computes.
#[derive(Debug)]
pub(crate) struct StatisticsScratch {
    level: SimdLevel,
    memory: Vec<Aligned>,
}

impl StatisticsScratch {
    /// Memory that grows with the first clip.
    pub(crate) fn new(level: SimdLevel) -> Self {
        Self { level, memory: Vec::new() }
    }
}

/// Statistics of every band of one clip, `(n_mels, frames)` row by row.
///
/// # Errors
/// [`Error::Array`] if there is no frame, or one that is not finite, naming the band; [`Error::Interrupted`].
pub(crate) fn clip(
    logmel: &[f32],
    n_mels: usize,
    scratch: &mut StatisticsScratch,
    cancel: &Cancel,
) -> Result<Vec<BandStatistics>> {
    let frames = logmel.len() / n_mels.max(1);
    if frames == 0 {
        return Err(Error::array("logmels", "no frames", "at least one frame"));
    }
    let StatisticsScratch { level, memory } = scratch;
    let place = LOW_FRACTION * (frames - 1) as f64;
    order_statistic::make_room(place as usize, *level, memory)?;
    level.run(StatisticsKernel { logmel, frames, place, memory, cancel })
}

/// One clip's work. Means and deviations go along the rows, percentiles across them.
struct StatisticsKernel<'a> {
    logmel: &'a [f32],
    frames: usize,
    /// Rank of the percentile, with what lies between two ranks.
    place: f64,
    memory: &'a mut [Aligned],
    cancel: &'a Cancel,
}

impl Kernel for StatisticsKernel<'_> {
    type Output = Result<Vec<BandStatistics>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let Self { logmel, frames, place, memory, cancel } = self;
        let mut bands = Vec::with_capacity(logmel.len() / frames);
        for (mel, row) in logmel.chunks_exact(frames).enumerate() {
            cancel.check()?;
            bands.push(moments::<V>(row, mel)?);
        }
        let (below, part) = (place as usize, place.fract());
        for (group, bands) in bands.chunks_mut(V::LANES).enumerate() {
            cancel.check()?;
            let rows = &logmel[group * V::LANES * frames..][..bands.len() * frames];
            let pair = order_statistic::ranks::<V>(rows, frames, below, vectors(memory)).map(lanes);
            for (lane, band) in bands.iter_mut().enumerate() {
                let [low, next] = [pair[0][lane], pair[1][lane]].map(f64::from);
                // Without a part of it, the next one need not exist.
                band.p5 = if part > 0.0 { low + (next - low) * part } else { low } as f32;
            }
        }
        Ok(bands)
    }
}

/// Everything but the percentile of one band.
///
/// One pass in float64. Sums are those of the distances from the first value, or the first difference: a member of
/// the data is at most `sqrt(n)` deviations from the mean, so that the mean's square takes no digits that count.
#[inline(always)]
fn moments<V: Vector>(row: &[f32], mel: usize) -> Result<BandStatistics> {
    let (origin, last) = (f64::from(row[0]), f64::from(row[row.len() - 1]));
    let step = row.get(1).map_or(0.0, |&second| f64::from(second) - origin);
    let [distances, squares, changes] = sums::<V>(row, origin, step);
    let (count, steps) = (row.len() as f64, (row.len() - 1).max(1) as f64);
    let mean = (distances + (last - origin)) / count;
    if !mean.is_finite() {
        let position = row.iter().position(|x| !x.is_finite()).unwrap_or(0);
        let given = format!("{} at frame {position} of Mel band {mel}", row[position]);
        return Err(Error::array("logmels", given, "finite decibels"));
    }
    let square = (squares + (last - origin) * (last - origin)) / count;
    // Differences add up to the last value less the first.
    let change = (last - origin) / steps - step;
    Ok(BandStatistics {
        mean: (origin + mean) as f32,
        lstd: log_deviation(square, mean),
        ldstd: log_deviation(changes / steps, change),
        p5: f32::NAN,
    })
}

/// Over all values but the last: sums of `value - origin`, of its square, and of the square of what the next value
/// differs by, less `step`.
#[inline(always)]
fn sums<V: Vector>(row: &[f32], origin: f64, step: f64) -> [f64; 3] {
    let mut sums = [[V::Wide::splat(0.0); 2]; 3];
    let whole = (row.len() - 1) / V::LANES * V::LANES;
    for start in (0..whole).step_by(V::LANES) {
        let (from, to) = (V::load_wide(&row[start..]), V::load_wide(&row[start + 1..]));
        for half in 0..2 {
            let distance = from[half] - V::Wide::splat(origin);
            let change = to[half] - from[half] - V::Wide::splat(step);
            sums[0][half] = sums[0][half] + distance;
            sums[1][half] = distance.mul_add(distance, sums[1][half]);
            sums[2][half] = change.mul_add(change, sums[2][half]);
        }
    }
    let mut totals = [0.0; 3];
    for (total, sums) in totals.iter_mut().zip(&sums) {
        *total = numbers(sums).iter().sum::<f64>();
    }
    for pair in row[whole..].windows(2) {
        let (from, to) = (f64::from(pair[0]), f64::from(pair[1]));
        let (distance, change) = (from - origin, to - from - step);
        totals[0] += distance;
        totals[1] += distance * distance;
        totals[2] += change * change;
    }
    totals
}

/// Logarithm of the deviation of numbers with this mean and mean square.
fn log_deviation(square: f64, mean: f64) -> f32 {
    ((square - mean * mean).max(0.0).sqrt() + DEVIATION_FLOOR_DB).ln() as f32
}

/// The numbers of a vector, and zeros behind them.
#[inline(always)]
fn lanes<V: Vector>(vector: V) -> [f32; MAX_LANES] {
    let mut lanes = [0.0; MAX_LANES];
    vector.store(&mut lanes);
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::RandomStream;
    use proptest::prelude::*;

    fn of(frames: &[f32]) -> BandStatistics {
        clip(frames, 1, &mut StatisticsScratch::new(SimdLevel::best()), &Cancel::default()).unwrap()[0]
    }

    #[test]
    fn known_values() {
        let ramp: Vec<f32> = (0..101).map(|i| i as f32).collect();
        let got = of(&ramp);
        assert_eq!((got.mean, got.p5), (50.0, 5.0));
        assert!((got.lstd - (850.0_f32.sqrt() + 1e-3).ln()).abs() < 1e-6);
        assert!((got.ldstd - 1e-3_f32.ln()).abs() < 1e-6, "equal differences do not deviate");
    }

    #[test]
    fn one_and_two_frames() {
        let quiet = 1e-3_f32.ln();
        let one = of(&[-40.0]);
        assert_eq!((one.mean, one.p5), (-40.0, -40.0));
        assert!((one.lstd - quiet).abs() < 1e-6 && (one.ldstd - quiet).abs() < 1e-6);
        let two = of(&[-40.0, -20.0]);
        assert_eq!((two.mean, two.p5), (-30.0, -39.0));
        assert!((two.lstd - 10.001_f32.ln()).abs() < 1e-6 && (two.ldstd - quiet).abs() < 1e-6);
    }

    #[test]
    fn bad_frames_are_named() {
        let refused = |logmel: &[f32], n_mels| {
            let scratch = &mut StatisticsScratch::new(SimdLevel::best());
            clip(logmel, n_mels, scratch, &Cancel::default()).unwrap_err().to_string()
        };
        assert!(refused(&[], 3).starts_with("logmels: no frames;"));
        let text = refused(&[0.0, 1.0, 2.0, f32::NAN, 3.0, 4.0], 2);
        assert_eq!(text, "logmels: NaN at frame 0 of Mel band 1; expected finite decibels");
        let text = refused(&[0.0, f32::INFINITY], 1);
        assert!(text.starts_with("logmels: inf at frame 1 of Mel band 0;"), "{text}");
        let text = refused(&[f32::NEG_INFINITY; 50], 1);
        assert!(text.starts_with("logmels: -inf at frame 0 of Mel band 0;"), "{text}");
    }

    /// The definition: mean, deviations and percentile of one band.
    fn definition(frames: &[f32]) -> [f64; 4] {
        let values: Vec<f64> = frames.iter().map(|&x| f64::from(x)).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
        let deviation = |v: &[f64]| {
            let mean = mean(v);
            (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len().max(1) as f64).sqrt()
        };
        let differences: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let place = 0.05 * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        let logarithm = |deviation: f64| (deviation + 1e-3).ln();
        let p5 = low + (high - low) * place.fract();
        [mean(&values), logarithm(deviation(&values)), logarithm(deviation(&differences)), p5]
    }

    fn check(logmel: &[f32], n_mels: usize) {
        let frames = logmel.len() / n_mels;
        for level in SimdLevel::all() {
            // Memory is kept from another clip, as a worker keeps it.
            let scratch = &mut StatisticsScratch::new(level);
            clip(&[1.0; 700], 1, scratch, &Cancel::default()).unwrap();
            let bands = clip(logmel, n_mels, scratch, &Cancel::default()).unwrap();
            assert_eq!(bands.len(), n_mels);
            for (row, got) in logmel.chunks_exact(frames).zip(bands) {
                let got = [got.mean, got.lstd, got.ldstd, got.p5].map(f64::from);
                for (got, expected) in got.into_iter().zip(definition(row)) {
                    let close = (got - expected).abs() <= 1e-5 + 1e-7 * expected.abs();
                    assert!(close, "{level:?}, {n_mels} bands, {frames} frames: {got} for {expected}");
                }
            }
        }
    }

    #[test]
    fn every_level_agrees_with_the_definition_at_any_size() {
        // Around the width of vectors and runs, and where the list of the lowest values grows.
        for frames in [1, 2, 7, 8, 9, 15, 16, 17, 21, 22, 31, 33, 313, 320, 321, 322, 641, 1300] {
            for n_mels in [1, 7, 8, 9, 15, 16, 17, 33] {
                let mut stream = RandomStream::new(&[frames as u64, n_mels as u64]);
                let logmel: Vec<f32> =
                    (0..frames * n_mels).map(|_| stream.uniform_in(-100.0, 40.0) as f32).collect();
                check(&logmel, n_mels);
            }
        }
    }

    #[test]
    fn every_level_agrees_with_the_definition_on_odd_values() {
        let ramp = (0..3000).map(|i| i as f32 * 0.01);
        let fall = ramp.clone().rev();
        let outlier = (0..500).map(|i| if i == 0 { 40.0 } else { -100.0 + 1e-3 * (i % 2) as f32 });
        let floor = (0..400).map(|i| if i % 30 == 0 { -20.0 } else { -100.0 });
        let denormal = (0..200).map(|i| f32::from_bits(i) * if i % 3 == 0 { -1.0 } else { 1.0 });
        let huge = (0..100).map(|i| if i % 2 == 0 { 1e30 } else { 1.0001e30 });
        let zeros = (0..70).map(|i| if i % 2 == 0 { 0.0 } else { -0.0 });
        check(&ramp.collect::<Vec<_>>(), 1);
        check(&fall.collect::<Vec<_>>(), 1);
        check(&outlier.collect::<Vec<_>>(), 1);
        check(&floor.collect::<Vec<_>>(), 1);
        check(&denormal.collect::<Vec<_>>(), 1);
        check(&zeros.collect::<Vec<_>>(), 1);
        let huge = huge.collect::<Vec<_>>();
        assert_eq!((of(&huge).p5, of(&huge).mean), (1e30, 1.00005e30));
    }

    #[test]
    fn means_are_those_of_the_definition() {
        for frames in [1, 2, 7, 8, 15, 16, 17, 33, 313] {
            let mut stream = RandomStream::new(&[frames as u64]);
            let logmel: Vec<f32> = (0..3 * frames).map(|_| stream.uniform_in(-100.0, 40.0) as f32).collect();
            for level in SimdLevel::all() {
                let got = means(&logmel, 3, level);
                assert_eq!(got.len(), 3);
                for (row, got) in logmel.chunks_exact(frames).zip(got) {
                    let expected = definition(row)[0];
                    assert!((f64::from(got) - expected).abs() < 1e-5, "{level:?}: {got} for {expected}");
                }
            }
        }
    }

    #[test]
    fn a_raised_flag_stops_it() {
        let cancel = Cancel::default();
        cancel.cancel();
        let got = clip(&[0.0; 40], 4, &mut StatisticsScratch::new(SimdLevel::best()), &cancel);
        assert!(matches!(got, Err(Error::Interrupted)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(frames in prop::collection::vec(-100.0_f32..40.0, 1..700)) {
            check(&frames, 1);
        }
    }
}
