//! A file's samples at the rate that was asked for, part by part.

use super::limits::Measure;
use super::output::{Output, no_memory};
use super::{ChannelChoice, Limits, OpenFile};
use crate::par::Cancel;
use crate::resample::{Resampler, StreamResampler};
use crate::{Error, Result};
use std::sync::Arc;

/// Frames that are decoded before they are resampled: enough to be done with most clips at once.
const FED: usize = 1 << 19;

/// A file, and what resamples it.
pub(super) struct Parts {
    source: Counted,
    resampling: Option<Resampling>,
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
    decoded: Output,
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
        let resampling = resampler.map(|resampler| Resampling {
            decoded: Output::new(path, choice, info.channels),
            streams: (0..channels).map(|_| StreamResampler::new(Arc::clone(&resampler))).collect(),
            ended: false,
        });
        Ok(Self { source: Counted { file, decoded: 0, measure }, resampling })
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.source.file
    }

    pub(super) fn into_file(self) -> OpenFile {
        self.source.file
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

impl Resampling {
    fn advance(&mut self, source: &mut Counted, out: &mut Output, cancel: &Cancel) -> Result<bool> {
        loop {
            let mut count = 0;
            for stream in &mut self.streams {
                count = stream.advance(cancel).map_err(|error| match error {
                    Error::Interrupted => error,
                    other => Error::decode(source.file.path(), other.to_string()),
                })?;
            }
            if count > 0 {
                out.reserve_more(count)?;
                out.buffer.push(count, |channel| self.streams[channel].outputs().iter().copied());
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.feed(source, cancel)?;
        }
    }

    /// Decode more of the file, and give it to the streams.
    fn feed(&mut self, source: &mut Counted, cancel: &Cancel) -> Result<()> {
        let Self { decoded, streams, ended } = self;
        decoded.buffer.clear();
        // Fewer of several channels, so that all of them together stay in little memory.
        let enough = (FED / streams.len()).max(1);
        while !*ended && decoded.buffer.frames() < enough {
            *ended = !source.decode(decoded, cancel)?;
        }
        for (channel, stream) in streams.iter_mut().enumerate() {
            let samples = decoded.buffer.channel(channel, 0);
            stream.feed(samples).map_err(|_| no_memory(source.file.path(), 4 * samples.len() as u64))?;
            if *ended {
                stream.end();
            }
        }
        Ok(())
    }
}
