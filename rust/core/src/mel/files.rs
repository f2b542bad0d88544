//! From sound files to log-Mel spectrograms in one step: no clip outlives its turn but the first of a [`FileBatch`].

use super::input::Samples;
use super::logmel::{LogMel, LogMelScratch};
use crate::decode::{ChannelChoice, Clip, ClipMemory, Limits, OnError, ReadBuffer, Reader};
use crate::par::{self, Cancel};
use crate::{Error, Result};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The memory of one worker.
struct Worker {
    clip: ClipMemory,
    scratch: LogMelScratch,
}

impl Worker {
    fn new(plan: &LogMel) -> Self {
        Self { clip: ClipMemory::default(), scratch: plan.scratch() }
    }
}

/// A reader at the rate of the plan.
fn reader(plan: &LogMel, channel: ChannelChoice, limits: Limits) -> Result<Reader> {
    Reader::new(channel, Some(plan.settings().sample_rate), limits)
}

/// Files of equal length of which the first was read: it alone says how much memory the spectrograms of all need.
pub struct FileBatch<'a> {
    plan: &'a LogMel,
    paths: &'a [PathBuf],
    reader: Reader,
    first: Clip,
    frames: usize,
}

impl<'a> FileBatch<'a> {
    /// Read the first file; those of another sample rate are resampled to the plan's.
    ///
    /// # Errors
    /// Those of [`Reader::read`]; [`Error::Decode`] if the clip is too short, [`Error::Array`] if there is no file.
    pub fn open(
        plan: &'a LogMel,
        paths: &'a [PathBuf],
        channel: ChannelChoice,
        limits: Limits,
        cancel: &Cancel,
    ) -> Result<Self> {
        let reader = reader(plan, channel, limits)?;
        let Some(path) = paths.first() else {
            return Err(Error::array("paths", "no files", "at least one"));
        };
        let first = reader.read(path, &mut ReadBuffer::default(), cancel)?;
        let frames = plan.frames(first.samples.len()).map_err(|error| error.in_file(path))?;
        Ok(Self { plan, paths, reader, first, frames })
    }

    /// Number of frames of each spectrogram.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Log-Mel spectrograms of all files, `(files, n_mels, frames)`.
    ///
    /// # Errors
    /// Those of [`Reader::read`], of the first file in order; [`Error::Decode`] naming the file if a clip is of
    /// another length than the first; [`Error::Array`] if `out` is not of that size; [`Error::Interrupted`].
    pub fn process_into(
        &self,
        out: &mut [f32],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<()> {
        let Self { plan, paths, .. } = self;
        let size = plan.n_mels() * self.frames;
        if out.len() != paths.len() * size {
            let expected = format!("{}", paths.len() * size);
            return Err(Error::array("out", format!("{} values", out.len()), expected));
        }
        let work = |Worker { clip, scratch }: &mut Worker, index: usize, out: &mut [f32]| {
            let path = &paths[index];
            let mut process = |samples: &[f32]| {
                self.check_length(path, samples.len())?;
                let done = plan.process_into(scratch, Samples::F32(samples), out, cancel);
                done.map_err(|error| error.in_file(path))
            };
            match index {
                0 => process(&self.first.samples),
                _ => self.reader.with_clip(path, clip, cancel, process),
            }
        };
        par::map(out.chunks_exact_mut(size).collect(), threads, cancel, || Worker::new(plan), work)?;
        Ok(())
    }

    /// Refuse a clip that is not as long as the first.
    fn check_length(&self, path: &Path, length: usize) -> Result<()> {
        let first_length = self.first.samples.len();
        if length == first_length {
            return Ok(());
        }
        let given = format!("{length} samples at {} Hz", self.plan.settings().sample_rate);
        let first = self.paths[0].display();
        let expected = format!("{first_length} as {first} has, or a call for clips of any length");
        Err(Error::decode(path, format!("{given}; expected {expected}")))
    }
}

/// Log-Mel spectrogram of each file of any length, `(n_mels, frames)`.
///
/// # Errors
/// As [`FileBatch`], but for lengths.
pub fn each_from_files(
    plan: &LogMel,
    paths: &[PathBuf],
    channel: ChannelChoice,
    limits: Limits,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>> {
    let reader = reader(plan, channel, limits)?;
    let work = |Worker { clip, scratch }: &mut Worker, _, path: &Path| {
        reader.with_clip(path, clip, cancel, |samples| {
            let logmel = plan.process(scratch, Samples::F32(samples), cancel);
            logmel.map_err(|error| error.in_file(path))
        })
    };
    reader.map(paths, OnError::Stop, threads, cancel, || Worker::new(plan), work)?.into_iter().collect()
}
