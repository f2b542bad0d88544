//! Sound files to float32 samples in [-1, 1].
//!
//! The kind of a file is read from its first bytes, never from its name. PCM in WAV and AIFF is read by this
//! module, and so is FLAC; Ogg Vorbis and MP3 by Symphonia. Integers are scaled as soundfile does: 16 bits by 1/32768.
//!
//! No header is trusted with memory: what is allocated is bounded by the true size of the file, or grows with
//! the samples that are really decoded. The limits: [`MAX_CHANNELS`] channels, [`MAX_SAMPLES`] samples for one
//! read (of the channels that were asked for).

mod aiff;
mod coded;
mod flac;
mod ogg;
mod pcm;
mod probe;
mod source;
mod wav;

use crate::par::{self, Cancel};
use crate::resample::{MAX_RATE, Resampler};
use crate::{Error, Result};
use coded::Coded;
use pcm::Layout;
use probe::Kind;
use source::Source;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use source::Scratch;

/// Most channels that a file may have; as many as libsndfile reads.
pub const MAX_CHANNELS: usize = 1024;

/// Most samples that one read returns: 16 GiB of float32.
pub const MAX_SAMPLES: u64 = 1 << 32;

/// Bytes of float32 reserved ahead for each byte of a file, whatever its header says.
const MAX_EXPANSION: u64 = 16;

/// Which channel of a recording becomes the mono clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelChoice {
    /// One channel, counted from 0; the others are not even converted.
    One(usize),
    /// The mean of all channels.
    Mean,
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

/// All channels of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Samples a second of each channel.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// The channels one after the other: `(channels, frames)`.
    pub samples: Vec<f32>,
}

/// One channel of a recording, or the mean of all.
#[derive(Clone, Debug, PartialEq)]
pub struct MonoClip {
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples a second of the file itself, before any resampling.
    pub source_rate: u32,
    /// The samples.
    pub samples: Vec<f32>,
}

/// Read all channels of a file, at its own rate or resampled to another.
///
/// # Errors
/// [`Error::Io`] of the system, [`Error::Decode`] of a damaged file, [`Error::Unsupported`] of another format,
/// [`Error::Parameter`] for a rate outside 1 to [`crate::resample::MAX_RATE`].
pub fn read(path: &Path, target_rate: Option<u32>, scratch: &mut Scratch, cancel: &Cancel) -> Result<Clip> {
    let resamplers = target_rate.map(Resamplers::new).transpose()?;
    let clip = decode(path, None, scratch, cancel)?;
    let Some(resamplers) = resamplers else { return Ok(clip) };
    if clip.sample_rate == resamplers.to {
        return Ok(clip);
    }
    let Clip { sample_rate, channels, samples } = clip;
    let samples = resamplers.process(path, sample_rate, &samples, channels, cancel)?;
    Ok(Clip { sample_rate: resamplers.to, channels, samples })
}

/// Read one channel of a file, or the mean of all, at the file's rate or resampled to another.
///
/// Whoever reads many files keeps a [`MonoReader`] instead.
///
/// # Errors
/// As [`MonoReader::read`].
pub fn read_mono(path: &Path, choice: ChannelChoice, target_rate: Option<u32>) -> Result<MonoClip> {
    MonoReader::new(choice, target_rate)?.read(path, &mut Scratch::default(), &Cancel::default())
}

/// Reads one channel of many files, in any number of threads, at one rate.
#[derive(Debug)]
pub struct MonoReader {
    choice: ChannelChoice,
    resamplers: Option<Resamplers>,
}

impl MonoReader {
    /// A reader that resamples to `target_rate`, or leaves every file at its own rate.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a rate outside 1 to [`crate::resample::MAX_RATE`].
    pub fn new(choice: ChannelChoice, target_rate: Option<u32>) -> Result<Self> {
        Ok(Self { choice, resamplers: target_rate.map(Resamplers::new).transpose()? })
    }

