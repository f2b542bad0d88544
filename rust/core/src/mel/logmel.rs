//! From the samples of a clip to its log-Mel spectrogram, as many frames side by side as a vector has lanes.

use super::filterbank::FilterBank;
use super::float64::{self, FallbackTrigger, Float64Frames};
use super::input::{Padded, Samples};
use super::settings::{Floor, PadMode, Settings, Spectrum};
use super::stft::Stft;
use crate::par::Cancel;
use crate::simd::{Aligned, Kernel, MAX_LANES, SimdLevel, Vector, vectors};
use crate::{Error, Result, memory};
use std::sync::OnceLock;

/// The plan: everything that does not depend on the clip. Immutable, shared by all workers.
pub struct LogMel {
    settings: Settings,
    stft: Stft,
    bank: FilterBank,
    level: SimdLevel,
    /// See [`float64::limits`].
    limits: Vec<f32>,
    /// Made when the first clip needs it.
    pub(super) float64: OnceLock<Float64Frames>,
}

/// The memory that one worker needs.
#[derive(Clone, Debug)]
pub struct LogMelScratch {
    /// The samples of one group of frames.
    frames: Vec<f32>,
    buffers: [Vec<Aligned>; 2],
    spectrum: Vec<Aligned>,
    /// Decibels of each frame's mean power.
    levels: Vec<f32>,
}

impl LogMelScratch {
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
            levels: self.levels,
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
        let limits = float64::limits(&bank, settings.spectrum);
        let stft = Stft::new(&settings.frame_weights());
        Ok(Self { settings, stft, bank, level, limits, float64: OnceLock::new() })
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
        let reads = self.stft.reads();
        LogMelScratch {
            frames: vec![0.0; self.group_length()],
            buffers: [vectors(reads), vectors(reads)],
            spectrum: vectors(self.stft.bins()),
            levels: Vec::new(),
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
        memory::resize(&mut scratch.levels, frames, 0.0)?;
        let kernel = LogMelKernel { plan: self, clip, scratch: &mut *scratch, out: &mut *out, cancel };
        let outcome = self.level.run(kernel)?;
        if !outcome.in_range {
            return samples.check(cancel);
        }
        if outcome.deep {
            let (limits, levels, floor_db) = (&self.limits[..], &scratch.levels[..], outcome.floor_db);
            let frames = FallbackTrigger { limits, levels, floor_db }.frames(out)?;
            if frames.contains(&true) {
                let float64 = self.float64.get_or_init(|| Float64Frames::new(self.settings.frame_weights()));
                float64.refine((&self.settings, &self.bank), clip, &frames, out, cancel)?;
            }
        }
        Ok(())
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

    /// Samples from one frame to the next in [`LogMelScratch::frames`]: frames further apart than long stand end to end.
    fn frame_stride(&self) -> usize {
        self.settings.hop_length.min(self.settings.n_fft)
    }

    /// Samples of one group of frames.
    fn group_length(&self) -> usize {
        (self.level.lanes() - 1) * self.frame_stride() + self.stft.reads()
    }
}

/// What a clip's work says about it.
struct Outcome {
    /// Whether all samples are finite and in range.
    in_range: bool,
    /// Whether any band of any frame lies deep below the frame's mean power.
    deep: bool,
    /// What silence has in dB.
    floor_db: f32,
}

/// One clip's work; there is room for a level of each frame.
struct LogMelKernel<'a> {
    plan: &'a LogMel,
    clip: Padded<'a>,
    scratch: &'a mut LogMelScratch,
    out: &'a mut [f32],
    cancel: &'a Cancel,
}

impl Kernel for LogMelKernel<'_> {
    type Output = Result<Outcome>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<Outcome> {
        let Self { plan, clip, scratch, out, cancel } = self;
        let Settings { n_fft, hop_length, spectrum: kind, .. } = plan.settings;
        let (decibels, stride) = (Decibels::new(&plan.settings), plan.frame_stride());
        let (samples, levels) = (&mut scratch.frames[..plan.group_length()], &mut scratch.levels);
        let frames = levels.len();
        let [a, b] = scratch.buffers.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..plan.stft.reads()]);
        let spectrum = &mut vectors::<V>(&mut scratch.spectrum)[..plan.stft.bins()];
        let (mut checked, mut in_range, mut deep) = (0, true, false);
        for first in (0..frames).step_by(V::LANES) {
            cancel.check()?;
            if hop_length <= n_fft {
                clip.fill(first * hop_length, samples);
            } else {
                for (lane, frame) in samples.chunks_exact_mut(n_fft).enumerate() {
                    clip.fill((first + lane) * hop_length, frame);
                }
            }
            // Each sample is looked at once, while it is near: up to the end of this group.
            let end = clip.samples.len().min((first + V::LANES) * hop_length);
            in_range &= clip.samples.are_in_range(checked..end);
            checked = end;
            plan.stft.power(samples, stride, [&mut *a, &mut *b], spectrum);
            let level = decibels.of_mean(spectrum, kind);
            if kind == Spectrum::Magnitude {
                for bin in spectrum.iter_mut() {
                    *bin = bin.sqrt();
                }
            }
            let width = V::LANES.min(frames - first);
            let mut depth = V::splat(f32::MIN);
            plan.bank.apply(spectrum, |mel, sum| {
                let db = decibels.of(sum);
                depth = depth.max(V::splat(plan.limits[mel]) - db);
                put(db, &mut out[mel * frames + first..mel * frames + first + width]);
            });
            put(level, &mut levels[first..first + width]);
            let mut depths = [f32::MIN; MAX_LANES];
            (depth + level).store(&mut depths);
            deep |= depths.iter().any(|&depth| depth > 0.0);
        }
        in_range &= clip.samples.are_in_range(checked..clip.samples.len());
        let mut floor = [0.0; MAX_LANES];
        decibels.of(V::splat(0.0)).store(&mut floor);
        Ok(Outcome { in_range, deep, floor_db: floor[0] })
    }
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

    /// Decibels of a power spectrum's mean, of its root if decibels are those of magnitudes; no floor.
    #[inline(always)]
    fn of_mean<V: Vector>(self, power: &[V], kind: Spectrum) -> V {
        let (quads, rest) = power.as_chunks::<4>();
        let mut sums = [V::splat(0.0); 4];
        for quad in quads {
            for (sum, &bin) in sums.iter_mut().zip(quad) {
                *sum = *sum + bin;
            }
        }
        let sum = rest.iter().fold((sums[0] + sums[1]) + (sums[2] + sums[3]), |sum, &bin| sum + bin);
        let mean = sum * V::splat(1.0 / power.len() as f32);
        let value = if kind == Spectrum::Magnitude { mean.sqrt() } else { mean };
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
