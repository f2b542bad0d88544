//! From the samples of a clip to its log-Mel spectrogram, as many frames side by side as a vector has lanes.

use super::filterbank::FilterBank;
use super::float64::Float64Frames;
use super::input::{Padded, Samples};
use super::range::{self, GreatRange, Means, RANGE_DB};
use super::settings::{Floor, PadMode, Settings, Spectrum};
use super::stft::{FrameGroup, Stft};
use crate::par::Cancel;
use crate::simd::{Aligned, Kernel, MAX_LANES, SimdLevel, Vector, vectors};
use crate::{Error, Result, memory};
use std::sync::OnceLock;

/// Up to one in so many frames of a group are done again one by one.
const FEW: usize = 4;

/// The plan: everything that does not depend on the clip. Immutable, shared by all workers.
pub struct LogMel {
    settings: Settings,
    stft: Stft,
    bank: FilterBank,
    level: SimdLevel,
    /// See [`range::limits`].
    limits: Vec<f32>,
    /// Made when the first clip needs it.
    pub(super) great_range: OnceLock<GreatRange>,
    /// The same.
    pub(super) float64: OnceLock<Float64Frames>,
}

/// The memory that one worker needs.
#[derive(Clone, Debug)]
pub struct LogMelScratch {
    /// The samples of one group of frames.
    frames: Vec<f32>,
    buffers: [Vec<Aligned>; 2],
    spectrum: Vec<Aligned>,
    /// Power spectra in float64 of half a group each; empty until a clip needs them.
    halves: [Vec<Aligned>; 2],
}

impl LogMelScratch {
    /// Whether any clip needed float64.
    #[cfg(test)]
    pub(super) fn needs_float64(&self) -> bool {
        !self.halves[0].is_empty()
    }

    /// The larger of each piece of two: memory for the plans of both, one at a time.
    pub(super) fn larger(self, other: Self) -> Self {
        fn longer<T>(a: Vec<T>, b: Vec<T>) -> Vec<T> {
            if a.len() < b.len() { b } else { a }
        }
        let ([a, b], [c, d]) = (self.buffers, other.buffers);
        Self {
            frames: longer(self.frames, other.frames),
            buffers: [longer(a, c), longer(b, d)],
            spectrum: longer(self.spectrum, other.spectrum),
            halves: self.halves,
        }
    }
}

impl LogMel {
    /// A plan for the fastest level of this processor.
    ///
    /// # Errors
    /// [`Error::Parameter`] for settings outside their range, and where not one filter holds a frequency.
    pub fn new(settings: Settings) -> Result<Self> {
        Self::with_level(settings, SimdLevel::best())
    }

    /// A plan for a given level. Levels differ by rounding: each is within 1e-3 dB of the definition from the clip's
    /// maximum down to 80 dB below it, and mostly within 1e-4 dB.
    ///
    /// # Errors
    /// As [`LogMel::new`].
    pub fn with_level(settings: Settings, level: SimdLevel) -> Result<Self> {
        settings.check()?;
        let bank = FilterBank::new(&settings);
        if bank.empty().len() == settings.n_mels {
            let bin_hz = f64::from(settings.sample_rate) / settings.n_fft as f64;
            let expected = format!(
                "a band that holds at least one frequency of the spectrum, which are {bin_hz} Hz apart; from f_min_hz = {} to \
                 f_max_hz = {} not one of the {} filters does",
                settings.f_min_hz, settings.f_max_hz, settings.n_mels
            );
            return Err(Error::parameter("n_fft", settings.n_fft, expected));
        }
        let limits = range::limits(&bank, settings.spectrum);
        let stft = Stft::new(&settings.frame_weights());
        Ok(Self {
            settings,
            stft,
            bank,
            level,
            limits,
            great_range: OnceLock::new(),
            float64: OnceLock::new(),
        })
    }

    /// The settings that it was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Number of Mel bands.
    #[must_use]
    pub fn n_mels(&self) -> usize {
        self.settings.n_mels
    }

    /// Filters that hold no frequency of the spectrum: their band is at the floor in every clip.
    #[must_use]
    pub fn empty_filters(&self) -> Vec<usize> {
        self.bank.empty()
    }

    /// The filters as a matrix, `(n_mels, n_fft / 2 + 1)` row by row.
    #[must_use]
    pub fn filters(&self) -> Vec<f32> {
        self.bank.dense()
    }

