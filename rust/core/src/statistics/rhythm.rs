//! How strongly the level of a clip swings, at several rates and in several bands.

use super::chirp::{ChirpMemory, ChirpTransform};
use crate::par::{self, Cancel};
use crate::simd::{Kernel, Lanes, MAX_LANES, SimdLevel, Vector, numbers};
use crate::{Error, Result, memory};
use std::f64::consts::TAU;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// What is added to powers, in square decibels, before the logarithm.
const POWER_FLOOR: f64 = 1e-6;

/// A line that lies by rounding below an edge lies on it: at 31.25 frames a second edges are 0.4, 1, 2.5 and 6.25 Hz.
const ON_EDGE: f64 = 1.0 - 1e-9;

/// Most bands, and most rates.
const MOST: usize = 8192;

/// Most frames of a plan that is kept for the next call: it is then below 1 MB.
const MOST_KEPT: usize = 1 << 14;

/// The plan that was made last: a call with one clip would spend as long on its plan as on the clip.
static LAST: Mutex<Option<Arc<Plan>>> = Mutex::new(None);

/// Powers of a vector's lanes that are added up in single precision.
const RUN: usize = 64;

/// What the rhythm of a log-Mel spectrogram is measured by.
///
/// Neighbouring Mels are averaged to `bands`: band `b` of `n` is the mean of the Mels from `floor(b n_mels / n)` up to,
/// but not including, `ceil((b + 1) n_mels / n)`. So where `n` does not divide the number of Mels, neighbours share one,
/// and where there are fewer Mels than bands, bands repeat them. Of each band, less its mean and weighted by a symmetric
/// Hann window over the whole clip, the periodogram `|X|^2 / frames` is averaged within `rates` ranges of frequency:
/// their edges are spaced geometrically from `lowest_hz`, included, to half the frame rate, excluded. A range without a
/// line takes the one nearest to its geometric middle, the lower of two. The result is `ln(mean + 1e-6)`.
///
/// The root of a mean power is exact to 1e-6 of that over all frequencies of its band: the logarithm is within 1e-4 of
/// the definition, unless a rate has less than a thousandth of the mean power of its band.
#[derive(Clone, Debug, PartialEq)]
pub struct Rhythm {
    frame_rate_hz: f64,
    bands: usize,
    rates: usize,
    lowest_hz: f64,
}

impl Rhythm {
    /// Bands where no other number is asked for.
    pub const BANDS: usize = 32;
    /// Rates where no other number is asked for.
    pub const RATES: usize = 4;
    /// The lowest rate where no other is asked for.
    pub const LOWEST_HZ: f64 = 0.4;

    /// The rhythm of spectrograms of that many frames a second.
    ///
    /// # Errors
    /// [`Error::Parameter`] for one outside its range.
    pub fn new(frame_rate_hz: f64, bands: usize, rates: usize, lowest_hz: f64) -> Result<Self> {
        if !(1e-6..=1e12).contains(&frame_rate_hz) {
            return Err(Error::parameter("frame_rate_hz", frame_rate_hz, "1e-6 to 1e12 frames a second"));
        }
        for (parameter, given) in [("bands", bands), ("rates", rates)] {
            if !(1..=MOST).contains(&given) {
                return Err(Error::parameter(parameter, given, format!("1 to {MOST}")));
            }
        }
        let highest = frame_rate_hz / 2.0;
        if !(lowest_hz > 0.0 && lowest_hz < highest) {
            let expected = format!("above 0 and below half the frame rate, {highest} Hz");
            return Err(Error::parameter("lowest_hz", lowest_hz, expected));
        }
        Ok(Self { frame_rate_hz, bands, rates, lowest_hz })
    }

    /// How many numbers a clip has: those of the lowest rate first, in the order of bands.
    #[must_use]
    pub fn size(&self) -> usize {
        self.rates * self.bands
    }

    /// The Mels of a band.
    fn mels(&self, band: usize, n_mels: usize) -> Range<usize> {
        band * n_mels / self.bands..((band + 1) * n_mels).div_ceil(self.bands)
    }

    /// The lines of each rate in the spectrum of so many frames.
    fn lines(&self, frames: usize) -> Vec<Range<usize>> {
        let last_line = frames / 2;
        let place = |hz: f64| hz * frames as f64 / self.frame_rate_hz;
        let span = self.frame_rate_hz / 2.0 / self.lowest_hz;
        let edge = |i: f64| self.lowest_hz * span.powf(i / self.rates as f64);
        let first_line = |i: usize| match i {
            _ if i == self.rates => frames.div_ceil(2),
            _ => ((place(edge(i as f64)) * ON_EDGE).ceil() as usize).min(frames.div_ceil(2)),
        };
        let of_rate = |rate: usize| {
            let lines = first_line(rate)..first_line(rate + 1);
            if lines.is_empty() {
                let nearest = ((place(edge(rate as f64 + 0.5)) - 0.5).ceil() as usize).min(last_line);
                return nearest..nearest + 1;
            }
            lines
        };
        (0..self.rates).map(of_rate).collect()
    }
}

