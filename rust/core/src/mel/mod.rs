//! Log-Mel spectrograms: a shared plan ([`LogMel`]) and one [`LogMelScratch`] for each worker.

mod batch;
mod decibels;
mod files;
mod filterbank;
mod group;
mod input;
mod logmel;
mod mask;
mod measures;
mod range;
mod settings;
mod statistics;
mod stft;
#[cfg(test)]
mod tests;
mod window;

pub use batch::{batch, common_frames, each};
pub use files::{FileBatch, each_from_files};
pub use input::Samples;
pub use logmel::{LogMel, LogMelScratch};
pub use mask::Mask;
pub use measures::{ClipMeasures, FileMeasures, Outcome, measure_files};
pub use settings::{Floor, MelNorm, MelScale, PadMode, Settings, Spectrum, check_n_fft};
pub use statistics::{StatisticsPlan, statistics, statistics_from_files};
pub use window::Window;
