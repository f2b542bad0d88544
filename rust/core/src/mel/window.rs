//! Windows by the names that `scipy.signal.get_window` has for them.

use std::f64::consts::{PI, TAU};

/// What a frame is weighted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Ones: no weights.
    Boxcar,
    /// A triangle that begins at 0.
    Bartlett,
    /// A half wave of a sine.
    Cosine,
    /// A raised cosine.
    Hann,
    /// A raised cosine on a step of 0.08.
    Hamming,
    /// Three cosines.
    Blackman,
    /// Four cosines with the least first side lobe, by Nuttall's coefficients.
    Nuttall,
    /// Four cosines with the least first side lobe, by Harris's coefficients.
    BlackmanHarris,
    /// Five cosines: the level of a tone is right wherever between two frequencies it lies.
    FlatTop,
    /// The convolution of two half waves of a sine.
    Bohman,
}

impl Window {
    /// Every window with its name.
    pub const NAMES: [(&str, Self); 10] = [
        ("hann", Self::Hann),
        ("hamming", Self::Hamming),
        ("blackman", Self::Blackman),
        ("blackmanharris", Self::BlackmanHarris),
        ("nuttall", Self::Nuttall),
        ("flattop", Self::FlatTop),
        ("bartlett", Self::Bartlett),
        ("bohman", Self::Bohman),
        ("cosine", Self::Cosine),
        ("boxcar", Self::Boxcar),
    ];

    /// The weights of one period: those of a symmetric window one longer, without its last.
    #[must_use]
    pub fn periodic(self, length: usize) -> Vec<f64> {
        if length == 1 {
            return vec![1.0];
        }
        (0..length).map(|i| self.at(i as f64 / length as f64, 1.0 / length as f64)).collect()
    }

    /// The weight at a part of the period, whose samples are `step` of it apart.
    fn at(self, place: f64, step: f64) -> f64 {
        // Signs alternate: the sum is greatest in the middle.
        let cosines = |coefficients: &[f64]| {
            let signed = coefficients.iter().zip([1.0, -1.0].into_iter().cycle());
            signed.zip(0..).map(|((a, sign), k)| sign * a * (f64::from(k) * TAU * place).cos()).sum()
        };
        let distance = (2.0 * place - 1.0).abs();
        match self {
            Self::Boxcar => 1.0,
            Self::Bartlett => 1.0 - distance,
            Self::Cosine => (PI * (place + 0.5 * step) / (1.0 + step)).sin(),
            Self::Hann => cosines(&[0.5, 0.5]),
            Self::Hamming => cosines(&[0.54, 0.46]),
            Self::Blackman => cosines(&[0.42, 0.5, 0.08]),
            Self::Nuttall => cosines(&[0.363_581_9, 0.489_177_5, 0.136_599_5, 0.010_641_1]),
            Self::BlackmanHarris => cosines(&[0.358_75, 0.488_29, 0.141_28, 0.011_68]),
            Self::FlatTop => {
                cosines(&[0.215_578_95, 0.416_631_58, 0.277_263_158, 0.083_578_947, 0.006_947_368])
            }
            Self::Bohman => (1.0 - distance) * (PI * distance).cos() + (PI * distance).sin() / PI,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.signal.get_window(name, 6)`, SciPy 1.17.
    const OF_SIX: [(&str, [f64; 6]); 10] = [
        ("hann", [0.0, 0.2499999999999999, 0.75, 1.0, 0.7500000000000002, 0.25000000000000033]),
        (
            "hamming",
            [0.08000000000000007, 0.30999999999999994, 0.77, 1.0, 0.7700000000000002, 0.31000000000000033],
        ),
        (
            "blackman",
            [
                -1.3877787807814457e-17,
                0.1299999999999999,
                0.6299999999999999,
                0.9999999999999999,
                0.6300000000000002,
                0.1300000000000002,
            ],
        ),
        (
            "blackmanharris",
            [
                6.0000000000001025e-05,
                0.05564499999999996,
                0.5205749999999999,
                1.0,
                0.5205750000000002,
                0.05564500000000015,
            ],
        ),
        (
            "nuttall",
            [
                0.0003628000000000381,
                0.06133449999999996,
                0.5292298,
                1.0,
                0.5292298000000003,
                0.06133450000000015,
            ],
        ),
        (
            "flattop",
            [
                -0.0004210510000000013,
                -0.05126315599999999,
                0.19821052999999986,
                1.000000003,
                0.1982105300000003,
                -0.05126315600000008,
            ],
        ),
        (
            "bartlett",
            [0.0, 0.3333333333333333, 0.6666666666666666, 1.0, 0.6666666666666667, 0.33333333333333326],
        ),
        (
            "bohman",
            [0.0, 0.10899778104422927, 0.6089977810442293, 1.0, 0.6089977810442295, 0.10899778104422961],
        ),
        (
            "cosine",
            [
                0.2225209339563144,
                0.6234898018587335,
                0.9009688679024191,
                1.0,
                0.9009688679024191,
                0.6234898018587336,
            ],
        ),
        ("boxcar", [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ];

    #[test]
    fn windows_are_those_of_scipy() {
        for ((name, window), (expected_name, expected)) in Window::NAMES.into_iter().zip(OF_SIX) {
            assert_eq!(name, expected_name);
            for (got, want) in window.periodic(6).into_iter().zip(expected) {
                assert!((got - want).abs() < 2e-15, "{name}: {got} for {want}");
            }
            assert_eq!(window.periodic(1), [1.0]);
        }
    }

    #[test]
    fn windows_are_even_about_their_middle() {
        for (name, window) in Window::NAMES {
            for length in [2, 7, 64, 400] {
                let weights = window.periodic(length);
                let pairs = weights[1..].iter().zip(weights[1..].iter().rev());
                // The one that lacks its twin at the end is not part of the window.
                let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-14, "{name}, {length}: {worst:e}");
            }
        }
    }
}