/// Rhythms of many given spectrograms, `(clips, n_mels, frames)` row by row: `(clips, rates * bands)`.
///
/// # Errors
/// As [`clip`]; the message names the clip.
pub fn rhythms(
    logmels: &[f32],
    n_mels: usize,
    frames: usize,
    rhythm: &Rhythm,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    if n_mels == 0 || frames == 0 {
        let given = format!("{n_mels} Mel bands, {frames} frames");
        return Err(Error::array("logmels", given, "at least one of each"));
    }
    let work = |scratch: &mut RhythmScratch, index: usize, logmel: &[f32]| {
        clip(rhythm, logmel, n_mels, scratch, cancel)
            .map_err(|error| error.in_array(format!("logmels[{index}]")))
    };
    let clips: Vec<&[f32]> = logmels.chunks_exact(n_mels * frames).collect();
    let all = par::map(clips, threads, cancel, || RhythmScratch::new(SimdLevel::best()), work)?;
    Ok(all.concat())
}

/// What depends on the number of frames: kept from clip to clip, as most are of one length.
#[derive(Debug)]
struct Plan {
    rhythm: Rhythm,
    frames: usize,
    level: SimdLevel,
    transform: ChirpTransform,
    lines: Vec<Range<usize>>,
}

impl Plan {
    /// The last one if it fits, or a new one. Who finds the last one in use does without it: a process that was forked
    /// meanwhile would wait for ever.
    fn shared(
        rhythm: &Rhythm,
        frames: usize,
        level: SimdLevel,
        memory: &mut ChirpMemory,
    ) -> Result<Arc<Self>> {
        let fits = |plan: &&Arc<Self>| plan.serves(rhythm, frames) && plan.level == level;
        let last = LAST.try_lock().ok().and_then(|last| last.as_ref().filter(fits).cloned());
        if let Some(plan) = last {
            plan.transform.make_room(level, memory)?;
            return Ok(plan);
        }
        let transform = ChirpTransform::new(&hann(frames), level, memory)?;
        let lines = rhythm.lines(frames);
        let plan = Arc::new(Self { rhythm: rhythm.clone(), frames, level, transform, lines });
        if frames <= MOST_KEPT
            && let Ok(mut last) = LAST.try_lock()
        {
            *last = Some(Arc::clone(&plan));
        }
        Ok(plan)
    }

    fn serves(&self, rhythm: &Rhythm, frames: usize) -> bool {
        self.frames == frames && self.rhythm == *rhythm
    }
}

/// The memory of one worker, and how it computes.
#[derive(Debug)]
pub(crate) struct RhythmScratch {
    level: SimdLevel,
    plan: Option<Arc<Plan>>,
    chirp: ChirpMemory,
    /// Sums over the Mels of one band.
    sums: Vec<f64>,
    /// Bands as the transform wants them, one for each lane.
    rows: Vec<f32>,
}

impl RhythmScratch {
    /// Memory that grows with the first clip.
    pub(crate) fn new(level: SimdLevel) -> Self {
        Self { level, plan: None, chirp: ChirpMemory::default(), sums: Vec::new(), rows: Vec::new() }
    }

    /// Make ready for a number of frames.
    fn prepare(&mut self, rhythm: &Rhythm, frames: usize) -> Result<()> {
        if self.plan.as_ref().is_none_or(|plan| !plan.serves(rhythm, frames)) {
            self.plan = Some(Plan::shared(rhythm, frames, self.level, &mut self.chirp)?);
        }
        let lanes = self.level.lanes();
        memory::resize(&mut self.sums, frames, 0.0)?;
        memory::resize(&mut self.rows, lanes * frames.next_multiple_of(lanes), 0.0)
    }
}

/// The symmetric Hann window.
fn hann(frames: usize) -> Vec<f64> {
    let value = |t: usize| match frames {
        1 => 1.0,
        _ => 0.5 - 0.5 * (TAU * t as f64 / (frames - 1) as f64).cos(),
    };
    (0..frames).map(value).collect()
}

/// The rhythm of one clip, `(n_mels, frames)` row by row.
///
/// # Errors
/// [`Error::Array`] if there is no frame, or one that is not finite, naming the Mel band; [`Error::Interrupted`].
pub(crate) fn clip(
    rhythm: &Rhythm,
    logmel: &[f32],
    n_mels: usize,
    scratch: &mut RhythmScratch,
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let frames = logmel.len() / n_mels.max(1);
    if frames == 0 {
        return Err(Error::array("logmels", "no frames", "at least one frame"));
    }
    scratch.prepare(rhythm, frames)?;
    scratch.level.run(RhythmKernel { rhythm, logmel, frames, scratch, cancel })
}

