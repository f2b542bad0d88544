//! From the samples of a clip to its log-Mel spectrogram, as many frames side by side as a vector has lanes.

use super::filterbank::FilterBank;
use super::group::{Group, Waiting};
use super::input::{Padded, Samples};
use super::range::{self, GreatRange, Way};
use super::settings::{PadMode, Settings};
use super::stft::Stft;
use crate::par::Cancel;
use crate::simd::{Aligned, Kernel, SimdLevel, Vector};
use crate::{Error, Result, memory};
use std::sync::OnceLock;

/// The plan: everything that does not depend on the clip. Immutable, shared by all workers.
pub struct LogMel {
    settings: Settings,
    stft: Stft,
    bank: FilterBank,
    level: SimdLevel,
    /// See [`range::plain_limits`].
    limits: Vec<f32>,
    /// Made when the first clip needs it.
    pub(super) great_range: OnceLock<GreatRange>,
}

/// The memory that one worker needs.
#[derive(Clone, Debug)]
pub struct LogMelScratch {
    /// The samples of one group of frames.
    pub(super) frames: Vec<f32>,
    /// Those of frames that do not follow one another; empty until a clip needs them.
    pub(super) scattered: Vec<f32>,
    pub(super) buffers: [Vec<Aligned>; 2],
    pub(super) spectrum: Vec<Aligned>,
    pub(super) bands: Vec<Aligned>,
    /// Frames that wait for each of the [`Way`]s.
    pub(super) waiting: [Vec<Waiting>; Way::ALL.len()],
    /// Power spectra in float64 of half a group each; empty until a clip needs them.
    pub(super) halves: [Vec<Aligned>; 2],
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
            bands: longer(self.bands, other.bands),
            ..self
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
        let limits = range::plain_limits(&bank, settings.spectrum);
        let stft = Stft::new(&settings.frame_weights());
        Ok(Self { settings, stft, bank, level, limits, great_range: OnceLock::new() })
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
            bands: vectors(self.n_mels()),
            scattered: Vec::new(),
            waiting: Default::default(),
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

    pub(super) fn stft(&self) -> &Stft {
        &self.stft
    }

    pub(super) fn bank(&self) -> &FilterBank {
        &self.bank
    }

    pub(super) fn limits(&self) -> &[f32] {
        &self.limits
    }

    pub(super) fn great_range(&self) -> &GreatRange {
        let Self { settings, bank, level, .. } = self;
        let make = || GreatRange::new(&settings.frame_weights(), bank, settings.spectrum, *level);
        self.great_range.get_or_init(make)
    }

    /// Samples from one frame to the next in [`LogMelScratch::frames`]: frames further apart than long stand end to end.
    pub(super) fn frame_stride(&self) -> usize {
        self.settings.hop_length.min(self.settings.n_fft)
    }

    /// Samples of one group of frames.
    pub(super) fn group_length(&self) -> usize {
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
        let mut group = Group::new(plan, (clip, frames), scratch, out);
        while let Some(way) = group.take(V::LANES)? {
            cancel.check()?;
            group.run::<V>(way)?;
        }
        Ok(group.all_in_range())
    }
}