    /// Frequency of each filter's peak in Hz.
    #[must_use]
    pub fn peaks_hz(&self) -> &[f64] {
        self.bank.peaks_hz()
    }

    /// Number of frames of a clip of so many samples.
    ///
    /// # Errors
    /// [`Error::Array`] if the clip is too short: empty, not longer than half a frame under reflection, or shorter
    /// than a frame without padding.
    pub fn frames(&self, samples: usize) -> Result<usize> {
        let Settings { n_fft, hop_length, pad_mode, .. } = self.settings;
        let (least, why) = match pad_mode {
            PadMode::Constant => (1, String::new()),
            PadMode::Reflect => (n_fft / 2 + 1, format!(" to mirror n_fft / 2 = {} of them", n_fft / 2)),
            PadMode::None => (n_fft, format!(" to fill one frame of n_fft = {n_fft} without padding")),
        };
        if samples < least {
            let expected = format!("at least {least} samples{why}");
            return Err(Error::array("samples", format!("{samples} samples"), expected));
        }
        Ok(1 + if pad_mode == PadMode::None { samples - n_fft } else { samples } / hop_length)
    }

    /// Memory for one worker.
    #[must_use]
    pub fn scratch(&self) -> LogMelScratch {
        let vectors = |count| Aligned::zeros(self.level, count);
        let room = self.stft.room();
        LogMelScratch {
            frames: vec![0.0; self.group_length()],
            buffers: [vectors(room), vectors(room)],
            spectrum: vectors(self.stft.bins()),
            halves: [Vec::new(), Vec::new()],
        }
    }

    /// Log-Mel spectrogram of one clip in dB, `(n_mels, frames)` row by row.
    ///
    /// Samples below about 1e-19 make denormal powers, which processors are slow at: 7 times as long, near 1e-38 80 times.
    ///
    /// # Errors
    /// [`Error::Array`] if the clip is too short, `out` is not of that size, or a sample is not finite or above
    /// [`MAX_SAMPLE`](crate::MAX_SAMPLE), [`Error::Interrupted`]; `out` then holds nothing of use.
    pub fn process_into(
        &self,
        scratch: &mut LogMelScratch,
        samples: Samples<'_>,
        out: &mut [f32],
        cancel: &Cancel,
    ) -> Result<()> {
        let frames = self.frames(samples.len())?;
        let size = self.n_mels() * frames;
        if out.len() != size {
            return Err(Error::array("out", format!("{} values", out.len()), format!("{size} values")));
        }
        let pad = if self.settings.pad_mode == PadMode::None { 0 } else { self.settings.n_fft / 2 };
        let clip = Padded { samples, pad, mode: self.settings.pad_mode };
        let kernel = LogMelKernel { plan: self, clip, scratch, out, frames, cancel };
        if self.level.run(kernel)? { Ok(()) } else { samples.check(cancel) }
    }

    /// [`LogMel::process_into`] new memory.
    pub(super) fn process(
        &self,
        scratch: &mut LogMelScratch,
        samples: Samples<'_>,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        let mut out = memory::zeros(self.n_mels().saturating_mul(self.frames(samples.len())?))?;
        self.process_into(scratch, samples, &mut out, cancel)?;
        Ok(out)
    }

    pub(super) fn level(&self) -> SimdLevel {
        self.level
    }

    fn great_range(&self) -> &GreatRange {
        self.great_range.get_or_init(|| GreatRange::new(&self.settings.frame_weights(), self.level))
    }

    /// Samples from one frame to the next in [`LogMelScratch::frames`]: frames further apart than long stand end to end.
    fn frame_stride(&self) -> usize {
        self.settings.hop_length.min(self.settings.n_fft)
    }

    /// Samples of one group of frames.
    fn group_length(&self) -> usize {
        (self.level.lanes() - 1) * self.frame_stride() + self.stft.reads()
    }
}

/// One clip's work: whether all samples are finite and in range.
struct LogMelKernel<'a> {
    plan: &'a LogMel,
    clip: Padded<'a>,
    scratch: &'a mut LogMelScratch,
    out: &'a mut [f32],
    frames: usize,
    cancel: &'a Cancel,
}