    /// Read one file.
    ///
    /// # Errors
    /// As [`read`], and [`Error::Decode`] where the file lacks the channel.
    pub fn read(&self, path: &Path, scratch: &mut Scratch, cancel: &Cancel) -> Result<MonoClip> {
        let Clip { sample_rate, samples, .. } = decode(path, Some(self.choice), scratch, cancel)?;
        let Some(resamplers) = &self.resamplers else {
            return Ok(MonoClip { sample_rate, source_rate: sample_rate, samples });
        };
        if sample_rate == resamplers.to {
            return Ok(MonoClip { sample_rate, source_rate: sample_rate, samples });
        }
        let samples = resamplers.process(path, sample_rate, &samples, 1, cancel)?;
        Ok(MonoClip { sample_rate: resamplers.to, source_rate: sample_rate, samples })
    }
}

/// Read one channel of each of many files in parallel.
///
/// # Errors
/// [`Error::Parameter`] for a bad `target_rate`, [`Error::Interrupted`]; with [`OnError::Stop`] also the error of
/// the first file, in order, that cannot be read.
pub fn read_batch(
    paths: Vec<PathBuf>,
    choice: ChannelChoice,
    target_rate: Option<u32>,
    on_error: OnError,
    num_threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Result<MonoClip>>> {
    let reader = MonoReader::new(choice, target_rate)?;
    par::map(paths, num_threads, cancel, Scratch::default, |scratch, _, path: PathBuf| {
        match (reader.read(&path, scratch, cancel), on_error) {
            (Err(Error::Interrupted), _) => Err(Error::Interrupted),
            (Err(error), OnError::Stop) => Err(error),
            (result, _) => Ok(result),
        }
    })
}

/// What becomes of a batch of which a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The call ends with that file's error.
    Stop,
    /// The other files are read, and the error stands in the clip's place.
    Keep,
}

/// The conversions to one rate, each planned when the first file asks for it.
#[derive(Debug)]
struct Resamplers {
    to: u32,
    planned: Mutex<BTreeMap<u32, Arc<Resampler>>>,
}

impl Resamplers {
    fn new(to: u32) -> Result<Self> {
        Resampler::new(to, to)
            .map_err(|_| Error::parameter("sample_rate", to, format!("1 to {} Hz", MAX_RATE)))?;
        Ok(Self { to, planned: Mutex::default() })
    }

    /// Convert the channels of a file, one after the other.
    fn process(
        &self,
        path: &Path,
        from: u32,
        samples: &[f32],
        channels: usize,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        let resampler =
            self.plan(from).and_then(|resampler| resampler.process_channels(samples, channels, cancel));
        resampler.map_err(|error| match error {
            Error::Interrupted => error,
            other => Error::decode(path, other.to_string()),
        })
    }

    fn plan(&self, from: u32) -> Result<Arc<Resampler>> {
        // A panic of another thread while it planned leaves the map as it was.
        let mut planned = self.planned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(resampler) = planned.get(&from) {
            return Ok(Arc::clone(resampler));
        }
        let resampler = Arc::new(Resampler::new(from, self.to)?);
        planned.insert(from, Arc::clone(&resampler));
        Ok(resampler)
    }
}

/// Read the header of a file alone.
///
/// # Errors
/// As [`read`]; damage behind the header is not seen.
pub fn info(path: &Path, scratch: &mut Scratch) -> Result<Info> {
    match Sound::open(path, scratch)? {
        Sound::Pcm(_, layout) => Ok(layout.info()),
        Sound::Flac(stream) => Ok(stream.info()),
        Sound::Coded(source, kind, offset) => coded::info(source, kind, offset),
    }
}

/// [`read`], if it takes some hundredths of a second at most: then nobody need interrupt it.
///
/// # Errors
/// As [`read`].
pub fn read_if_short(path: &Path, target_rate: Option<u32>, scratch: &mut Scratch) -> Result<Option<Clip>> {
    decode_if_short(path, None, target_rate, scratch)
}

