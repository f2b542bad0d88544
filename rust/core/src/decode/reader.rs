//! Whole clips of many files, in any number of threads, at one rate.

use super::limits::{Budget, Charge, Measure, reserved_ahead, short_of_memory};
use super::output::Output;
use super::parts::Parts;
use super::probe::{self, Kind};
use super::{ChannelChoice, Clip, Limits, OpenFile, ReadBuffer, Source};
use crate::par::{self, Cancel};
use crate::resample::{MAX_RATE, Resampler};
use crate::{Error, Result};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the files of one call, whose clips together stay within its limits for as long as they live.
#[derive(Debug)]
pub struct Reader {
    choice: ChannelChoice,
    resamplers: Option<Resamplers>,
    budget: Arc<Budget>,
}

/// What becomes of a batch of which a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The call ends with that file's error.
    Stop,
    /// The other files are read, and the error stands in the clip's place.
    Keep,
}

impl Reader {
    /// A reader that resamples to `target_rate`, or leaves every file at its own rate.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a rate outside 1 to [`MAX_RATE`], or seconds that are none.
    pub fn new(choice: ChannelChoice, target_rate: Option<u32>, limits: Limits) -> Result<Self> {
        if limits.max_seconds.is_nan() || limits.max_seconds <= 0.0 {
            return Err(Error::parameter("max_seconds", limits.max_seconds, "seconds above 0"));
        }
        let resamplers = target_rate.map(Resamplers::new).transpose()?;
        Ok(Self { choice, resamplers, budget: Budget::new(limits) })
    }

    /// Read one file.
    ///
    /// # Errors
    /// [`Error::Io`] of the system; [`Error::Decode`] of a damaged file, of one that lacks the channel, is longer than
    /// the limits allow or decodes to more than there is memory for; [`Error::Unsupported`] of another format;
    /// [`Error::Memory`] where it is too much beside the clips of this reader that still live; [`Error::Interrupted`].
    pub fn read(&self, path: &Path, buffer: &mut ReadBuffer, cancel: &Cancel) -> Result<Clip> {
        self.read_open(OpenFile::open(path, buffer, Some(cancel))?, buffer, cancel)
    }

