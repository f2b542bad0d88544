//! The classes of augmentation by name.

use crate::{Error, Result};

/// The classes of augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The clip as it is.
    None,
    /// White noise at a signal-to-noise ratio.
    WhiteNoise,
    /// Fade in and out.
    Fade,
    /// Circular shift in time.
    TimeShift,
    /// Faster or slower at the same pitch.
    TimeStretch,
    /// Higher or lower at the same length.
    PitchShift,
    /// Some frames of the log-Mel masked.
    TimeMask,
    /// Some Mel bins of the log-Mel masked.
    FrequencyMask,
}

impl Class {
    /// All classes in their usual order.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::WhiteNoise,
        Self::Fade,
        Self::TimeShift,
        Self::TimeStretch,
        Self::PitchShift,
        Self::TimeMask,
        Self::FrequencyMask,
    ];

    /// The class's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::WhiteNoise => "white_noise",
            Self::Fade => "fade",
            Self::TimeShift => "time_shift",
            Self::TimeStretch => "time_stretch",
            Self::PitchShift => "pitch_shift",
            Self::TimeMask => "time_mask",
            Self::FrequencyMask => "frequency_mask",
        }
    }

    /// The class of that name.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|class| class.name() == name);
        found.ok_or_else(|| Error::parameter("classes", format!("{name:?}"), format!("some of {}", names())))
    }

    /// How long it takes on a clip, roughly, in units of the quickest.
    pub(super) fn cost(self) -> u32 {
        match self {
            Self::PitchShift => 100,
            Self::TimeStretch => 70,
            Self::WhiteNoise => 5,
            _ => 1,
        }
    }

    /// Whether the class can be applied where only a log-Mel is given.
    #[must_use]
    pub fn acts_on_logmel(self) -> bool {
        matches!(self, Self::None | Self::TimeMask | Self::FrequencyMask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for class in Class::ALL {
            assert_eq!(Class::from_name(class.name()).unwrap(), class);
        }
        let text = Class::from_name("reverb").unwrap_err().to_string();
        assert!(text.starts_with("classes = \"reverb\": expected some of none, white_noise, "), "{text}");
    }
}
