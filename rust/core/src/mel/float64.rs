//! Single frames in float64: the few of a group that lie too deep.

use super::filterbank::FilterBank;
use super::input::Padded;
use super::settings::{Floor, Settings, Spectrum};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// The plan of frames in float64.
pub(super) struct Float64Frames {
    transform: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
}

impl Float64Frames {
    pub(super) fn new(window: Vec<f64>) -> Self {
        Self { transform: RealFftPlanner::new().plan_fft_forward(window.len()), window }
    }

    /// Do some frames of a clip's log-Mel of `count` frames again.
    pub(super) fn refine(
        &self,
        (settings, bank): (&Settings, &FilterBank),
        clip: Padded<'_>,
        frames: impl Iterator<Item = usize>,
        count: usize,
        logmel: &mut [f32],
    ) {
        let mut samples = vec![0.0; self.window.len()];
        let mut input = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut work = self.transform.make_scratch_vec();
        for frame in frames {
            clip.fill(frame * settings.hop_length, &mut samples);
            for ((to, &sample), window) in input.iter_mut().zip(&samples).zip(&self.window) {
                *to = f64::from(sample) * window;
            }
            let done = self.transform.process_with_scratch(&mut input, &mut spectrum, &mut work);
            done.expect("the buffers were made by this transform");
            let column = logmel.iter_mut().skip(frame).step_by(count);
            bands(settings, bank, &spectrum).zip(column).for_each(|(db, to)| *to = db);
        }
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
