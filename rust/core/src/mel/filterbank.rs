//! Triangular Mel filters, computed in float64 and kept sparse in float32.

use super::settings::{MelNorm, MelScale, Settings};
use crate::simd::Vector;

const SLANEY_HZ_PER_MEL: f64 = 200.0 / 3.0;
const SLANEY_LOG_HZ: f64 = 1000.0;
const SLANEY_LOG_MEL: f64 = SLANEY_LOG_HZ / SLANEY_HZ_PER_MEL;

/// Logarithm of the ratio of two frequencies one Mel apart, above 1 kHz: 27 Mels for a factor of 6.4.
fn slaney_log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

impl MelScale {
    /// Mels of a frequency.
    #[must_use]
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Slaney if hz < SLANEY_LOG_HZ => hz / SLANEY_HZ_PER_MEL,
            Self::Slaney => SLANEY_LOG_MEL + (hz / SLANEY_LOG_HZ).ln() / slaney_log_step(),
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        }
    }

    /// Frequency of a number of Mels.
    #[must_use]
    pub fn hz(self, mel: f64) -> f64 {
        match self {
            Self::Slaney if mel < SLANEY_LOG_MEL => mel * SLANEY_HZ_PER_MEL,
            Self::Slaney => SLANEY_LOG_HZ * (slaney_log_step() * (mel - SLANEY_LOG_MEL)).exp(),
            Self::Htk => 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0),
        }
    }

    /// `n_mels + 2` frequencies evenly apart in Mels: the edges and peaks of the filters.
    fn edges(self, n_mels: usize, f_min_hz: f64, f_max_hz: f64) -> Vec<f64> {
        let (low, high) = (self.mel(f_min_hz), self.mel(f_max_hz));
        let step = (high - low) / (n_mels + 1) as f64;
        (0..n_mels + 2).map(|i| self.hz(if i == n_mels + 1 { high } else { low + step * i as f64 })).collect()
    }
}

/// The nonzero part of one filter.
#[derive(Clone, Debug)]
struct Filter {
    first_bin: usize,
    weights: Vec<f32>,
}

/// All filters of a spectrum with `bins` frequencies.
#[derive(Clone, Debug)]
pub(crate) struct FilterBank {
    filters: Vec<Filter>,
    peaks_hz: Vec<f64>,
    bins: usize,
}

impl FilterBank {
    pub(crate) fn new(settings: &Settings) -> Self {
        let edges = settings.mel_scale.edges(settings.n_mels, settings.f_min_hz, settings.f_max_hz);
        let bins = settings.n_fft / 2 + 1;
        let bin_hz = f64::from(settings.sample_rate) / settings.n_fft as f64;
        let filter = |edge: &[f64]| {
            let scale = match settings.mel_norm {
                MelNorm::Slaney => 2.0 / (edge[2] - edge[0]),
                MelNorm::None => 1.0,
            };
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                let (rise, fall) =
                    ((hz - edge[0]) / (edge[1] - edge[0]), (edge[2] - hz) / (edge[2] - edge[1]));
                (scale * rise.min(fall).max(0.0)) as f32
            };
            let first_bin = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            let weights = (first_bin..bins).map(weight).take_while(|&w| w > 0.0).collect();
            Filter { first_bin, weights }
        };
        Self {
            filters: edges.windows(3).map(filter).collect(),
            peaks_hz: edges[1..=settings.n_mels].to_vec(),
            bins,
        }
    }

    /// Filters that hold no frequency at all because they are narrower than the spectrum's step.
    pub(crate) fn empty(&self) -> Vec<usize> {
        (0..self.filters.len()).filter(|&i| self.filters[i].weights.is_empty()).collect()
    }

    /// Frequency of each filter's peak.
    pub(crate) fn peaks_hz(&self) -> &[f64] {
        &self.peaks_hz
    }

    /// Number of filters.
    pub(super) fn len(&self) -> usize {
        self.filters.len()
    }

    /// First frequency of a filter.
    pub(super) fn first_bin(&self, mel: usize) -> usize {
        self.filters[mel].first_bin
    }

    /// Weights of a filter from its first frequency on.
    pub(super) fn weights(&self, mel: usize) -> &[f32] {
        &self.filters[mel].weights
    }

    /// The filters as a full matrix, `(n_mels, bins)`.
    pub(crate) fn dense(&self) -> Vec<f32> {
        let mut matrix = vec![0.0; self.filters.len() * self.bins];
        for (row, filter) in matrix.chunks_exact_mut(self.bins).zip(&self.filters) {
            row[filter.first_bin..][..filter.weights.len()].copy_from_slice(&filter.weights);
        }
        matrix
    }

    /// Each filter's weighted sum of a spectrum, handed to `take` with the filter's index.
    #[inline(always)]
    pub(crate) fn apply<V: Vector>(&self, spectrum: &[V], mut take: impl FnMut(usize, V)) {
        for (index, filter) in self.filters.iter().enumerate() {
            let bins = &spectrum[filter.first_bin..][..filter.weights.len()];
            let mut sum = V::splat(0.0);
            for (&bin, &weight) in bins.iter().zip(&filter.weights) {
                sum = bin.mul_add(V::splat(weight), sum);
            }
            take(index, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mels_and_hertz_are_inverse() {
        for scale in [MelScale::Slaney, MelScale::Htk] {
            for hz in [0.0, 1.0, 440.0, 999.9, 1000.0, 1000.1, 8000.0, 96_000.0] {
                assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-9 * hz.max(1.0), "{scale:?} {hz}");
            }
        }
        assert!((MelScale::Slaney.mel(1000.0) - 15.0).abs() < 1e-12);
        assert!((MelScale::Slaney.mel(6400.0) - 42.0).abs() < 1e-12);
        assert!((MelScale::Htk.mel(1000.0) - 999.985_538).abs() < 1e-6);
    }

    #[test]
    fn unscaled_neighbours_add_up_to_one_between_the_outer_peaks() {
        for mel_scale in [MelScale::Slaney, MelScale::Htk] {
            let settings = Settings { mel_scale, mel_norm: MelNorm::None, ..Settings::default() };
            let bank = FilterBank::new(&settings);
            let matrix = bank.dense();
            for bin in 0..bank.bins {
                let hz = bin as f64 * 15.625;
                let sum: f32 = matrix.iter().skip(bin).step_by(bank.bins).sum();
                if (bank.peaks_hz[0]..bank.peaks_hz[127]).contains(&hz) {
                    assert!((sum - 1.0).abs() < 1e-6, "{mel_scale:?} bin {bin}: {sum}");
                }
            }
        }
    }

    #[test]
    fn filters_between_two_bins_are_empty() {
        let settings = Settings { n_fft: 256, ..Settings::default() };
        let bank = FilterBank::new(&settings);
        let by_matrix: Vec<usize> = bank
            .dense()
            .chunks(bank.bins)
            .enumerate()
            .filter(|(_, row)| row.iter().all(|&w| w == 0.0))
            .map(|(i, _)| i)
            .collect();
        assert!(!by_matrix.is_empty());
        assert_eq!(bank.empty(), by_matrix);
        assert_eq!(FilterBank::new(&Settings::default()).empty(), []);
    }
}
