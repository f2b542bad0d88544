//! One near anomaly of one log-Mel.

use super::added::{Flutter, add_bursts, add_clicks, add_sounds};
use super::kind::Kind;
use super::moved::{shift_mels, warp_time};
use crate::augment::elementary::{exp2_single, sin_cos};
use crate::par::Cancel;
use crate::samples::{NEAR, bits, copied_bits, greatest_bits};
use crate::simd::{Kernel, SimdLevel, Vector};
use crate::{Error, Result};
use std::f64::consts::{LOG2_E, TAU};

/// The greatest magnitude of a log-Mel, in dB: far beyond any, and far from where numbers overflow.
pub const MAX_DB: f32 = 1e6;

/// How many widths from its centre a bump ends: beyond, it is below 2e-8.
const REACH: f64 = 6.0;

/// The working memory of one thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// One number for each frame.
    pub(super) envelope: Vec<f32>,
    pub(super) flutter: Vec<f32>,
    /// Mean and deviation of each Mel bin.
    pub(super) moments: Vec<[f64; 2]>,
    /// Which frame comes in the place of each.
    pub(super) places: Vec<usize>,
}

/// Change a log-Mel in dB, of `size` (Mel bins, frames) row by row, into `out`.
///
/// `parameters` are those of the kind, row by row as [`Kind::columns`] has them; `deviation_db`, for the kinds whose
/// amplitudes are shares of it, is the deviation over clips of each bin's mean. The seed gives added sounds their flutter
/// and clicks their jitter.
///
/// # Errors
/// [`Error::Parameter`] if a parameter is out of range; [`Error::Array`] if a value is not finite or beyond [`MAX_DB`], or
/// the sizes do not fit; [`Error::Interrupted`].
#[allow(clippy::too_many_arguments)] // no two of one kind but the arrays
pub fn near_anomaly(
    kind: Kind,
    parameters: &[f64],
    logmel: &[f32],
    size: [usize; 2],
    deviation_db: &[f32],
    seed: u64,
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    kind.check(parameters)?;
    if size.contains(&0) || [logmel.len(), out.len()] != [size[0] * size[1]; 2] {
        let given = format!("{} values, {} of `out`", logmel.len(), out.len());
        let expected = format!("as many as {size:?} has, at least one Mel bin and one frame");
        return Err(Error::array("logmel", given, expected));
    }
    if kind.needs_deviation() && deviation_db.len() != size[0] {
        let given = format!("{} values", deviation_db.len());
        return Err(Error::array("deviation_db", given, format!("{}, one for each Mel bin", size[0])));
    }
    check_deviations(deviation_db)?;
    Alteration { kind, parameters, logmel, size, deviation_db, seed }.apply(
        out,
        &mut Scratch::default(),
        cancel,
    )
}

/// Refuse what are no deviations in dB.
pub(super) fn check_deviations(deviations_db: &[f32]) -> Result<()> {
    match deviations_db.iter().position(|deviation| !(0.0..=MAX_DB).contains(deviation)) {
        Some(place) => {
            let given = format!("{} at flat position {place}", deviations_db[place]);
            Err(Error::array("deviation_db", given, format!("decibels from 0 to {MAX_DB:e}")))
        }
        None => Ok(()),
    }
}

/// What is done to a log-Mel; parameters and sizes have been looked at.
pub(super) struct Alteration<'a> {
    pub(super) kind: Kind,
    pub(super) parameters: &'a [f64],
    pub(super) logmel: &'a [f32],
    pub(super) size: [usize; 2],
    pub(super) deviation_db: &'a [f32],
    pub(super) seed: u64,
}

impl Alteration<'_> {
    /// Do it.
    ///
    /// # Errors
    /// [`Error::Array`] about the log-Mel's values; [`Error::Interrupted`].
    pub(super) fn apply(&self, out: &mut [f32], scratch: &mut Scratch, cancel: &Cancel) -> Result<()> {
        if SimdLevel::best().run(Apply { alteration: self, out, scratch, cancel })? {
            return Ok(());
        }
        let place = self.logmel.iter().position(|x| bits(*x) > bits(MAX_DB)).unwrap_or_default();
        let given = format!("{} at flat position {place}", self.logmel[place]);
        Err(Error::array("logmel", given, format!("finite decibels of at most {MAX_DB:e}")))
    }
}

