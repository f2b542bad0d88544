//! What a log-Mel spectrogram is made by.

use super::window::Window;
use crate::{Error, Result, fft};
use std::ops::RangeInclusive;

/// How frequencies become Mels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelScale {
    /// Linear up to 1 kHz, logarithmic above (Slaney's Auditory Toolbox, librosa's default).
    Slaney,
    /// `2595 log10(1 + f / 700)` (HTK, torchaudio's default).
    Htk,
}

/// How the filters are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelNorm {
    /// Every filter has the same area: its peak is 2 over its width in Hz.
    Slaney,
    /// Every filter peaks at 1.
    None,
}

/// What stands before the first and behind the last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// Frames are centred, half a frame of zeros on both sides (librosa from 0.10).
    Constant,
    /// Frames are centred, the clip mirrored on both sides without repeating its end (torchaudio, librosa to 0.9).
    Reflect,
    /// Frames are not centred: the first one starts at the first sample, what does not fill a frame is left out.
    None,
}

/// What the filters are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spectrum {
    /// Squared magnitude; decibels are `10 log10`.
    Power,
    /// Magnitude; decibels are `20 log10`.
    Magnitude,
}

/// What keeps the logarithm finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// `log10(max(x, value))`
    Max,
    /// `log10(x + value)`
    Add,
}

/// The parameters of a log-Mel spectrogram; the default is the paper's.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Samples per second of every clip.
    pub sample_rate: u32,
    /// Samples of a frame: an even number without other prime factors than 2, 3 and 5.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_length: usize,
    /// Samples of the window, in the middle of the frame, which is zero around it; none: as many as the frame has.
    pub win_length: Option<usize>,
    /// What the frame is weighted by.
    pub window: Window,
    /// Number of Mel filters.
    pub n_mels: usize,
    /// Lower edge of the first filter.
    pub f_min_hz: f64,
    /// Upper edge of the last filter.
    pub f_max_hz: f64,
    /// How frequencies become Mels.
    pub mel_scale: MelScale,
    /// How the filters are scaled.
    pub mel_norm: MelNorm,
    /// What stands around the clip.
    pub pad_mode: PadMode,
    /// Power or magnitude.
    pub spectrum: Spectrum,
    /// How `floor_value` enters.
    pub floor: Floor,
    /// The least value, or what is added, before the logarithm.
    pub floor_value: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            n_fft: 1024,
            hop_length: 512,
            win_length: None,
            window: Window::Hann,
            n_mels: 128,
            f_min_hz: 0.0,
            f_max_hz: 8000.0,
            mel_scale: MelScale::Slaney,
            mel_norm: MelNorm::Slaney,
            pad_mode: PadMode::Constant,
            spectrum: Spectrum::Power,
            floor: Floor::Max,
            floor_value: 1e-10,
        }
    }
}

/// Lengths of a frame.
const LENGTHS: RangeInclusive<usize> = 16..=65_536;

/// Which lengths of a frame there are, and which are next to the one that is not.
fn expected_n_fft(given: usize) -> String {
    let (least, most) = LENGTHS.into_inner();
    let near = given.clamp(least, most);
    let below = (least..=near).rev().find(|&length| fft::is_length(length));
    let above = (near..=most).find(|&length| fft::is_length(length));
    let nearest: Vec<String> =
        below.into_iter().chain(above.filter(|_| below != above)).map(|length| length.to_string()).collect();
    format!(
        "an even number from {least} to {most} without other prime factors than 2, 3 and 5; the nearest: {}",
        nearest.join(", ")
    )
}

/// Whether there are frames of so many samples.
///
/// # Errors
/// [`Error::Parameter`] if there are none, which names the nearest lengths.
pub fn check_n_fft(n_fft: usize) -> Result<()> {
    if LENGTHS.contains(&n_fft) && fft::is_length(n_fft) {
        return Ok(());
    }
    Err(Error::parameter("n_fft", n_fft, expected_n_fft(n_fft)))
}

impl Settings {
    /// Weights of the samples of a frame: the window in its middle, zeros around it.
    pub(super) fn frame_weights(&self) -> Vec<f64> {
        let length = self.win_length.unwrap_or(self.n_fft);
        let mut weights = vec![0.0; self.n_fft];
        weights[(self.n_fft - length) / 2..][..length].copy_from_slice(&self.window.periodic(length));
        weights
    }

    pub(super) fn check(&self) -> Result<()> {
        let nyquist = f64::from(self.sample_rate) / 2.0;
        if !(1..=10_000_000).contains(&self.sample_rate) {
            return Err(Error::parameter("sample_rate", self.sample_rate, "1 to 10000000 Hz"));
        }
        check_n_fft(self.n_fft)?;
        if !(1..=1 << 24).contains(&self.hop_length) {
            return Err(Error::parameter("hop_length", self.hop_length, "1 to 16777216 samples"));
        }
        if let Some(length) = self.win_length
            && !(1..=self.n_fft).contains(&length)
        {
            return Err(Error::parameter("win_length", length, format!("1 to n_fft = {}", self.n_fft)));
        }
        if !(1..=8192).contains(&self.n_mels) {
            return Err(Error::parameter("n_mels", self.n_mels, "1 to 8192"));
        }
        if !(0.0..nyquist).contains(&self.f_min_hz) {
            let expected = format!("0 up to, but not including, the Nyquist frequency {nyquist}");
            return Err(Error::parameter("f_min_hz", self.f_min_hz, expected));
        }
        if !(self.f_max_hz > self.f_min_hz && self.f_max_hz <= nyquist) {
            let expected =
                format!("above f_min_hz = {} and at most the Nyquist frequency {nyquist}", self.f_min_hz);
            return Err(Error::parameter("f_max_hz", self.f_max_hz, expected));
        }
        if !(1e-37..=1e37).contains(&self.floor_value) {
            return Err(Error::parameter("floor_value", self.floor_value, "1e-37 to 1e37"));
        }
        Ok(())
    }
}