impl Kernel for LogMelKernel<'_> {
    type Output = Result<bool>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<bool> {
        let Self { plan, clip, scratch, out, frames, cancel } = self;
        let (hop_length, count) = (plan.settings.hop_length, clip.samples.len());
        let mut group = Group::new(plan, scratch, frames, out);
        let (mut checked, mut in_range, mut means) = (0, true, Means::default());
        'groups: for first in (0..frames).step_by(V::LANES) {
            cancel.check()?;
            group.fill(clip, first);
            // Each sample is looked at once, while it is near: up to the end of this group.
            let end = count.min((first + V::LANES) * hop_length);
            in_range &= clip.samples.are_in_range(checked..end);
            checked = end;
            let within = (first * hop_length).saturating_sub(clip.pad)..end;
            if !means.are_plain() {
                means.offset = range::offset(&clip.samples, within.clone());
            }
            loop {
                let deep = group.too_deep::<V>(first, means)?;
                let count = deep.iter().filter(|&&deep| deep).count();
                if means.float64 && count > V::LANES / FEW {
                    continue 'groups;
                }
                if means.float64 || count == 0 {
                    break;
                }
                if count <= V::LANES / FEW {
                    let frames = (0..V::LANES).filter(|&lane| deep[lane]).map(|lane| first + lane);
                    group.refine(clip, frames);
                    break;
                }
                let plain = means.are_plain();
                means.offset = range::offset(&clip.samples, within.clone());
                means.float64 = !plain || means.offset == 0.0;
            }
            means.float64 = false;
        }
        in_range &= clip.samples.are_in_range(checked..count);
        Ok(in_range)
    }
}

/// As many frames side by side as there are lanes.
struct Group<'a> {
    plan: &'a LogMel,
    scratch: &'a mut LogMelScratch,
    frames: usize,
    out: &'a mut [f32],
    decibels: Decibels,
    /// The greatest decibels so far.
    greatest: f32,
}

impl<'a> Group<'a> {
    #[inline(always)]
    fn new(plan: &'a LogMel, scratch: &'a mut LogMelScratch, frames: usize, out: &'a mut [f32]) -> Self {
        let decibels = Decibels::new(&plan.settings);
        Self { plan, scratch, frames, out, decibels, greatest: f32::MIN }
    }

    /// Take the samples of the frames from `first` on.
    #[inline(always)]
    fn fill(&mut self, clip: Padded<'_>, first: usize) {
        let Settings { n_fft, hop_length, .. } = self.plan.settings;
        let samples = &mut self.scratch.frames[..self.plan.group_length()];
        if hop_length <= n_fft {
            return clip.fill(first * hop_length, samples);
        }
        for (lane, frame) in samples.chunks_exact_mut(n_fft).enumerate() {
            clip.fill((first + lane) * hop_length, frame);
        }
    }

    /// Powers of the frames' spectra, and the sum that errors follow.
    #[inline(always)]
    fn power<V: Vector>(&mut self, means: Means) -> Result<V> {
        let (plan, LogMelScratch { frames, buffers, spectrum, halves }) = (self.plan, &mut *self.scratch);
        let group = FrameGroup { samples: &frames[..plan.group_length()], stride: plan.frame_stride() };
        let power = &mut vectors::<V>(spectrum)[..plan.stft.bins()];
        if means.float64 {
            halves.iter_mut().try_for_each(|half| Aligned::make_room(plan.level, power.len(), half))?;
            return Ok(plan.great_range().power(group, means.offset, buffers, halves, power));
        }
        let [a, b] = buffers.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..plan.stft.room()]);
        let offset = if means.offset == 0.0 { None } else { plan.great_range().offset(means.offset) };
        Ok(plan.stft.power(group, offset, [a, b], power))
    }

    /// Do a few frames again, one by one.
    #[inline(always)]
    fn refine(&mut self, clip: Padded<'_>, frames: impl Iterator<Item = usize>) {
        let LogMel { settings, bank, float64, .. } = self.plan;
        let float64 = float64.get_or_init(|| Float64Frames::new(settings.frame_weights()));
        float64.refine((settings, bank), clip, frames, self.frames, self.out);
    }

    /// Write the decibels of the frames from `first` on: for each whether a band that counts lies too deep to be exact.
    #[inline(always)]
    fn too_deep<V: Vector>(&mut self, first: usize, means: Means) -> Result<[bool; MAX_LANES]> {
        let total: V = self.power(means)?;
        let (plan, decibels, frames) = (self.plan, self.decibels, self.frames);
        let spectrum = &mut vectors::<V>(&mut self.scratch.spectrum)[..plan.stft.bins()];
        let kind = plan.settings.spectrum;
        let level = decibels.of_mean(total * V::splat(1.0 / spectrum.len() as f32), kind);
        if kind == Spectrum::Magnitude {
            for bin in spectrum.iter_mut() {
                *bin = bin.sqrt();
            }
        }
        let count = V::LANES.min(frames - first);
        let place = |mel| mel * frames + first..mel * frames + first + count;
        let [mut depth, mut greatest] = [V::splat(f32::MIN); 2];
        plan.bank.apply(spectrum, |mel, sum| {
            let db = decibels.of(sum);
            depth = depth.max(V::splat(plan.limits[mel]) - db);
            greatest = greatest.max(db);
            put(db, &mut self.out[place(mel)]);
        });
        self.greatest = self.greatest.max(greatest_lane(greatest, count));
        if greatest_lane(depth + level, count) <= 0.0 {
            return Ok([false; MAX_LANES]);
        }
        let least = decibels.of(V::splat(0.0)).max(V::splat(self.greatest - RANGE_DB));
        let mut depth = V::splat(f32::MIN);
        for (mel, &limit) in plan.limits.iter().enumerate() {
            let db = get::<V>(&self.out[place(mel)]);
            depth = depth.max((db - least).min(level + V::splat(limit) - db));
        }
        let mut depths = [f32::MIN; MAX_LANES];
        depth.store(&mut depths);
        Ok(std::array::from_fn(|lane| depths[lane] > 0.0))
    }
}

