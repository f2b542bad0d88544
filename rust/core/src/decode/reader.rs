//! Whole clips of many files, in any number of threads, at one rate.

use super::limits::{Budget, Charge, Measure, reserved_ahead, short_of_memory};
use super::output::Output;
use super::parts::Parts;
use super::probe::{self, Kind};
use super::{ChannelChoice, Clip, Info, Limits, OpenFile, PlacedClip, ReadBuffer, Source};
use crate::par::{self, Cancel};
use crate::resample::{MAX_RATE, Resampler};
use crate::simd::Written;
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

/// What one thread reads the clips of many files into, one after the other.
#[derive(Debug, Default)]
pub struct ClipMemory {
    buffer: ReadBuffer,
    samples: Vec<f32>,
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
        self.read_into(path, buffer, &mut [], cancel).map(|placed| placed.clip)
    }

    /// [`Reader::read`] into memory of the caller's, if the clip fits into it.
    ///
    /// # Errors
    /// As [`Reader::read`]; the memory then holds nothing of use.
    pub fn read_into(
        &self,
        path: &Path,
        buffer: &mut ReadBuffer,
        place: &mut [f32],
        cancel: &Cancel,
    ) -> Result<PlacedClip> {
        self.read_open(OpenFile::open(path, buffer, Some(cancel))?, buffer, place, cancel)
    }

    /// [`Reader::read`] for as long as some work on the clip takes: the memory serves the next file, too.
    ///
    /// # Errors
    /// As [`Reader::read`], and those of the work.
    pub fn with_clip<R>(
        &self,
        path: &Path,
        memory: &mut ClipMemory,
        cancel: &Cancel,
        work: impl FnOnce(&[f32]) -> Result<R>,
    ) -> Result<R> {
        let file = OpenFile::open(path, &mut memory.buffer, Some(cancel))?;
        self.with_open(file, memory, cancel, work)
    }

    /// What the header of a file says, as far as it can be read, and [`Reader::with_clip`]; `None` of a clip that has,
    /// or may have, more than `most` samples.
    ///
    /// # Errors
    /// As [`Reader::with_clip`].
    pub fn with_short_clip<R>(
        &self,
        path: &Path,
        most: usize,
        memory: &mut ClipMemory,
        cancel: &Cancel,
        work: impl FnOnce(&[f32]) -> Result<R>,
    ) -> (Option<Info>, Result<Option<R>>) {
        let file = match OpenFile::open(path, &mut memory.buffer, Some(cancel)) {
            Ok(file) => file,
            Err(error) => return (super::info(path, &mut memory.buffer).ok(), Err(error)),
        };
        let info = file.info();
        if self.most_samples(&info, file.bytes()) > most as u64 {
            memory.buffer.bytes = file.into_bytes();
            return (Some(info), Ok(None));
        }
        let work = |samples: &[f32]| {
            if samples.len() > most { Ok(None) } else { work(samples).map(Some) }
        };
        (Some(info), self.with_open(file, memory, cancel, work))
    }

    /// How long a clip may be: a file whose header does not say is no longer than its size allows.
    fn most_samples(&self, info: &Info, file_bytes: u64) -> u64 {
        /// Of a coded file without a length: MP3 of 8 kbit/s.
        const LEAST_BYTES_PER_SECOND: u64 = 1000;
        let rate = info.sample_rate;
        let frames = info
            .frames
            .unwrap_or_else(|| (file_bytes / LEAST_BYTES_PER_SECOND + 1).saturating_mul(u64::from(rate)));
        Measure::resampled(frames, rate, self.resamplers.as_ref().map_or(rate, |resamplers| resamplers.to))
    }

    fn with_open<R>(
        &self,
        file: OpenFile,
        memory: &mut ClipMemory,
        cancel: &Cancel,
        work: impl FnOnce(&[f32]) -> Result<R>,
    ) -> Result<R> {
        /// More samples than this, 64 MiB, are not kept.
        const MOST_KEPT: usize = 1 << 24;
        let ClipMemory { buffer, samples } = memory;
        let placed = self.read_open(file, buffer, samples, cancel)?;
        let result = work(placed.samples(samples));
        if (samples.len() + 1..=MOST_KEPT).contains(&placed.clip.samples.len()) {
            *samples = placed.clip.samples;
        }
        result
    }

    /// [`Reader::read`], if it takes some hundredths of a second at most: then nobody need interrupt it.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_if_short(&self, path: &Path, buffer: &mut ReadBuffer) -> Result<Option<Clip>> {
        /// Samples of all channels.
        const SHORT: u64 = 1 << 22;
        let Some(file) = open_uncoded(path, buffer)? else { return Ok(None) };
        let info = file.info();
        let short = info.frames.is_some_and(|frames| frames.saturating_mul(info.channels as u64) <= SHORT);
        let as_it_is = self.resamplers.as_ref().is_none_or(|resamplers| resamplers.to == info.sample_rate);
        if short && as_it_is {
            let placed = self.read_open(file, buffer, &mut [], &Cancel::default())?;
            return Ok(Some(placed.clip));
        }
        buffer.bytes = file.into_bytes();
        Ok(None)
    }

    /// Samples of what is read of each file, as far as its header says it and can be believed; 0 where it does not, where
    /// the file cannot be read, and from where on there would be more than the limits allow.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn expected_lengths(
        &self,
        paths: &[PathBuf],
        num_threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<usize>> {
        let length =
            |buffer: &mut ReadBuffer, _, path: &PathBuf| Ok(self.expected_length(path, buffer).unwrap_or(0));
        let paths = paths.iter().collect();
        let mut lengths = par::map(paths, num_threads, cancel, ReadBuffer::for_headers, length)?;
        let mut left = self.budget.limits.max_bytes / 4;
        for length in &mut lengths {
            match left.checked_sub(*length as u64) {
                Some(rest) => left = rest,
                None => (*length, left) = (0, 0),
            }
        }
        Ok(lengths)
    }

    fn expected_length(&self, path: &Path, buffer: &mut ReadBuffer) -> Result<usize> {
        let Some(file) = open_uncoded(path, buffer)? else { return Ok(0) };
        let (info, file_bytes) = (file.info(), file.bytes());
        buffer.bytes = file.into_bytes();
        let (rate, channels) = (info.sample_rate, self.choice.count(info.channels));
        let frames = reserved_ahead(&info, file_bytes, channels);
        if info.frames != Some(frames) {
            return Ok(0);
        }
        let target_rate = self.resamplers.as_ref().map_or(rate, |resamplers| resamplers.to);
        let measure = Measure { limits: self.budget.limits, file_bytes, rate, target_rate, channels };
        measure.check(path, frames)?;
        let frames = usize::try_from(Measure::resampled(frames, rate, target_rate)).unwrap_or(0);
        Ok(frames.saturating_mul(channels))
    }

    fn read_open(
        &self,
        file: OpenFile,
        buffer: &mut ReadBuffer,
        place: &mut [f32],
        cancel: &Cancel,
    ) -> Result<PlacedClip> {
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
        let out = Output::new(file.path(), self.choice, info.channels).lent(place);
        let mut out = out.whole(expected, charge);
        let memory = std::mem::take(&mut buffer.resampling);
        let mut parts = Parts::new(file, self.choice, resampler, Some(self.budget.limits), memory)?;
        out.reserve(resampled(reserved_ahead(&info, parts.file().bytes(), channels)))?;
        let result = loop {
            match parts.advance(&mut out, cancel) {
                Ok(true) => {}
                other => break other,
            }
        };
        let (file, memory) = parts.into_inner();
        let path = Arc::clone(file.path());
        *buffer = ReadBuffer { bytes: file.into_bytes(), resampling: memory };
        result?;
        let (samples, charge) = out.into_samples();
        let (samples, placed) = match samples {
            Written::Own(samples) => (samples, None),
            Written::Lent(count) => (Vec::new(), Some(count)),
        };
        if placed.unwrap_or(samples.len()) == 0 {
            return Err(Error::decode(&path, "the file holds no samples"));
        }
        let clip = Clip { sample_rate, source_rate, channels, samples, charge };
        Ok(PlacedClip { clip, placed })
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
        work: impl Fn(&mut S, usize, &Path) -> Result<R> + Sync,
    ) -> Result<Vec<Result<R>>> {
        let run = |scratch: &mut S, index, path: &PathBuf| match work(scratch, index, path) {
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
        work: impl Fn(&mut S, usize, &Path) -> Result<R>,
    ) -> Result<()> {
        for index in 0..results.len() {
            while is_short(&results[index]) {
                let alone = self.budget.taken() == 0;
                results[index] = match work(scratch, index, &paths[index]) {
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

    /// Read each of many files in parallel, into a place of the caller's if it fits; with `filled` it must fill it.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn read_batch(
        &self,
        paths: &[PathBuf],
        places: Vec<&mut [f32]>,
        filled: bool,
        on_error: OnError,
        num_threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Vec<Result<PlacedClip>>> {
        assert_eq!(paths.len(), places.len(), "a place for each file, if an empty one");
        let places: Vec<_> = places.into_iter().map(Mutex::new).collect();
        self.map(paths, on_error, num_threads, cancel, ReadBuffer::default, |buffer, index, path| {
            let mut place = places[index].lock().unwrap_or_else(PoisonError::into_inner);
            let read = self.read_into(path, buffer, &mut place, cancel)?;
            let length = read.samples(&place).len();
            if filled && length != place.len() {
                let reason =
                    format!("{length} samples at {} Hz; expected {}", read.clip.sample_rate, place.len());
                return Err(Error::decode(path, format!("{reason} as a row of `out` has")));
            }
            Ok(read)
        })
    }
}

/// A file that needs no decoder of Symphonia's, of which opening it may take long.
fn open_uncoded(path: &Path, buffer: &mut ReadBuffer) -> Result<Option<OpenFile>> {
    let mut source = Source::open(path, buffer)?;
    let kind = probe::kind(&mut source)?;
    if let Kind::Coded(_) = kind {
        buffer.bytes = source.into_bytes();
        return Ok(None);
    }
    OpenFile::of_kind(kind, source, None).map(Some)
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
