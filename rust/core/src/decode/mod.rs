//! Sound files to float32 samples in [-1, 1].
//!
//! The kind of a file is read from its first bytes, never from its name. PCM in WAV and AIFF is read by this
//! module, and so is FLAC; Ogg Vorbis and MP3 by Symphonia. Integers are scaled as soundfile does: 16 bits by 1/32768.
//!
//! Each decoder yields a small part of the file at a time: a chunk, a frame, a packet. [`Reader`] joins them to clips,
//! [`Blocks`] hands them on, so that a recording of any length passes through little memory.
//!
//! No header is trusted with memory: what is allocated is bounded by the true size of the file, or grows with
//! the samples that are really decoded, within the [`Limits`] of the call; and where the system refuses it, that is
//! the error of that file. A file has [`MAX_CHANNELS`] channels at most.

// What a header says must not change on the way. `cast_precision_loss` is left out: samples are rounded on purpose.
#![warn(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod aiff;
mod blocks;
mod coded;
mod flac;
mod limits;
mod mpeg;
mod ogg;
mod output;
mod parts;
mod pcm;
mod probe;
mod reader;
mod source;
#[cfg(test)]
mod tests;
mod wav;

use crate::{Error, Result};
use coded::Coded;
use flac::Flac;
use limits::Charge;
use output::Output;
use pcm::Pcm;
use probe::Kind;
use source::Source;
use std::path::Path;
use std::sync::Arc;

pub use blocks::Blocks;
pub use limits::Limits;
pub use reader::{ClipMemory, OnError, Reader};
pub use source::ReadBuffer;

use crate::par::Cancel;

/// Most channels that a file may have; as many as libsndfile reads.
pub const MAX_CHANNELS: usize = 1024;

/// Which channels of a recording are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelChoice {
    /// All of them.
    All,
    /// One channel, counted from 0; the others are not even converted.
    One(usize),
    /// The mean of all channels.
    Mean,
}

impl ChannelChoice {
    /// How many there are of it in a file of so many channels.
    fn count(self, channels: usize) -> usize {
        match self {
            Self::All => channels,
            Self::One(_) | Self::Mean => 1,
        }
    }

    /// Refuse a channel that the file lacks.
    fn check(self, path: &Path, channels: usize) -> Result<()> {
        match self {
            Self::One(channel) if channel >= channels => {
                let has = if channels == 1 { "1 channel" } else { &format!("{channels} channels") };
                let reason =
                    format!("channel {channel} was asked for, but the file has {has}; channels count from 0");
                Err(Error::decode(path, reason))
            }
            _ => Ok(()),
        }
    }
}

/// The container of a sound file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RIFF or RIFX WAV.
    Wav,
    /// WAV beyond 4 GB: RF64 or BW64.
    Rf64,
    /// AIFF or AIFF-C.
    Aiff,
    /// Native FLAC.
    Flac,
    /// Ogg.
    Ogg,
    /// MPEG audio frames.
    Mp3,
}

impl Format {
    /// The name that soundfile has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Rf64 => "RF64",
            Self::Aiff => "AIFF",
            Self::Flac => "FLAC",
            Self::Ogg => "OGG",
            Self::Mp3 => "MP3",
        }
    }
}

/// What the header of a sound file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Samples a second of each channel.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Samples of each channel; `None` where the header does not say.
    pub frames: Option<u64>,
    /// The container.
    pub format: Format,
    /// How the samples are coded, by the name that soundfile has for it.
    pub subtype: &'static str,
}

/// The channels of a recording that were asked for.
#[derive(Debug)]
pub struct Clip {
    /// Samples a second of each channel.
    pub sample_rate: u32,
    /// Samples a second of the file itself, before any resampling.
    pub source_rate: u32,
    /// Number of channels that were read.
    pub channels: usize,
    /// The channels one after the other: `(channels, frames)`.
    pub samples: Vec<f32>,
    /// What it takes of its call's memory, for as long as it lives.
    #[allow(dead_code)] // it is there to be dropped
    charge: Option<Charge>,
}

/// A clip that was read into memory of the caller's, if it fits.
#[derive(Debug)]
pub struct PlacedClip {
    /// The clip; without samples of its own where they are in the caller's memory.
    pub clip: Clip,
    /// Samples in the caller's memory, from its beginning on; `None` where the clip did not fit.
    pub placed: Option<usize>,
}

impl PlacedClip {
    /// The samples, given the memory that the clip was to be read into.
    #[must_use]
    pub fn samples<'a>(&'a self, place: &'a [f32]) -> &'a [f32] {
        self.placed.map_or(&self.clip.samples, |count| &place[..count])
    }
}

/// Read the header of a file alone.
///
/// # Errors
/// As [`Reader::read`]; damage behind the header is not seen.
pub fn info(path: &Path, buffer: &mut ReadBuffer) -> Result<Info> {
    let file = OpenFile::open(path, buffer, None)?;
    let info = file.info();
    buffer.bytes = file.into_bytes();
    Ok(info)
}

/// A file whose header is read, and which yields its samples part by part.
enum OpenFile {
    Pcm(Pcm),
    Flac(Box<Flac>),
    Coded(Box<Coded>),
}

impl OpenFile {
    /// Read the header; with `check` the sound will be decoded.
    fn open(path: &Path, buffer: &mut ReadBuffer, check: Option<&Cancel>) -> Result<Self> {
        let mut source = Source::open(path, buffer)?;
        let kind = probe::kind(&mut source)?;
        Self::of_kind(kind, source, check)
    }

    fn of_kind(kind: Kind, mut source: Source, check: Option<&Cancel>) -> Result<Self> {
        match kind {
            Kind::Wav => {
                let layout = wav::layout(&mut source)?;
                Pcm::new(source, layout).map(Self::Pcm)
            }
            Kind::Aiff => {
                let layout = aiff::layout(&mut source)?;
                Pcm::new(source, layout).map(Self::Pcm)
            }
            Kind::Flac => Flac::open(source).map(|file| Self::Flac(Box::new(file))),
            Kind::Coded(codec) => Coded::open(source, codec, check).map(|file| Self::Coded(Box::new(file))),
        }
    }

    fn info(&self) -> Info {
        match self {
            Self::Pcm(file) => file.info(),
            Self::Flac(file) => file.info(),
            Self::Coded(file) => file.info(),
        }
    }

    fn path(&self) -> &Arc<Path> {
        match self {
            Self::Pcm(file) => &file.source.path,
            Self::Flac(file) => &file.source.path,
            Self::Coded(file) => &file.path,
        }
    }

    /// Size of the file.
    fn bytes(&self) -> u64 {
        match self {
            Self::Pcm(file) => file.source.len,
            Self::Flac(file) => file.source.len,
            Self::Coded(file) => file.file_bytes,
        }
    }

    /// Add the samples of the next part, 65,536 frames at most; false at the end.
    fn decode(&mut self, out: &mut Output) -> Result<bool> {
        match self {
            Self::Pcm(file) => file.decode(out),
            Self::Flac(file) => file.decode(out),
            Self::Coded(file) => file.decode(out),
        }
    }

    /// The memory, for the next file.
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Pcm(file) => file.source.into_bytes(),
            Self::Flac(file) => file.source.into_bytes(),
            Self::Coded(_) => Vec::new(),
        }
    }
}
