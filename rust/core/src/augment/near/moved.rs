//! Spectra that are moved along an axis.

use super::kernel::{Scratch, deviation, mean, sine};
use crate::par::Cancel;
use crate::{Result, memory};

/// Move the spectrum by so many bins; the first and the last bin are held beyond the ends.
///
/// Between two bins that flutter independently values would flutter less, which would give the shift away: each row is
/// brought to a deviation that lies between those of the two.
#[inline(always)]
pub(super) fn shift_mels(
    bins: f64,
    logmel: &[f32],
    [n_mels, frames]: [usize; 2],
    out: &mut [f32],
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    scratch.moments.clear();
    for row in logmel.chunks_exact(frames) {
        cancel.check()?;
        let mean = mean(row);
        scratch.moments.push([mean, deviation(row, mean)]);
    }
    for (i, out) in out.chunks_exact_mut(frames).enumerate() {
        cancel.check()?;
        let place = (i as f64 - bins).clamp(0.0, (n_mels - 1) as f64);
        let (lower, share) = (place as usize, place - place.floor());
        let (a, others) = logmel[lower * frames..].split_at(frames);
        if share == 0.0 {
            out.copy_from_slice(a);
            continue;
        }
        between([a, &others[..frames]], share as f32, out);
        let [a, b] = [scratch.moments[lower], scratch.moments[lower + 1]];
        let [mean, spread] = [0, 1].map(|moment| a[moment] + share * (b[moment] - a[moment]));
        let narrowed = deviation(out, mean);
        if narrowed > 0.0 {
            let (mean, ratio) = (mean as f32, (spread / narrowed) as f32);
            for x in out {
                *x = mean + ratio * (*x - mean);
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn between([a, b]: [&[f32]; 2], share: f32, out: &mut [f32]) {
    for ((x, a), b) in out.iter_mut().zip(a).zip(b) {
        *x = a + share * (b - a);
    }
}

/// Let time run unevenly: each frame is that of another moment, whole, because frames in between would flutter less.
/// Time beyond either end is mirrored.
#[inline(always)]
pub(super) fn warp_time(
    parameters: &[f64],
    logmel: &[f32],
    [_, frames]: [usize; 2],
    out: &mut [f32],
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    let &[depth, rate, phase, speed] = &parameters[..4] else { unreachable!("four parameters") };
    memory::resize(&mut scratch.places, frames, 0)?;
    for (frame, place) in scratch.places.iter_mut().enumerate() {
        let time = speed * frame as f64 + depth * f64::from(sine(rate * frame as f64 + phase));
        *place = mirrored((time + 0.5).floor() as i64, frames);
    }
    for (row, out) in logmel.chunks_exact(frames).zip(out.chunks_exact_mut(frames)) {
        cancel.check()?;
        for (x, &place) in out.iter_mut().zip(&scratch.places) {
            *x = row[place];
        }
    }
    Ok(())
}

/// The frame that stands for a place before the first or behind the last one.
fn mirrored(place: i64, frames: usize) -> usize {
    let last = frames as i64 - 1;
    if last == 0 {
        return 0;
    }
    let around = place.rem_euclid(2 * last);
    around.min(2 * last - around) as usize
}
