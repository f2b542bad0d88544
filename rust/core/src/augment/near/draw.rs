//! What a seed stands for: the parameters of each kind.

use super::kind::Kind;
use crate::augment::elementary::{exp2, log2};
use crate::rng::RandomStream;

/// Purposes of the streams of a seed: what one purpose takes never moves the numbers of another.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Kind,
    Parameters,
    Flutter,
    Jitter,
}

impl Purpose {
    pub(super) fn stream(self, seed: u64) -> RandomStream {
        RandomStream::new(&[seed, self as u64])
    }
}

/// Frames a second that the numbers of frames below were chosen at.
const FRAME_RATE: f64 = 31.25;
/// Mel bins that the widths below were chosen at; others scale with the number of bins.
const N_MELS: f64 = 128.0;
/// The least width of anything, in bins: what is narrower falls between them.
const LEAST_WIDTH: f64 = 0.4;

/// The parameters of a kind for a log-Mel of so many bins and frames, row by row as [`Kind::columns`] has them.
#[must_use]
pub fn draw(kind: Kind, n_mels: usize, frames: usize, seed: u64) -> Vec<f64> {
    let mut draw = Draw { stream: Purpose::Parameters.stream(seed), n_mels: n_mels as f64 };
    match kind {
        Kind::Bumps => draw.several(4, |draw| {
            let [centre, width] = draw.band(0.5, 4.0);
            [centre, width, draw.signed(0.05, 1.0)]
        }),
        Kind::Spread => {
            let [centre, width] = draw.band(0.5, 8.0);
            vec![centre, width, draw.signed(0.03, 0.5)]
        }
        Kind::MelShift => vec![draw.signed(0.05, 1.0) * draw.scale()],
        Kind::GainAndTilt => {
            let size = draw.log_uniform(0.1, 2.0);
            vec![size * draw.uniform(-1.0, 1.0), size * draw.uniform(-1.0, 1.0)]
        }
        Kind::NoiseBand => draw.sound(2.0, 20.0, -18.0, 0.0).to_vec(),
        Kind::Lines => draw.lines(),
        Kind::Bursts => draw.several(4, |draw| {
            let uniform = draw.uniform(0.0, 1.0);
            let length = ((3.0 + 57.0 * uniform * uniform + 0.5) as usize).min(frames);
            let start = draw.stream.below((frames - length) as u64 + 1);
            let [centre, width, level] = draw.sound(2.0, 20.0, -10.0, 4.0);
            [start as f64, length as f64, centre, width, level]
        }),
        Kind::Clicks => {
            let period = draw.log_uniform(3.0, 60.0);
            let (first, decay) = (draw.uniform(0.0, period.min(frames as f64)), draw.uniform(0.5, 2.5));
            let [centre, width, level] = draw.sound(5.0, 40.0, -10.0, 6.0);
            vec![period, first, 0.02, decay, centre, width, level]
        }
        Kind::Tremolo => {
            let (rate, phase) = (draw.log_uniform(0.3, 12.0) / FRAME_RATE, draw.uniform(0.0, 1.0));
            let [centre, width] = draw.band(2.0, 20.0);
            vec![rate, phase, centre, width, draw.log_uniform(0.2, 3.0)]
        }
        Kind::TimeWarp => {
            let depth = draw.uniform(1.0, 10.0);
            let (rate, phase) = (draw.log_uniform(0.1, 2.0) / FRAME_RATE, draw.uniform(0.0, 1.0));
            let speed = if draw.stream.below(2) == 0 { 1.0 } else { draw.uniform(0.8, 1.2) };
            vec![depth, rate, phase, speed]
        }
    }
}

struct Draw {
    stream: RandomStream,
    n_mels: f64,
}

impl Draw {
    /// One to `most` rows.
    fn several<const N: usize>(&mut self, most: u64, mut row: impl FnMut(&mut Self) -> [f64; N]) -> Vec<f64> {
        let count = 1 + self.stream.below(most);
        (0..count).flat_map(|_| row(self)).collect()
    }

    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.stream.uniform_in(low, high)
    }

    /// Uniform in the logarithm.
    fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        exp2(self.uniform(log2(low), log2(high)))
    }

    /// The same with either sign.
    fn signed(&mut self, low: f64, high: f64) -> f64 {
        let size = self.log_uniform(low, high);
        if self.stream.below(2) == 0 { size } else { -size }
    }

    /// Bins here for each bin of [`N_MELS`].
    fn scale(&self) -> f64 {
        self.n_mels / N_MELS
    }

    fn width(&mut self, narrow: f64, wide: f64) -> f64 {
        (self.uniform(narrow, wide) * self.scale()).max(LEAST_WIDTH)
    }

    /// A centre anywhere, and a width.
    fn band(&mut self, narrow: f64, wide: f64) -> [f64; 2] {
        [self.uniform(0.0, self.n_mels - 1.0), self.width(narrow, wide)]
    }

    /// A band and a level.
    fn sound(&mut self, narrow: f64, wide: f64, faint: f64, loud: f64) -> [f64; 3] {
        let [centre, width] = self.band(narrow, wide);
        [centre, width, self.uniform(faint, loud)]
    }

    /// Equally far apart, from one that is anywhere; those beyond the last bin are left out.
    fn lines(&mut self) -> Vec<f64> {
        let count = 1 + self.stream.below(5);
        let first = self.uniform(0.0, self.n_mels - 1.0);
        let spacing = self.uniform(2.0, 32.0) * self.scale();
        let mut rows = Vec::new();
        for n in 0..count {
            let centre = first + n as f64 * spacing;
            let (width, level) = (self.width(0.4, 0.8), self.uniform(-14.0, 1.0));
            if centre <= self.n_mels - 1.0 {
                rows.extend([centre, width, level]);
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_in_range_for_any_size() {
        for (n_mels, frames) in [(128, 313), (1, 1), (2, 3), (64, 2), (256, 10_000)] {
            for (kind, seed) in Kind::ALL.into_iter().flat_map(|kind| (0..200).map(move |seed| (kind, seed)))
            {
                let parameters = draw(kind, n_mels, frames, seed);
                kind.check(&parameters).unwrap();
                assert!(!parameters.is_empty());
            }
        }
    }

    #[test]
    fn what_a_seed_stands_for_never_changes() {
        let pins: [(Kind, &[f64]); 4] = [
            (Kind::MelShift, &[-0.131_527_198_571_556_9]),
            (Kind::Lines, &[122.197_235_97, 0.417_675_17, -13.524_180_67]),
            (
                Kind::Clicks,
                &[
                    7.891_631_914,
                    7.593_193_757,
                    0.02,
                    1.178_899_910,
                    5.611_867_759,
                    6.110_245_108,
                    4.774_243_931,
                ],
            ),
            (Kind::TimeWarp, &[3.905_705_559_6, 0.057_145_083_4, 0.339_449_954_9, 1.0]),
        ];
        for (kind, pinned) in pins {
            let parameters = draw(kind, 128, 313, 7);
            assert_eq!(parameters.len(), pinned.len());
            for (drawn, pinned) in parameters.iter().zip(pinned) {
                assert!((drawn - pinned).abs() < 1e-8, "{kind:?}: {drawn}");
            }
        }
    }
}
