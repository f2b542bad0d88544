//! The kinds by name, and their parameters.

use crate::augment::checks::check_range;
use crate::{Error, Result};

/// The kinds of near anomalies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Some bands are louder or quieter.
    Bumps,
    /// A band fluctuates more or less about its mean.
    Spread,
    /// The spectrum is moved along the Mel axis.
    MelShift,
    /// All bins are louder or quieter, in proportion to their deviation, and tilted.
    GainAndTilt,
    /// Steady noise in a band.
    NoiseBand,
    /// Steady tones.
    Lines,
    /// Noise in a band for a while.
    Bursts,
    /// Clicks one after another.
    Clicks,
    /// The level of a band swings.
    Tremolo,
    /// Time runs unevenly.
    TimeWarp,
}

/// A parameter and the range that it must be in.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// As the caller writes it.
    pub name: &'static str,
    low: f64,
    high: f64,
}

const fn column(name: &'static str, low: f64, high: f64) -> Column {
    Column { name, low, high }
}

/// Bins and frames, and what is so many of them.
const FAR: f64 = 1e6;
const CENTRE: Column = column("centre", -FAR, FAR);
const CENTRES: Column = column("centres", -FAR, FAR);
const WIDTH: Column = column("width", 1e-3, FAR);
const WIDTHS: Column = column("widths", 1e-3, FAR);
const LEVEL: Column = column("level_db", -300.0, 300.0);
const LEVELS: Column = column("levels_db", -300.0, 300.0);
const RATE: Column = column("rate", 0.0, 0.5);
const PHASE: Column = column("phase", 0.0, 1.0);

impl Kind {
    /// All kinds: first the static ones, then those with a course in time or new sound.
    pub const ALL: [Self; 10] = [
        Self::Bumps,
        Self::Spread,
        Self::MelShift,
        Self::GainAndTilt,
        Self::NoiseBand,
        Self::Lines,
        Self::Bursts,
        Self::Clicks,
        Self::Tremolo,
        Self::TimeWarp,
    ];

    /// The kind's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bumps => "bumps",
            Self::Spread => "spread",
            Self::MelShift => "mel_shift",
            Self::GainAndTilt => "gain_and_tilt",
            Self::NoiseBand => "noise_band",
            Self::Lines => "lines",
            Self::Bursts => "bursts",
            Self::Clicks => "clicks",
            Self::Tremolo => "tremolo",
            Self::TimeWarp => "time_warp",
        }
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| Error::parameter("kinds", format!("{name:?}"), format!("some of {}", names())))
    }

    /// The parameters, in their order: bins, frames, dB and shares of a bin's deviation.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Bumps => const { &[CENTRES, WIDTHS, column("amplitudes", -1e3, 1e3)] },
            Self::Spread => const { &[CENTRE, WIDTH, column("amplitude", -1.0, 1e3)] },
            Self::MelShift => const { &[column("bins", -FAR, FAR)] },
            Self::GainAndTilt => const { &[column("gain", -1e3, 1e3), column("tilt", -1e3, 1e3)] },
            Self::NoiseBand => const { &[CENTRE, WIDTH, LEVEL] },
            Self::Lines => const { &[CENTRES, WIDTHS, LEVELS] },
            Self::Bursts => {
                const { &[column("starts", 0.0, FAR), column("lengths", 0.0, FAR), CENTRES, WIDTHS, LEVELS] }
            }
            Self::Clicks => {
                const {
                    &[
                        column("period", 1.0, FAR),
                        column("first", 0.0, FAR),
                        column("jitter", 0.0, 1.0),
                        column("decay", 0.01, FAR),
                        CENTRE,
                        WIDTH,
                        LEVEL,
                    ]
                }
            }
            Self::Tremolo => const { &[RATE, PHASE, CENTRE, WIDTH, column("depth_db", 0.0, 300.0)] },
            Self::TimeWarp => const { &[column("depth", 0.0, FAR), RATE, PHASE, column("speed", 0.1, 10.0)] },
        }
    }

    /// Whether amplitudes are shares of a bin's deviation over clips.
    pub(super) fn needs_deviation(self) -> bool {
        matches!(self, Self::Bumps | Self::GainAndTilt)
    }

    /// Whether there may be several of it in a clip, each with parameters of its own.
    #[must_use]
    pub fn is_several(self) -> bool {
        matches!(self, Self::Bumps | Self::Lines | Self::Bursts)
    }

    /// Refuse parameters, row by row, that are out of range or not as many as the kind has.
    pub(super) fn check(self, parameters: &[f64]) -> Result<()> {
        let columns = self.columns();
        let rows = parameters.chunks_exact(columns.len());
        if !rows.remainder().is_empty() || !(self.is_several() || parameters.len() == columns.len()) {
            let given = format!("{} numbers", parameters.len());
            return Err(Error::array("parameters", given, format!("{} for {}", columns.len(), self.name())));
        }
        rows.flat_map(|row| row.iter().zip(columns))
            .try_for_each(|(&value, column)| check_range(column.name, value, column.low, column.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()).unwrap(), kind);
        }
        let text = Kind::from_name("rust").unwrap_err().to_string();
        assert!(text.starts_with("kinds = \"rust\": expected some of bumps, spread, "), "{text}");
    }

    #[test]
    fn parameters_are_counted_and_kept_in_range() {
        assert!(Kind::Bumps.check(&[]).is_ok() && Kind::Bumps.check(&[1.0; 6]).is_ok());
        for (kind, parameters, words) in [
            (Kind::Bumps, &[1.0; 5][..], "parameters: 5 numbers; expected 3 for bumps"),
            (Kind::MelShift, &[], "parameters: 0 numbers; expected 1 for mel_shift"),
            (Kind::MelShift, &[1.0; 2], "parameters: 2 numbers"),
            (Kind::MelShift, &[f64::NAN], "bins = NaN: expected a number from"),
            (Kind::Spread, &[0.0, 1.0, -1.5], "amplitude = -1.5: expected a number from -1 to 1000"),
        ] {
            let text = kind.check(parameters).unwrap_err().to_string();
            assert!(text.starts_with(words), "{text}");
        }
    }
}
