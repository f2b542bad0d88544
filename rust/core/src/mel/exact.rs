//! Frames whose range is too great for float32, done again in float64.
//!
//! A float32 transform leaves an error in every bin that follows the frame's mean power, whatever the bin itself
//! holds: a quiet band beside loud tones is off by more the deeper it lies. A band whose mean lies deeper than
//! [`DEPTH_DB`] below the mean power of all bins, and that still counts, which is down to 80 dB below the clip's
//! maximum, sends its frame here. Of recordings of machines that is less than one frame in a thousand; pure tones
//! over faint noise are made of such frames.

use super::filterbank::FilterBank;
use super::input::Padded;
use super::logmel::{LogMel, Suspicion};
use super::{Floor, Spectrum};
use crate::Result;
use crate::par::Cancel;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Errors at this depth are below 5e-4 dB, and they halve with every 6 dB less.
const DEPTH_DB: f64 = 40.0;

/// How far below the clip's maximum a band counts, in dB.
const RANGE_DB: f32 = 80.1;

/// What float64 frames need.
pub(super) struct Exact {
    transform: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
}

impl Exact {
    pub(super) fn new(n_fft: usize) -> Self {
        let hann = |i: usize| 0.5 - 0.5 * (TAU * i as f64 / n_fft as f64).cos();
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(n_fft),
            window: (0..n_fft).map(hann).collect(),
        }
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

/// Do the frames again that need it.
pub(super) fn refine(
    plan: &LogMel,
    clip: Padded<'_>,
    suspicion: &Suspicion<'_>,
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    let frames = suspicion.levels.len();
    let least = out.iter().copied().fold(f32::MIN, f32::max) - RANGE_DB;
    let least = least.max(suspicion.floor_db);
    let mut wanted = vec![false; frames];
    for (row, limit) in out.chunks_exact(frames).zip(plan.limits()) {
        for ((wanted, &db), level) in wanted.iter_mut().zip(row).zip(suspicion.levels) {
            *wanted |= (db > least) & (db < level + limit);
        }
    }
    if !wanted.contains(&true) {
        return Ok(());
    }
    let exact = plan.exact();
    let n_fft = exact.window.len();
    let mut samples = vec![0.0; n_fft];
    let mut input = exact.transform.make_input_vec();
    let mut spectrum = exact.transform.make_output_vec();
    let mut work = exact.transform.make_scratch_vec();
    for frame in (0..frames).filter(|&frame| wanted[frame]) {
        cancel.check()?;
        clip.fill(frame * plan.settings().hop_length, &mut samples);
        for ((to, &sample), window) in input.iter_mut().zip(&samples).zip(&exact.window) {
            *to = f64::from(sample) * window;
        }
        let done = exact.transform.process_with_scratch(&mut input, &mut spectrum, &mut work);
        done.expect("the buffers were made by this transform");
        write(plan, &spectrum, out.iter_mut().skip(frame).step_by(frames));
    }
    Ok(())
}

/// One frame's bands from its spectrum.
fn write<'a>(plan: &LogMel, spectrum: &[Complex<f64>], column: impl Iterator<Item = &'a mut f32>) {
    let settings = plan.settings();
    let power = settings.spectrum == Spectrum::Power;
    let scale = if power { 10.0 } else { 20.0 };
    for (mel, to) in column.enumerate() {
        let bins = &spectrum[plan.bank().first_bin(mel)..];
        let values = bins.iter().map(|z| if power { z.norm_sqr() } else { z.norm() });
        let sum: f64 = plan.bank().weights(mel).iter().zip(values).map(|(&w, v)| f64::from(w) * v).sum();
        let value = match settings.floor {
            Floor::Max => sum.max(settings.floor_value),
            Floor::Add => sum + settings.floor_value,
        };
        *to = (scale * value.log10()) as f32;
    }
}
