//! Where decoders write: the channels that were asked for, in memory that grows with what is really decoded.

use super::ChannelChoice;
use super::limits::{Charge, short_of_memory};
use crate::simd::{ChannelBuffer, Written};
use crate::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// The samples of one file, or of a part of it.
#[derive(Debug)]
pub(super) struct Output<'a> {
    pub(super) path: Arc<Path>,
    pub(super) choice: ChannelChoice,
    pub(super) buffer: ChannelBuffer<'a>,
    /// Frames that room was made for: there may be more in memory that is used again.
    reserved: u64,
    /// Frames that there will be, where the header says it.
    expected: Option<u64>,
    /// What it may take, and has taken; `None`: it is a part, which its owner keeps short.
    charge: Option<Charge>,
}

impl<'a> Output<'a> {
    /// For what is chosen of a file with so many channels.
    pub(super) fn new(path: &Arc<Path>, choice: ChannelChoice, channels: usize) -> Self {
        let buffer = ChannelBuffer::new(choice.count(channels));
        Self { path: Arc::clone(path), choice, buffer, reserved: 0, expected: None, charge: None }
    }

    /// In memory that was used before.
    pub(super) fn reusing(self, memory: Vec<f32>) -> Self {
        Self { buffer: ChannelBuffer::reusing(memory, self.buffer.channels()), ..self }
    }

    /// In memory of the caller's, for as long as there is room.
    pub(super) fn lent(self, memory: &'a mut [f32]) -> Self {
        Self { buffer: ChannelBuffer::lent(memory, self.buffer.channels()), ..self }
    }

    /// For a file as a whole.
    pub(super) fn whole(self, expected: Option<u64>, charge: Charge) -> Self {
        Self { expected, charge: Some(charge), ..self }
    }

    /// Make room for that many frames in all, and not one more.
    pub(super) fn reserve(&mut self, frames: u64) -> Result<()> {
        if frames <= self.reserved {
            return Ok(());
        }
        let bytes = frames.saturating_mul(4 * self.buffer.channels() as u64);
        if let Some(charge) = &mut self.charge
            && !charge.raise(bytes)
        {
            return Err(short_of_memory(&self.path, charge.limits()));
        }
        let reserved = usize::try_from(frames).is_ok_and(|frames| self.buffer.reserve(frames).is_ok());
        if !reserved {
            return Err(no_memory(&self.path, bytes));
        }
        self.reserved = frames;
        Ok(())
    }

    /// Make room for that many more frames.
    pub(super) fn reserve_more(&mut self, more: usize) -> Result<()> {
        let needed = (self.buffer.frames() + more) as u64;
        let room = self.reserved;
        if needed <= room {
            return Ok(());
        }
        // Twice as many as before, so that growing costs little on the whole; a little more where that is too much.
        let ample = needed.max((2 * room).min(self.expected.unwrap_or(u64::MAX)));
        self.reserve(ample).or_else(|_| self.reserve((needed + needed / 32).min(ample)))
    }

    /// Refuse NaN and infinity among the frames held from `from` on; `before` frames of the file came before those that
    /// are held.
    pub(super) fn check_finite(&self, from: usize, before: u64) -> Result<()> {
        for channel in 0..self.buffer.channels() {
            let samples = self.buffer.channel(channel, from);
            // Without a branch for each sample: the common case runs over many at once.
            if samples.iter().fold(true, |good, x| good & x.is_finite()) {
                continue;
            }
            let at = samples.iter().position(|x| !x.is_finite()).unwrap_or(0);
            let channel = match self.choice {
                ChannelChoice::All => format!("channel {channel}"),
                ChannelChoice::One(channel) => format!("channel {channel}"),
                ChannelChoice::Mean => "the mean of all channels".to_owned(),
            };
            let (place, value) = (before + (from + at) as u64, samples[at]);
            let reason = format!("sample {place} of {channel} is {value}; expected finite samples");
            return Err(Error::decode(&self.path, reason));
        }
        Ok(())
    }

    /// All samples, channel after channel, and what they have taken of the budget.
    pub(super) fn into_samples(self) -> (Written, Option<Charge>) {
        let (mut samples, mut charge) = (self.buffer.into_samples(), self.charge);
        let count = match &mut samples {
            Written::Own(samples) => {
                samples.shrink_to_fit();
                samples.len()
            }
            Written::Lent(count) => *count,
        };
        if let Some(charge) = &mut charge {
            charge.lower(4 * count as u64);
        }
        (samples, charge)
    }
}

/// The mean of samples that belong to one frame, summed in float64.
#[inline(always)]
pub(super) fn mean(samples: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = samples.len() as f64;
    nearest(samples.map(f64::from).sum::<f64>() / count)
}

/// The float32 that is nearest.
#[inline(always)]
#[expect(clippy::cast_possible_truncation)] // it rounds
pub(super) fn nearest(value: f64) -> f32 {
    value as f32
}

/// The error of a file for whose samples the system has no memory.
pub(super) fn no_memory(path: &Path, bytes: u64) -> Error {
    let reason =
        format!("there is no memory for {bytes} bytes of its samples; read it in blocks, or cut the file");
    Error::decode(path, reason)
}
