//! A recording of any length in blocks, of which one at a time is in memory.

use super::output::{Output, no_memory};
use super::parts::{Parts, ResamplingMemory};
use super::reader::Resamplers;
use super::{ChannelChoice, OpenFile, ReadBuffer};
use crate::par::Cancel;
use crate::{Error, Result};
use std::path::Path;

/// The blocks of one channel of a file, or of the mean of all, one after the other: together they are the clip that
/// [`super::Reader::read`] gives, to the bit.
pub struct Blocks {
    parts: Parts,
    sample_rate: u32,
    source_rate: u32,
    decoded: Output<'static>,
    /// Decoded, and not yet given away.
    rest: Vec<f32>,
    given: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// Everything is decoded.
    Ended,
    /// There was an error.
    Failed,
}

impl Blocks {
    /// Read the header of a file, and plan its resampling to `target_rate`, if any.
    ///
    /// # Errors
    /// Those of [`super::Reader::read`] that the header causes; [`Error::Parameter`] for a rate outside its range.
    pub fn open(
        path: &Path,
        choice: ChannelChoice,
        target_rate: Option<u32>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let resamplers = target_rate.map(Resamplers::new).transpose()?;
        let file = OpenFile::open(path, &mut ReadBuffer::default(), Some(cancel))?;
        let info = file.info();
        let resampler = match &resamplers {
            Some(resamplers) => resamplers.plan(path, info.sample_rate)?,
            None => None,
        };
        Ok(Self {
            sample_rate: resampler.as_ref().map_or(info.sample_rate, |resampler| resampler.target_rate()),
            source_rate: info.sample_rate,
            decoded: Output::new(file.path(), choice, info.channels),
            parts: Parts::new(file, choice, resampler, None, ResamplingMemory::default())?,
            rest: Vec::new(),
            given: false,
            state: State::Reading,
        })
    }

    /// Samples a second of the blocks.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Samples a second of the file itself.
    #[must_use]
    pub fn source_rate(&self) -> u32 {
        self.source_rate
    }

    /// The next `size` samples, or fewer at the end of the file; `None` behind it, or behind an error.
    ///
    /// # Errors
    /// As [`super::Reader::read`]: damage is told of when it is reached.
    pub fn next(&mut self, size: usize, cancel: &Cancel) -> Result<Option<Vec<f32>>> {
        if self.state == State::Failed {
            return Ok(None);
        }
        let block = self.fill(size, cancel);
        if block.is_err() {
            self.state = State::Failed;
        }
        block
    }

    fn fill(&mut self, size: usize, cancel: &Cancel) -> Result<Option<Vec<f32>>> {
        let path = self.parts.file().path().clone();
        while self.state == State::Reading && self.rest.len() < size {
            self.decoded.buffer.clear();
            if !self.parts.advance(&mut self.decoded, cancel)? {
                self.state = State::Ended;
            }
            let samples = self.decoded.buffer.channel(0, 0);
            self.rest.try_reserve(samples.len()).map_err(|_| no_memory(&path, 4 * size as u64))?;
            self.rest.extend_from_slice(samples);
        }
        let count = size.min(self.rest.len());
        if count == 0 {
            return if self.given {
                Ok(None)
            } else {
                Err(Error::decode(&path, "the file holds no samples"))
            };
        }
        let mut block = Vec::new();
        block.try_reserve_exact(count).map_err(|_| no_memory(&path, 4 * count as u64))?;
        block.extend(self.rest.drain(..count));
        self.given = true;
        Ok(Some(block))
    }
}