/// [`MonoReader::read`], if it takes some hundredths of a second at most: then nobody need interrupt it.
///
/// # Errors
/// As [`MonoReader::read`].
pub fn read_mono_if_short(
    path: &Path,
    choice: ChannelChoice,
    target_rate: Option<u32>,
    scratch: &mut Scratch,
) -> Result<Option<MonoClip>> {
    let clip = decode_if_short(path, Some(choice), target_rate, scratch)?;
    Ok(clip.map(|Clip { sample_rate, samples, .. }| MonoClip {
        sample_rate,
        source_rate: sample_rate,
        samples,
    }))
}

fn decode_if_short(
    path: &Path,
    choice: Option<ChannelChoice>,
    target_rate: Option<u32>,
    scratch: &mut Scratch,
) -> Result<Option<Clip>> {
    /// Samples of all channels.
    const SHORT: u64 = 1 << 22;
    let sound = Sound::open(path, scratch)?;
    let info = match &sound {
        Sound::Pcm(_, layout) => layout.info(),
        Sound::Flac(stream) => stream.info(),
        Sound::Coded(..) => return Ok(None),
    };
    let short = info.frames.is_some_and(|frames| frames.saturating_mul(info.channels as u64) <= SHORT);
    if short && target_rate.is_none_or(|rate| rate == info.sample_rate && rate <= MAX_RATE) {
        sound.read(choice, &Cancel::default()).map(Some)
    } else {
        Ok(None)
    }
}

fn decode(
    path: &Path,
    choice: Option<ChannelChoice>,
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<Clip> {
    Sound::open(path, scratch)?.read(choice, cancel)
}

/// A file whose header is read, as far as this module reads it.
enum Sound<'a> {
    Pcm(Source<'a>, Layout),
    Flac(flac::Stream<'a>),
    /// A container for Symphonia, and where in the file it begins.
    Coded(Source<'a>, Coded, u64),
}

impl<'a> Sound<'a> {
    fn open(path: &'a Path, scratch: &'a mut Scratch) -> Result<Self> {
        let mut source = Source::open(path, scratch)?;
        match probe::kind(&mut source)? {
            Kind::Wav => wav::layout(&mut source).map(|layout| Self::Pcm(source, layout)),
            Kind::Aiff => aiff::layout(&mut source).map(|layout| Self::Pcm(source, layout)),
            Kind::Flac(offset) => flac::Stream::open(source, offset).map(Self::Flac),
            Kind::Coded(kind, offset) => Ok(Self::Coded(source, kind, offset)),
        }
    }

    fn read(self, choice: Option<ChannelChoice>, cancel: &Cancel) -> Result<Clip> {
        let path = match &self {
            Self::Pcm(source, _) | Self::Coded(source, ..) => source.path,
            Self::Flac(stream) => stream.path(),
        };
        let clip = match self {
            Self::Pcm(mut source, layout) => {
                check_choice(path, choice, layout.channels)?;
                let samples = pcm::read(&mut source, &layout, choice, cancel)?;
                Clip { sample_rate: layout.sample_rate, channels: layout.channels, samples }
            }
            Self::Flac(stream) => {
                let Info { sample_rate, channels, .. } = stream.info();
                check_choice(path, choice, channels)?;
                Clip { sample_rate, channels, samples: stream.read(choice, cancel)? }
            }
            Self::Coded(source, kind, offset) => coded::read(source, kind, offset, choice, cancel)?,
        };
        if clip.samples.is_empty() {
            return Err(Error::decode(path, "the file holds no samples"));
        }
        Ok(clip)
    }
}

fn check_choice(path: &Path, choice: Option<ChannelChoice>, channels: usize) -> Result<()> {
    match choice {
        Some(ChannelChoice::One(channel)) if channel >= channels => {
            let has = if channels == 1 { "1 channel" } else { &format!("{channels} channels") };
            Err(Error::decode(
                path,
                format!("channel {channel} was asked for, but the file has {has} (from 0)"),
            ))
        }
        _ => Ok(()),
    }
}