/// The greatest number in the first lanes, those that stand for a frame.
#[inline(always)]
fn greatest_lane<V: Vector>(lanes: V, count: usize) -> f32 {
    let mut all = [f32::MIN; MAX_LANES];
    lanes.store(&mut all);
    all[..count].iter().copied().fold(f32::MIN, f32::max)
}

/// The lanes that stand for a frame; the least number in all others.
#[inline(always)]
fn get<V: Vector>(from: &[f32]) -> V {
    let mut all = [f32::MIN; MAX_LANES];
    all[..from.len()].copy_from_slice(from);
    V::load(&all)
}

/// Write the lanes that stand for a frame.
#[inline(always)]
fn put<V: Vector>(lanes: V, out: &mut [f32]) {
    if out.len() == V::LANES {
        lanes.store(out);
    } else {
        let mut all = [0.0; MAX_LANES];
        lanes.store(&mut all);
        out.copy_from_slice(&all[..out.len()]);
    }
}

/// `scale * log10(max(x, floor))` or `scale * log10(x + floor)`.
#[derive(Clone, Copy)]
struct Decibels {
    added: f32,
    least: f32,
    per_octave: f32,
    per_neper: f32,
}

impl Decibels {
    #[inline(always)]
    fn new(settings: &Settings) -> Self {
        let scale = match settings.spectrum {
            Spectrum::Power => 10.0,
            Spectrum::Magnitude => 20.0,
        };
        let floor = settings.floor_value as f32;
        let (added, least) = match settings.floor {
            Floor::Max => (0.0, floor),
            Floor::Add => (floor, 0.0),
        };
        Self {
            added,
            least,
            per_octave: (scale * std::f64::consts::LOG10_2) as f32,
            per_neper: (scale * std::f64::consts::LOG10_E) as f32,
        }
    }

    /// Decibels of a mean power, of its root if decibels are those of magnitudes; no floor.
    #[inline(always)]
    fn of_mean<V: Vector>(self, power: V, kind: Spectrum) -> V {
        let value = if kind == Spectrum::Magnitude { power.sqrt() } else { power };
        Self { added: 0.0, least: f32::MIN_POSITIVE, ..self }.of(value)
    }

    /// The logarithm is that of Cephes (`logf`): exact to about one unit in the last place of its result.
    #[inline(always)]
    fn of<V: Vector>(self, x: V) -> V {
        const POLYNOMIAL: [f32; 9] = [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_84e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_7e-1,
            2.000_071_4e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ];
        let x = (x + V::splat(self.added)).max(V::splat(self.least));
        let (mantissa, exponent) = x.split();
        let m = mantissa - V::splat(1.0);
        let mut p = V::splat(POLYNOMIAL[0]);
        for &coefficient in &POLYNOMIAL[1..] {
            p = p.mul_add(m, V::splat(coefficient));
        }
        let square = m * m;
        let log = (p * m).mul_add(square, V::splat(-0.5).mul_add(square, m));
        exponent.mul_add(V::splat(self.per_octave), log * V::splat(self.per_neper))
    }
}
