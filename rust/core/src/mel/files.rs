//! From sound files to log-Mel spectrograms in one step: no clip outlives its turn.

use super::batch::StatisticsScratch;
use super::{LogMel, Samples, Scratch};
use crate::decode::{self, ChannelChoice, MonoReader, OnError};
use crate::par::{self, Cancel};
use crate::statistics::BandStatistics;
use crate::{Error, Result};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Log-Mel spectrograms of files of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct FileLogMels {
    /// `(files, n_mels, frames)` row by row.
    pub values: Vec<f32>,
    /// Number of frames of each.
    pub frames: usize,
}

/// The memory of one worker.
struct Worker {
    bytes: decode::Scratch,
    scratch: Scratch,
}

impl Worker {
    fn new(plan: &LogMel) -> Self {
        Self { bytes: decode::Scratch::default(), scratch: plan.scratch() }
    }
}

/// A complaint about samples is one about the file that they came from.
fn of_file(path: &Path) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Array { given, expected, .. } => Error::decode(path, format!("{given}; expected {expected}")),
        other => other,
    }
}

/// A reader at the rate of the plan.
fn reader(plan: &LogMel, channel: ChannelChoice) -> Result<MonoReader> {
    MonoReader::new(channel, Some(plan.settings().sample_rate))
}

/// Log-Mel spectrograms of files of equal length; files of another sample rate are resampled to the plan's.
///
/// # Errors
/// Those of [`MonoReader::read`], of the first file in order; [`Error::Decode`] naming the file if a clip is too short
/// or of another length than the first; [`Error::Array`] if there is no file; [`Error::Interrupted`].
pub fn from_files(
    plan: &LogMel,
    paths: &[PathBuf],
    channel: ChannelChoice,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<FileLogMels> {
    let reader = reader(plan, channel)?;
    let Some((first, others)) = paths.split_first() else {
        return Err(Error::array("paths", "no files", "at least one"));
    };
    // The first file alone says how much memory all of them need.
    let mut worker = Worker::new(plan);
    let clip = reader.read(first, &mut worker.bytes, cancel)?.samples;
    let (length, frames) = (clip.len(), plan.frames(clip.len()).map_err(of_file(first))?);
    let size = plan.n_mels() * frames;
    let mut values = vec![0.0; paths.len() * size];
    let (head, tail) = values.split_at_mut(size);
    plan.process_into(&mut worker.scratch, Samples::F32(&clip), head).map_err(of_file(first))?;
    drop(clip);
    let work = |worker: &mut Worker, _, (path, out): (&PathBuf, &mut [f32])| {
        let clip = reader.read(path, &mut worker.bytes, cancel)?.samples;
        if clip.len() != length {
            let rate = plan.settings().sample_rate;
            let expected = format!("{length} as {} has, or a call for clips of any length", first.display());
            let given = format!("{} samples at {rate} Hz", clip.len());
            return Err(Error::decode(path, format!("{given}; expected {expected}")));
        }
        plan.process_into(&mut worker.scratch, Samples::F32(&clip), out).map_err(of_file(path))
    };
    let items = others.iter().zip(tail.chunks_exact_mut(size)).collect();
    par::map(items, threads, cancel, || Worker::new(plan), work)?;
    Ok(FileLogMels { values, frames })
}

/// Log-Mel spectrogram of each file of any length, `(n_mels, frames)`.
///
/// # Errors
/// As [`from_files`], but for lengths.
pub fn each_from_files(
    plan: &LogMel,
    paths: &[PathBuf],
    channel: ChannelChoice,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>> {
    let reader = reader(plan, channel)?;
    let work = |worker: &mut Worker, _, path: &PathBuf| {
        let clip = reader.read(path, &mut worker.bytes, cancel)?.samples;
        let frames = plan.frames(clip.len()).map_err(of_file(path))?;
        let mut out = vec![0.0; plan.n_mels() * frames];
        plan.process_into(&mut worker.scratch, Samples::F32(&clip), &mut out).map_err(of_file(path))?;
        Ok(out)
    };
    par::map(paths.iter().collect(), threads, cancel, || Worker::new(plan), work)
}

/// Statistics over time of each file of any length, for every band.
///
/// # Errors
/// [`Error::Interrupted`]; with [`OnError::Stop`] also those of [`each_from_files`].
pub fn statistics_from_files(
    plan: &LogMel,
    paths: &[PathBuf],
    channel: ChannelChoice,
    on_error: OnError,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Result<Vec<BandStatistics>>>> {
    let reader = reader(plan, channel)?;
    let scratch = || (decode::Scratch::default(), StatisticsScratch::new(plan));
    let work = |(bytes, scratch): &mut (decode::Scratch, StatisticsScratch), _, path: &PathBuf| {
        let clip = reader.read(path, bytes, cancel);
        let result =
            clip.and_then(|clip| scratch.of(plan, Samples::F32(&clip.samples)).map_err(of_file(path)));
        match (result, on_error) {
            (Err(Error::Interrupted), _) => Err(Error::Interrupted),
            (Err(error), OnError::Stop) => Err(error),
            (result, _) => Ok(result),
        }
    };
    par::map(paths.iter().collect(), threads, cancel, scratch, work)
}