struct RhythmKernel<'a> {
    rhythm: &'a Rhythm,
    logmel: &'a [f32],
    frames: usize,
    scratch: &'a mut RhythmScratch,
    cancel: &'a Cancel,
}

impl Kernel for RhythmKernel<'_> {
    type Output = Result<Vec<f32>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let Self { rhythm, logmel, frames, scratch, cancel } = self;
        let RhythmScratch { plan, chirp, sums, rows, .. } = scratch;
        let Some(plan) = plan else { unreachable!("prepared above") };
        let Plan { transform, lines, .. } = &**plan;
        let (n_mels, stride) = (logmel.len() / frames, frames.next_multiple_of(V::LANES));
        let mut out = vec![0.0; rhythm.size()];
        let mut powers = Vec::with_capacity(transform.bins() * V::LANES);
        for first in (0..rhythm.bands).step_by(V::LANES) {
            cancel.check()?;
            let width = V::LANES.min(rhythm.bands - first);
            let mut units = vec![0.0; width];
            for (lane, row) in rows.chunks_exact_mut(stride).enumerate() {
                if lane < width {
                    let mels = rhythm.mels(first + lane, n_mels);
                    units[lane] = deviations::<V>(logmel, mels, sums, &mut row[..frames])?;
                } else {
                    row.fill(0.0);
                }
            }
            powers.clear();
            transform.powers::<V>(rows, stride, chirp, |_, power| powers.push(power));
            for (lines, out) in lines.iter().zip(out.chunks_exact_mut(rhythm.bands)) {
                let totals = totals(&powers[lines.clone()]);
                for ((out, total), unit) in out[first..first + width].iter_mut().zip(totals).zip(&units) {
                    let power = total / (lines.len() * frames) as f64 * unit * unit;
                    *out = (power + POWER_FLOOR).ln() as f32;
                }
            }
        }
        Ok(out)
    }
}

/// The mean of some Mels less its mean over time, in units of its deviation: the unit comes back, in dB. So neither
/// the size of numbers nor that of other bands takes digits from them. A band that does not vary is zero.
#[inline(always)]
fn deviations<V: Vector>(
    logmel: &[f32],
    mels: Range<usize>,
    sums: &mut [f64],
    row: &mut [f32],
) -> Result<f64> {
    let frames = row.len();
    sums.fill(0.0);
    for mel in logmel[mels.start * frames..mels.end * frames].chunks_exact(frames) {
        for (sum, &db) in sums.iter_mut().zip(mel) {
            *sum += f64::from(db);
        }
    }
    let origin = sums[0];
    let [distance, square] = moments::<V>(sums, origin);
    if !square.is_finite() {
        return Err(not_finite(logmel, mels, frames));
    }
    let deviation = (square - distance * distance).max(0.0).sqrt();
    let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
    let mean = origin + distance;
    for (to, sum) in row.iter_mut().zip(sums) {
        *to = ((*sum - mean) * scale) as f32;
    }
    Ok(deviation / mels.len() as f64)
}

/// Means of `value - origin` and of its square.
#[inline(always)]
fn moments<V: Vector>(values: &[f64], origin: f64) -> [f64; 2] {
    let mut sums = [[V::Wide::splat(0.0); 2]; 2];
    let (quads, rest) = values.split_at(values.len() / (2 * V::Wide::LANES) * 2 * V::Wide::LANES);
    for pair in quads.chunks_exact(2 * V::Wide::LANES) {
        for half in 0..2 {
            let distance = V::Wide::load(&pair[half * V::Wide::LANES..]) - V::Wide::splat(origin);
            sums[0][half] = sums[0][half] + distance;
            sums[1][half] = distance.mul_add(distance, sums[1][half]);
        }
    }
    let mut totals = sums.map(|sums| numbers(&sums).iter().sum::<f64>());
    for value in rest {
        totals[0] += value - origin;
        totals[1] += (value - origin) * (value - origin);
    }
    totals.map(|total| total / values.len() as f64)
}

fn not_finite(logmel: &[f32], mels: Range<usize>, frames: usize) -> Error {
    let place = (mels.start * frames..mels.end * frames).find(|&i| !logmel[i].is_finite()).unwrap_or(0);
    let given = format!("{} at frame {} of Mel band {}", logmel[place], place % frames, place / frames);
    Error::array("logmels", given, "finite decibels")
}

/// Sums of each lane, in double precision but for runs that are short.
#[inline(always)]
fn totals<V: Vector>(powers: &[V]) -> [f64; MAX_LANES] {
    let mut totals = [0.0; MAX_LANES];
    for run in powers.chunks(RUN) {
        let sum = run.iter().fold(V::splat(0.0), |sum, &power| sum + power);
        let mut lanes = [0.0; MAX_LANES];
        sum.store(&mut lanes);
        totals.iter_mut().zip(lanes).for_each(|(total, lane)| *total += f64::from(lane));
    }
    totals
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
