//! Frames whose range is too great for float32, done again in float64.
//!
//! A float32 transform leaves an error in every bin that follows the frame's mean power, whatever the bin itself
//! holds: a quiet band beside loud tones is off by more the deeper it lies. A band whose mean lies deeper than
//! [`DEPTH_DB`] below the mean power of all bins, and that still counts, which is down to 80 dB below the clip's
//! maximum, sends its frame here. Of recordings of machines that is less than one frame in a thousand; pure tones
//! over faint noise are made of such frames.

use super::filterbank::FilterBank;
use super::input::Padded;
use super::settings::{Floor, Settings, Spectrum};
use crate::par::Cancel;
use crate::{Result, memory};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Errors at this depth are below 5e-4 dB, and they halve with every 6 dB less.
const DEPTH_DB: f64 = 40.0;

/// How far below the clip's maximum a band counts, in dB.
const RANGE_DB: f32 = 80.1;

/// What sends a frame here.
pub(super) struct FallbackTrigger<'a> {
    /// For each band, see [`limits`].
    pub(super) limits: &'a [f32],
    /// Decibels of each frame's mean power.
    pub(super) levels: &'a [f32],
    /// What silence has in dB.
    pub(super) floor_db: f32,
}

impl FallbackTrigger<'_> {
    /// Which frames of a log-Mel, `(n_mels, frames)` row by row, are to be done again.
    ///
    /// # Errors
    /// [`crate::Error::Array`] if there is not enough memory.
    pub(super) fn frames(&self, logmel: &[f32]) -> Result<Vec<bool>> {
        let least = logmel.iter().copied().fold(f32::MIN, f32::max) - RANGE_DB;
        let least = least.max(self.floor_db);
        let mut frames = Vec::new();
        memory::resize(&mut frames, self.levels.len(), false)?;
        for (row, limit) in logmel.chunks_exact(frames.len()).zip(self.limits) {
            for ((frame, &db), level) in frames.iter_mut().zip(row).zip(self.levels) {
                *frame |= (db > least) & (db < level + limit);
            }
        }
        Ok(frames)
    }
}

/// For each band, the decibels above those of the frame's mean power from which on it is exact enough.
pub(super) fn limits(bank: &FilterBank, spectrum: Spectrum) -> Vec<f32> {
    let scale = match spectrum {
        Spectrum::Power => 10.0,
        Spectrum::Magnitude => 20.0,
    };
    let limit = |weights: &[f32]| {
        let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        // An empty filter has no error at all.
        if sum == 0.0 { f32::MIN } else { (scale * sum.log10() - DEPTH_DB) as f32 }
    };
    (0..bank.len()).map(|mel| limit(bank.weights(mel))).collect()
}

/// The plan of frames in float64.
pub(super) struct Float64Frames {
    transform: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
}

impl Float64Frames {
    pub(super) fn new(window: Vec<f64>) -> Self {
        Self { transform: RealFftPlanner::new().plan_fft_forward(window.len()), window }
    }

    /// Do those frames of a clip's log-Mel again that the trigger names.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`].
    pub(super) fn refine(
        &self,
        (settings, bank): (&Settings, &FilterBank),
        clip: Padded<'_>,
        frames: &[bool],
        logmel: &mut [f32],
        cancel: &Cancel,
    ) -> Result<()> {
        let mut samples = vec![0.0; self.window.len()];
        let mut input = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut work = self.transform.make_scratch_vec();
        for frame in (0..frames.len()).filter(|&frame| frames[frame]) {
            cancel.check()?;
            clip.fill(frame * settings.hop_length, &mut samples);
            for ((to, &sample), window) in input.iter_mut().zip(&samples).zip(&self.window) {
                *to = f64::from(sample) * window;
            }
            let done = self.transform.process_with_scratch(&mut input, &mut spectrum, &mut work);
            done.expect("the buffers were made by this transform");
            let column = logmel.iter_mut().skip(frame).step_by(frames.len());
            bands(settings, bank, &spectrum).zip(column).for_each(|(db, to)| *to = db);
        }
        Ok(())
    }
}

/// One frame's bands in dB from its spectrum.
fn bands(settings: &Settings, bank: &FilterBank, spectrum: &[Complex<f64>]) -> impl Iterator<Item = f32> {
    let power = settings.spectrum == Spectrum::Power;
    let scale = if power { 10.0 } else { 20.0 };
    (0..bank.len()).map(move |mel| {
        let bins = &spectrum[bank.first_bin(mel)..];
        let values = bins.iter().map(|z| if power { z.norm_sqr() } else { z.norm() });
        let sum: f64 = bank.weights(mel).iter().zip(values).map(|(&w, v)| f64::from(w) * v).sum();
        let value = match settings.floor {
            Floor::Max => sum.max(settings.floor_value),
            Floor::Add => sum + settings.floor_value,
        };
        (scale * value.log10()) as f32
    })
}