    /// [`Reader::read`], if it takes some hundredths of a second at most: then nobody need interrupt it.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_if_short(&self, path: &Path, buffer: &mut ReadBuffer) -> Result<Option<Clip>> {
        /// Samples of all channels.
        const SHORT: u64 = 1 << 22;
        let mut source = Source::open(path, buffer)?;
        let kind = probe::kind(&mut source)?;
        if let Kind::Coded(_) = kind {
            *buffer = source.into_buffer();
            return Ok(None);
        }
        let file = OpenFile::of_kind(kind, source, None)?;
        let info = file.info();
        let short = info.frames.is_some_and(|frames| frames.saturating_mul(info.channels as u64) <= SHORT);
        let as_it_is = self.resamplers.as_ref().is_none_or(|resamplers| resamplers.to == info.sample_rate);
        if short && as_it_is {
            return self.read_open(file, buffer, &Cancel::default()).map(Some);
        }
        *buffer = file.into_buffer();
        Ok(None)
    }

    fn read_open(&self, file: OpenFile, buffer: &mut ReadBuffer, cancel: &Cancel) -> Result<Clip> {
        let info = file.info();
        let resampler = match &self.resamplers {
            Some(resamplers) => resamplers.plan(file.path(), info.sample_rate)?,
            None => None,
        };
        let sample_rate = resampler.as_ref().map_or(info.sample_rate, |resampler| resampler.target_rate());
        let (source_rate, channels) = (info.sample_rate, self.choice.count(info.channels));
        let resampled = |frames| Measure::resampled(frames, source_rate, sample_rate);
        let expected = info.frames.map(resampled);
        let charge = Charge::new(&self.budget);
        let mut out = Output::new(file.path(), self.choice, info.channels).whole(expected, charge);
        let mut parts = Parts::new(file, self.choice, resampler, Some(self.budget.limits))?;
        out.reserve(resampled(reserved_ahead(&info, parts.file().bytes(), channels)))?;
        let result = loop {
            match parts.advance(&mut out, cancel) {
                Ok(true) => {}
                other => break other,
            }
        };
        let file = parts.into_file();
        let path = Arc::clone(file.path());
        *buffer = file.into_buffer();
        result?;
        let (samples, charge) = out.into_samples();
        if samples.is_empty() {
            return Err(Error::decode(&path, "the file holds no samples"));
        }
        Ok(Clip { sample_rate, source_rate, channels, samples, charge })
    }

    /// Do some work for each file, by many threads; that of a file which is too much beside the others is done again
    /// when they are done, so that the outcome does not depend on the threads.
    ///
    /// Where the work keeps its clips, the first files in order are read that the limits have room for.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; with [`OnError::Stop`] also the error of the first file, in order, that fails.
    pub fn map<S, R: Send>(
        &self,
        paths: &[PathBuf],
        on_error: OnError,
        num_threads: Option<NonZeroUsize>,
        cancel: &Cancel,
        scratch: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, &Path) -> Result<R> + Sync,
    ) -> Result<Vec<Result<R>>> {
        let run = |scratch: &mut S, _, path: &PathBuf| match work(scratch, path) {
            Err(error @ Error::Memory { .. }) => Ok(Err(error)),
            Err(error) if on_error == OnError::Stop || matches!(error, Error::Interrupted) => Err(error),
            result => Ok(result),
        };
        let mut results = par::map(paths.iter().collect(), num_threads, cancel, &scratch, run)?;
        if results.iter().any(is_short) {
            self.do_again(&mut results, paths, &mut scratch(), work)?;
        }
        match on_error {
            OnError::Keep => Ok(results),
            OnError::Stop => results.into_iter().map(|result| result.map(Ok)).collect(),
        }
    }

    /// The work for files that were too much beside others, in their order.
    fn do_again<S, R>(
        &self,
        results: &mut [Result<R>],
        paths: &[PathBuf],
        scratch: &mut S,
        work: impl Fn(&mut S, &Path) -> Result<R>,
    ) -> Result<()> {
        for index in 0..results.len() {
            while is_short(&results[index]) {
                let alone = self.budget.taken() == 0;
                results[index] = match work(scratch, &paths[index]) {
                    Err(Error::Interrupted) => return Err(Error::Interrupted),
                    result => result,
                };
                // The last of those behind it makes way.
                let last = (index + 1..results.len()).rfind(|&later| results[later].is_ok());
                match last.filter(|_| !alone && is_short(&results[index])) {
                    Some(last) => results[last] = Err(short_of_memory(&paths[last], self.budget.limits)),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Read each of many files in parallel.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn read_batch(
        &self,
        paths: &[PathBuf],
        on_error: OnError,
        num_threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Clip>>> {
        self.map(paths, on_error, num_threads, cancel, ReadBuffer::default, |buffer, path| {
            self.read(path, buffer, cancel)
        })
    }
}

fn is_short<R>(result: &Result<R>) -> bool {
    matches!(result, Err(Error::Memory { .. }))
}

/// The conversions to one rate, each planned when the first file asks for it.
#[derive(Debug)]
pub(super) struct Resamplers {
    to: u32,
    /// By the rate that they convert from, the oldest first.
    planned: Mutex<VecDeque<(u32, Arc<Resampler>)>>,
}

/// More rates than recordings have; a plan takes a megabyte at most.
const MOST_PLANNED: usize = 16;

impl Resamplers {
    pub(super) fn new(to: u32) -> Result<Self> {
        if to == 0 || to > MAX_RATE {
            return Err(Error::parameter("sample_rate", to, format!("1 to {MAX_RATE} Hz")));
        }
        Ok(Self { to, planned: Mutex::default() })
    }

    /// The conversion of a file with such a rate; `None` where there is nothing to convert.
    pub(super) fn plan(&self, path: &Path, from: u32) -> Result<Option<Arc<Resampler>>> {
        if from == self.to {
            return Ok(None);
        }
        // A panic of another thread while it planned leaves the plans as they were.
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, resampler)) = planned.iter().find(|(rate, _)| *rate == from) {
            return Ok(Some(Arc::clone(resampler)));
        }
        let resampler =
            Resampler::new(from, self.to).map_err(|error| Error::decode(path, error.to_string()))?;
        let resampler = Arc::new(resampler);
        if planned.len() == MOST_PLANNED {
            planned.pop_front();
        }
        planned.push_back((from, Arc::clone(&resampler)));
        Ok(Some(resampler))
    }
}
