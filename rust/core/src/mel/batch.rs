//! Many clips at once, one clip for a thread at a time.

use super::input::Samples;
use super::logmel::LogMel;
use super::mask::{self, Mask};
use crate::par::{self, Cancel};
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// Name a clip of the batch in an error about its samples.
fn at(index: usize) -> impl Fn(Error) -> Error {
    move |error| error.in_array(format!("batch[{index}]"))
}

/// Number of frames of every clip of a batch; 0 without any clip.
///
/// # Errors
/// [`Error::Array`] naming the clip if one is too short or of another length than the first.
pub fn common_frames(plan: &LogMel, clips: &[Samples<'_>]) -> Result<usize> {
    let Some(length) = clips.first().map(Samples::len) else { return Ok(0) };
    if let Some(other) = clips.iter().position(|clip| clip.len() != length) {
        return Err(Error::array(
            format!("batch[{other}]"),
            format!("{} samples", clips[other].len()),
            format!("{length} as batch[0] has, or clips of any length in a call of `each`"),
        ));
    }
    plan.frames(length).map_err(at(0))
}

/// Log-Mel spectrograms of clips of equal length into `out`, `(clips, n_mels, frames)`; `masks` has a row for each
/// clip, or is `None`.
///
/// # Errors
/// [`Error::Array`] naming the clip if one is too short, of another length than the first or holds a sample that is
/// not finite, naming the mask if one is no fraction; [`Error::Interrupted`].
pub fn batch(
    plan: &LogMel,
    clips: &[Samples<'_>],
    masks: Option<&[Mask]>,
    out: &mut [f32],
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<()> {
    if let Some(masks) = masks {
        mask::check(masks, clips.len())?;
    }
    let frames = common_frames(plan, clips)?;
    let size = plan.n_mels() * frames;
    if out.len() != clips.len() * size {
        return Err(Error::array("out", format!("{} values", out.len()), format!("{}", clips.len() * size)));
    }
    let work = |scratch: &mut _, index: usize, out: &mut [f32]| {
        plan.process_into(scratch, clips[index], out, cancel).map_err(at(index))?;
        if let Some(masks) = masks {
            mask::apply(out, frames, masks[index], cancel).map_err(at(index))?;
        }
        Ok(())
    };
    let outputs = out.chunks_exact_mut(size.max(1)).collect();
    par::map(outputs, threads, cancel, || plan.scratch(), work)?;
    Ok(())
}

/// Log-Mel spectrograms of clips of any length, each `(n_mels, frames)`.
///
/// # Errors
/// As [`batch`].
pub fn each(
    plan: &LogMel,
    clips: &[Samples<'_>],
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>> {
    let work = |scratch: &mut _, index: usize, clip: &Samples<'_>| {
        plan.process(scratch, *clip, cancel).map_err(at(index))
    };
    par::map(clips.iter().collect(), threads, cancel, || plan.scratch(), work)
}
