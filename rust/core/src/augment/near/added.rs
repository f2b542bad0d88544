//! Sounds that are added to a log-Mel, in power.

use super::draw::Purpose;
use super::kernel::{Scratch, bump, mean};
use crate::augment::elementary::{exp2, exp2_single, ln};
use crate::augment::noise::{GENERATORS, Generators};
use crate::par::Cancel;
use crate::{Result, memory};
use std::f32::consts::{LN_10, LOG2_10};
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// Numbers of flutter drawn at a time: they stay in the nearest cache.
const BLOCK: usize = 16 * GENERATORS;
/// Further above a cell, in octaves of power, no sound is taken to be: 300 dB.
const MOST_OCTAVES: f32 = 100.0;

/// The power of noise in cells whose mean is 1: what an exponential distribution has, but narrower.
pub(super) struct Flutter {
    generators: Generators,
    bits: [u32; BLOCK],
}

impl Flutter {
    pub(super) fn new(seed: u64) -> Self {
        Self { generators: Generators::new(&mut Purpose::Flutter.stream(seed)), bits: [0; BLOCK] }
    }

    /// `(0.5 - ln u) / 1.5` with `u` uniform, for each frame of a row.
    #[inline(always)]
    fn fill(&mut self, row: &mut [f32]) {
        for block in row.chunks_mut(BLOCK) {
            self.generators.fill(&mut self.bits[..block.len().next_multiple_of(GENERATORS)]);
            for (power, &bits) in block.iter_mut().zip(&self.bits) {
                // Signed integers convert fastest. The sum rounds to 2^31 at most, never to 0.
                let uniform = ((bits >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
                *power = (0.5 - ln(uniform)) * (1.0 / 1.5);
            }
        }
    }
}

/// What a sound is added to: each row of the log-Mel keeps its mean, whatever was added before.
struct Ground<'a> {
    logmel: &'a [f32],
    size: [usize; 2],
    out: &'a mut [f32],
    flutter: Flutter,
    cancel: &'a Cancel,
}

impl Ground<'_> {
    /// Add noise in a band over some frames, each so strong as the envelope has it.
    #[inline(always)]
    fn add(
        &mut self,
        [centre, width, level_db]: [f64; 3],
        part: Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let [n_mels, frames] = self.size;
        memory::resize(&mut scratch.flutter, part.len(), 0.0)?;
        let (envelope, flutter) = (&scratch.envelope[part.clone()], &mut scratch.flutter[..part.len()]);
        for (row, height) in bump(n_mels, centre, width) {
            self.cancel.check()?;
            let cells = row * frames..(row + 1) * frames;
            let level_db = (mean(&self.logmel[cells.clone()]) + level_db) as f32;
            self.flutter.fill(flutter);
            add_row(&mut self.out[cells][part.clone()], level_db, height, envelope, flutter);
        }
        Ok(())
    }
}

/// `10 log10(10^(x / 10) + height envelope flutter 10^(level_db / 10))` in each cell.
#[inline(always)]
fn add_row(row: &mut [f32], level_db: f32, height: f32, envelope: &[f32], flutter: &[f32]) {
    for ((x, envelope), flutter) in row.iter_mut().zip(envelope).zip(flutter) {
        let octaves = (level_db - *x) * (LOG2_10 / 10.0);
        let octaves = if octaves < MOST_OCTAVES { octaves } else { MOST_OCTAVES };
        let octaves = if octaves > -MOST_OCTAVES { octaves } else { -MOST_OCTAVES };
        *x += (10.0 / LN_10) * ln(1.0 + exp2_single(octaves) * (height * envelope * flutter));
    }
}

/// Steady sounds: bands of noise and lines.
#[inline(always)]
pub(super) fn add_sounds(
    parameters: &[f64],
    flutter: Flutter,
    logmel: &[f32],
    size: [usize; 2],
    out: &mut [f32],
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    let mut ground = Ground { logmel, size, out, flutter, cancel };
    steady(scratch, size[1])?;
    // A loop, as a closure that is handed on would be compiled without the processor's vectors.
    for &sound in parameters.as_chunks().0 {
        ground.add(sound, 0..size[1], scratch)?;
    }
    Ok(())
}

/// Sounds that last for some frames each; what lies beyond the last frame is lost.
#[inline(always)]
pub(super) fn add_bursts(
    parameters: &[f64],
    flutter: Flutter,
    logmel: &[f32],
    size: [usize; 2],
    out: &mut [f32],
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    let mut ground = Ground { logmel, size, out, flutter, cancel };
    steady(scratch, size[1])?;
    for &[start, length, centre, width, level_db] in parameters.as_chunks().0 {
        let [start, end] = [start, start + length].map(|frame| (frame as usize).min(size[1]));
        ground.add([centre, width, level_db], start..end, scratch)?;
    }
    Ok(())
}

fn steady(scratch: &mut Scratch, frames: usize) -> Result<()> {
    scratch.envelope.clear();
    memory::resize(&mut scratch.envelope, frames, 1.0)
}

/// Clicks one after another, which die away.
#[allow(clippy::too_many_arguments)] // no two of one kind but the arrays
#[inline(always)]
pub(super) fn add_clicks(
    parameters: &[f64],
    seed: u64,
    flutter: Flutter,
    logmel: &[f32],
    size: [usize; 2],
    out: &mut [f32],
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    let mut ground = Ground { logmel, size, out, flutter, cancel };
    for &[period, first, jitter, decay, centre, width, level_db] in parameters.as_chunks().0 {
        scratch.envelope.clear();
        memory::resize(&mut scratch.envelope, size[1], 0.0)?;
        put_clicks([period, first, jitter], seed, &mut scratch.envelope, cancel)?;
        let (fade, mut power) = (exp2(-LOG2_E / decay), 0.0);
        for frame in &mut scratch.envelope {
            power = power * fade + f64::from(*frame);
            *frame = power as f32;
        }
        ground.add([centre, width, level_db], 0..size[1], scratch)?;
    }
    Ok(())
}

/// Count the clicks that fall in each frame.
fn put_clicks(
    [period, first, jitter]: [f64; 3],
    seed: u64,
    counts: &mut [f32],
    cancel: &Cancel,
) -> Result<()> {
    let mut stream = Purpose::Jitter.stream(seed);
    let end = counts.len() as f64;
    for click in 0_u64.. {
        if click % 4096 == 0 {
            cancel.check()?;
        }
        let due = first + period * click as f64;
        if due - jitter * period >= end {
            break;
        }
        let time = due + period * jitter * stream.uniform_in(-1.0, 1.0);
        if (0.0..end).contains(&time) {
            counts[time as usize] += 1.0;
        }
    }
    Ok(())
}