/// Whether the log-Mel is one, and if so its near anomaly.
struct Apply<'a> {
    alteration: &'a Alteration<'a>,
    out: &'a mut [f32],
    scratch: &'a mut Scratch,
    cancel: &'a Cancel,
}

impl Kernel for Apply<'_> {
    type Output = Result<bool>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Result<bool> {
        let Self { alteration, out, scratch, cancel } = self;
        let &Alteration { kind, parameters, logmel, size, deviation_db, seed } = alteration;
        if matches!(kind, Kind::MelShift | Kind::TimeWarp) {
            if !all_in_range(logmel, cancel)? {
                return Ok(false);
            }
        } else if !copied_in_range(logmel, out, cancel)? {
            return Ok(false);
        }
        let flutter = || Flutter::new(seed);
        match kind {
            Kind::Bumps => add_bumps(parameters, deviation_db, size, out, cancel)?,
            Kind::Spread => widen(parameters, size, out, cancel)?,
            Kind::MelShift => shift_mels(parameters[0], logmel, size, out, scratch, cancel)?,
            Kind::GainAndTilt => add_tilt(parameters, deviation_db, size, out, cancel)?,
            Kind::NoiseBand | Kind::Lines => {
                add_sounds(parameters, flutter(), logmel, size, out, scratch, cancel)?;
            }
            Kind::Bursts => add_bursts(parameters, flutter(), logmel, size, out, scratch, cancel)?,
            Kind::Clicks => add_clicks(parameters, seed, flutter(), logmel, size, out, scratch, cancel)?,
            Kind::Tremolo => swing(parameters, size, out, scratch, cancel)?,
            Kind::TimeWarp => warp_time(parameters, logmel, size, out, scratch, cancel)?,
        }
        Ok(true)
    }
}

#[inline(always)]
fn all_in_range(logmel: &[f32], cancel: &Cancel) -> Result<bool> {
    let mut greatest = 0;
    for values in logmel.chunks(NEAR) {
        cancel.check()?;
        greatest = greatest.max(greatest_bits(values));
    }
    Ok(greatest <= bits(MAX_DB))
}

#[inline(always)]
fn copied_in_range(logmel: &[f32], out: &mut [f32], cancel: &Cancel) -> Result<bool> {
    let mut greatest = 0;
    for (values, to) in logmel.chunks(NEAR).zip(out.chunks_mut(NEAR)) {
        cancel.check()?;
        greatest = greatest.max(copied_bits(values, to));
    }
    Ok(greatest <= bits(MAX_DB))
}

/// The rows that a Gaussian bump reaches, and its height there.
pub(super) fn bump(n_mels: usize, centre: f64, width: f64) -> impl Iterator<Item = (usize, f32)> {
    let first = (centre - REACH * width).ceil().max(0.0) as usize;
    let end = (centre + REACH * width).floor().min(n_mels as f64 - 1.0) + 1.0;
    (first..end as usize).map(move |row| {
        let widths = (row as f64 - centre) / width;
        (row, exp2_single((-0.5 * LOG2_E * widths * widths) as f32))
    })
}

/// Sums side by side in [`mean`] and [`deviation`]: as many on every processor, because the order of additions is part
/// of the result.
const SUMS: usize = 16;

/// Sum of a function of the values of a row.
#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0_f64; SUMS];
    let (whole, rest) = row.as_chunks::<SUMS>();
    for chunk in whole {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += of(f64::from(x));
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += of(f64::from(x));
    }
    let mut total = 0.0;
    for sum in sums {
        total += sum;
    }
    total
}

#[inline(always)]
pub(super) fn mean(row: &[f32]) -> f64 {
    sum(row, |x| x) / row.len() as f64
}

/// Standard deviation about the mean.
#[inline(always)]
pub(super) fn deviation(row: &[f32], mean: f64) -> f64 {
    (sum(row, |x| (x - mean) * (x - mean)) / row.len() as f64).sqrt()
}

#[inline(always)]
fn add_bumps(
    parameters: &[f64],
    deviation_db: &[f32],
    [n_mels, frames]: [usize; 2],
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    for &[centre, width, amplitude] in parameters.as_chunks().0 {
        for (row, height) in bump(n_mels, centre, width) {
            cancel.check()?;
            let added = amplitude as f32 * deviation_db[row] * height;
            for x in &mut out[row * frames..(row + 1) * frames] {
                *x += added;
            }
        }
    }
    Ok(())
}

