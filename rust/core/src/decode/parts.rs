//! A file's samples at the rate that was asked for, part by part.

use super::limits::{Measure, reserved_ahead};
use super::output::{Output, no_memory};
use super::{ChannelChoice, Limits, OpenFile};
use crate::Result;
use crate::par::Cancel;
use crate::resample::{ResampleScratch, Resampler, StreamResampler};
use std::sync::Arc;

/// Frames that are decoded before they are resampled: all of most clips, whose resampling then takes one step.
const FED: usize = 1 << 19;

/// The same, of all channels together.
const FED_IN_ALL: usize = 1 << 22;

/// Frames that one step makes of them at most, however much higher the rate becomes.
const RESAMPLED: usize = 1 << 21;

/// Frames of a part that a decoder yields, at most.
const PART: usize = 1 << 16;

/// A file, and what resamples it.
pub(super) struct Parts {
    source: Counted,
    resampling: Option<Resampling>,
    /// Of a file that is not resampled, for one that is.
    unused: ResamplingMemory,
}

/// The memory of resampling, for one file after the other.
#[derive(Debug, Default)]
pub(super) struct ResamplingMemory {
    decoded: Vec<f32>,
    scratch: ResampleScratch,
}

/// A file that is held against the limits while it is decoded.
struct Counted {
    file: OpenFile,
    /// Frames that were decoded.
    decoded: u64,
    /// `None`: of any length.
    measure: Option<Measure>,
}

/// The conversion of each channel.
struct Resampling {
    resampler: Arc<Resampler>,
    decoded: Output<'static>,
    scratch: ResampleScratch,
    /// One for each channel of a recording that is longer than what is decoded at once; else none.
    streams: Vec<StreamResampler>,
    ended: bool,
}

impl Parts {
    /// What is chosen of an open file; one that is too long for the limits, where there are any, is refused as soon as
    /// that is known.
    pub(super) fn new(
        file: OpenFile,
        choice: ChannelChoice,
        resampler: Option<Arc<Resampler>>,
        limits: Option<Limits>,
        memory: ResamplingMemory,
    ) -> Result<Self> {
        let (info, path) = (file.info(), file.path());
        choice.check(path, info.channels)?;
        let channels = choice.count(info.channels);
        let measure = limits.map(|limits| Measure {
            limits,
            file_bytes: file.bytes(),
            rate: info.sample_rate,
            target_rate: resampler.as_ref().map_or(info.sample_rate, |resampler| resampler.target_rate()),
            channels,
        });
        if let (Some(measure), Some(frames)) = (&measure, info.frames) {
            measure.check(path, frames)?;
        }
        let mut unused = memory;
        let resampling = match resampler {
            Some(resampler) => {
                let ResamplingMemory { decoded, scratch } = std::mem::take(&mut unused);
                let mut decoded = Output::new(path, choice, info.channels).reusing(decoded);
                let most = (fed(channels) + PART) as u64;
                decoded.reserve(reserved_ahead(&info, file.bytes(), channels).min(most))?;
                Some(Resampling { resampler, decoded, scratch, streams: Vec::new(), ended: false })
            }
            None => None,
        };
        Ok(Self { source: Counted { file, decoded: 0, measure }, resampling, unused })
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.source.file
    }

    /// The file and the memory, for the next one.
    pub(super) fn into_inner(self) -> (OpenFile, ResamplingMemory) {
        let used = |Resampling { decoded, scratch, .. }| ResamplingMemory {
            decoded: decoded.buffer.into_memory(),
            scratch,
        };
        (self.source.file, self.resampling.map_or(self.unused, used))
    }

    /// Add more samples; false at the end.
    pub(super) fn advance(&mut self, out: &mut Output, cancel: &Cancel) -> Result<bool> {
        match &mut self.resampling {
            None => self.source.decode(out, cancel),
            Some(resampling) => resampling.advance(&mut self.source, out, cancel),
        }
    }
}

impl Counted {
    fn decode(&mut self, out: &mut Output, cancel: &Cancel) -> Result<bool> {
        cancel.check()?;
        let before = out.buffer.frames();
        let more = self.file.decode(out)?;
        self.decoded += (out.buffer.frames() - before) as u64;
        match &self.measure {
            Some(measure) => measure.check(self.file.path(), self.decoded).map(|()| more),
            None => Ok(more),
        }
    }
}

/// Frames that are decoded before so many channels are resampled.
fn fed(channels: usize) -> usize {
    FED.min(FED_IN_ALL / channels)
}

impl Resampling {
    fn advance(&mut self, source: &mut Counted, out: &mut Output, cancel: &Cancel) -> Result<bool> {
        loop {
            let mut count = 0;
            for stream in &mut self.streams {
                count = stream.advance(cancel).map_err(|error| error.in_file(source.file.path()))?;
            }
            if count > 0 {
                out.reserve_more(count)?;
                out.buffer.push(count, |channel| self.streams[channel].outputs().iter().copied());
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.decode(source, cancel)?;
            let count = self.resampler.len(self.decoded.buffer.frames() as u64);
            let few = usize::try_from(count).ok().filter(|&count| count <= RESAMPLED);
            if let (Some(count), true) = (few, self.ended && self.streams.is_empty()) {
                return self.convert(count, out, cancel).map(|()| true);
            }
            self.feed()?;
        }
    }

    /// Decode more of the file.
    fn decode(&mut self, source: &mut Counted, cancel: &Cancel) -> Result<()> {
        let Self { decoded, ended, .. } = self;
        decoded.buffer.clear();
        while !*ended && decoded.buffer.frames() < fed(decoded.buffer.channels()) {
            *ended = !source.decode(decoded, cancel)?;
        }
        Ok(())
    }

    /// Resample what was decoded, which is all of the recording, to `count` frames.
    fn convert(&mut self, count: usize, out: &mut Output, cancel: &Cancel) -> Result<()> {
        let Self { resampler, decoded, scratch, .. } = self;
        out.reserve_more(count)?;
        let converted = out.buffer.push_zeros(count, |channel, zeros| {
            resampler.process_into(decoded.buffer.channel(channel, 0), zeros, scratch, cancel)
        });
        converted.map_err(|error| error.in_file(&decoded.path))
    }

    /// Hand what was decoded on to the streams.
    fn feed(&mut self) -> Result<()> {
        let Self { resampler, decoded, streams, ended, .. } = self;
        streams.resize_with(decoded.buffer.channels(), || StreamResampler::new(Arc::clone(resampler)));
        for (channel, stream) in streams.iter_mut().enumerate() {
            let samples = decoded.buffer.channel(channel, 0);
            stream.feed(samples).map_err(|_| no_memory(&decoded.path, 4 * samples.len() as u64))?;
            if *ended {
                stream.end();
            }
        }
        Ok(())
    }
}
