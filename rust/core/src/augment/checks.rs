//! Checks that several effects share.

use crate::{Error, Result};

/// Refuse an output that is not as long as the clip.
pub(super) fn check_length(samples: &[f32], out: &[f32]) -> Result<()> {
    if samples.len() == out.len() {
        return Ok(());
    }
    let expected = format!("{} samples, as many as the clip has", samples.len());
    Err(Error::array("out", format!("{} samples", out.len()), expected))
}

/// Refuse a parameter that is not within `low..=high`.
pub(super) fn check_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::parameter(name, value, format!("a number from {low} to {high}")))
}