/// Take each value further from the mean of its row.
#[inline(always)]
fn widen(parameters: &[f64], [n_mels, frames]: [usize; 2], out: &mut [f32], cancel: &Cancel) -> Result<()> {
    for &[centre, width, amplitude] in parameters.as_chunks().0 {
        for (row, height) in bump(n_mels, centre, width) {
            cancel.check()?;
            let row = &mut out[row * frames..(row + 1) * frames];
            let (mean, share) = (mean(row) as f32, amplitude as f32 * height);
            for x in row {
                *x += share * (*x - mean);
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn add_tilt(
    parameters: &[f64],
    deviation_db: &[f32],
    [n_mels, frames]: [usize; 2],
    out: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    let (gain, tilt) = (parameters[0], parameters[1]);
    for (i, row) in out.chunks_exact_mut(frames).enumerate() {
        cancel.check()?;
        let place = if n_mels > 1 { 2.0 * i as f64 / (n_mels - 1) as f64 - 1.0 } else { 0.0 };
        let added = (gain + tilt * place) as f32 * deviation_db[i];
        for x in row {
            *x += added;
        }
    }
    Ok(())
}

/// Let the level of a band swing.
#[inline(always)]
fn swing(
    parameters: &[f64],
    [n_mels, frames]: [usize; 2],
    out: &mut [f32],
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    for &[rate, phase, centre, width, depth_db] in parameters.as_chunks().0 {
        scratch.envelope.clear();
        scratch.envelope.extend((0..frames).map(|frame| sine(rate * frame as f64 + phase)));
        for (row, height) in bump(n_mels, centre, width) {
            cancel.check()?;
            let depth = depth_db as f32 * height;
            for (x, swing) in out[row * frames..(row + 1) * frames].iter_mut().zip(&scratch.envelope) {
                *x += depth * swing;
            }
        }
    }
    Ok(())
}

/// Sine of so many turns.
pub(super) fn sine(turns: f64) -> f32 {
    sin_cos(((turns - turns.floor()) * TAU) as f32).0
}

#[cfg(test)]
mod tests {
    use super::super::draw::draw;
    use super::*;

    const SIZE: [usize; 2] = [40, 77];

    fn logmel() -> Vec<f32> {
        (0..SIZE[0] * SIZE[1]).map(|i| -40.0 + 9.0 * (0.37 * i as f32).sin() - 0.002 * i as f32).collect()
    }

    fn altered(kind: Kind, seed: u64, level: SimdLevel, cancel: &Cancel) -> Result<Vec<u32>> {
        let (logmel, deviation_db, parameters) =
            (logmel(), [1.5; SIZE[0]], draw(kind, SIZE[0], SIZE[1], seed));
        let alteration = Alteration {
            kind,
            parameters: &parameters,
            logmel: &logmel,
            size: SIZE,
            deviation_db: &deviation_db,
            seed,
        };
        let (mut out, mut scratch) = (vec![f32::NAN; logmel.len()], Scratch::default());
        let apply = Apply { alteration: &alteration, out: &mut out, scratch: &mut scratch, cancel };
        assert!(level.run(apply)?);
        Ok(out.into_iter().map(f32::to_bits).collect())
    }

    #[test]
    fn every_level_gives_the_same_bytes() {
        let before: Vec<u32> = logmel().into_iter().map(f32::to_bits).collect();
        for (kind, seed) in Kind::ALL.into_iter().flat_map(|kind| [(kind, 1), (kind, 2)]) {
            let cancel = Cancel::default();
            let first = altered(kind, seed, SimdLevel::all()[0], &cancel).unwrap();
            assert_ne!(first, before, "{kind:?}");
            for level in SimdLevel::all() {
                assert_eq!(altered(kind, seed, level, &cancel).unwrap(), first, "{kind:?} {level:?}");
            }
        }
    }

    #[test]
    fn a_raised_flag_stops_every_kind() {
        let cancel = Cancel::default();
        cancel.cancel();
        for kind in Kind::ALL {
            assert!(matches!(altered(kind, 1, SimdLevel::best(), &cancel), Err(Error::Interrupted)));
        }
    }
}
