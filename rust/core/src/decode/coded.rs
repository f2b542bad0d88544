//! Ogg Vorbis and MP3 through Symphonia.
//!
//! Symphonia passes over what it cannot decode, as a player should; here a damaged frame is an error. Frames that
//! are lost leave a gap in the time stamps or a shortfall against the length in the header; both are refused.

use super::pcm::check_finite;
use super::source::Source;
use super::{
    ChannelChoice, Clip, Format, Info, MAX_EXPANSION, MAX_SAMPLES, check_choice, ogg, pcm::check_header,
};
use crate::par::Cancel;
use crate::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as CodecError;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::default::formats::{MpaReader, OggReader};

/// The containers that this module reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    OggVorbis,
    Mp3,
}

/// What the header says.
pub(super) fn info(source: Source<'_>, kind: Coded, offset: u64) -> Result<Info> {
    let path = source.path;
    guarded(path, || Ok(Stream::open(source, kind, offset)?.info))
}

/// All channels, or the one that was chosen.
pub(super) fn read(
    mut source: Source<'_>,
    kind: Coded,
    offset: u64,
    choice: Option<ChannelChoice>,
    cancel: &Cancel,
) -> Result<Clip> {
    let path = source.path;
    if kind == Coded::OggVorbis {
        ogg::check(&mut source)?;
    }
    guarded(path, || {
        let file_len = source.len;
        let mut stream = Stream::open(source, kind, offset)?;
        let Info { channels, sample_rate, frames, .. } = stream.info;
        check_choice(path, choice, channels)?;
        let mut planes = Planes::new(path, choice, stream_order(kind, channels));
        planes.reserve(frames.unwrap_or(0).min(file_len.saturating_mul(MAX_EXPANSION)))?;
        while stream.decode(&mut planes)? {
            cancel.check()?;
        }
        stream.check_end(planes.frames as u64)?;
        Ok(Clip { sample_rate, channels, samples: planes.into_samples() })
    })
}

/// A file that breaks the decoder itself costs an error, not the batch that it is in.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let broken = |_| Err(Error::decode(path, "damaged in a way that its decoder could not cope with"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(broken)
}

/// A container and the decoder of its sound.
struct Stream<'a> {
    path: &'a Path,
    info: Info,
    track: u32,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    /// Time stamp at which the next packet must begin.
    next: Option<i64>,
}

impl<'a> Stream<'a> {
    fn open(source: Source<'a>, kind: Coded, offset: u64) -> Result<Self> {
        let (path, len) = (source.path, source.len);
        let failed = |error| failure(path, error);
        let tail = Tail { file: source.into_file(offset)?, offset, len };
        let bytes = MediaSourceStream::new(Box::new(tail), Default::default());
        let format: Box<dyn FormatReader> = match kind {
            Coded::OggVorbis => Box::new(OggReader::try_new(bytes, Default::default()).map_err(failed)?),
            Coded::Mp3 => Box::new(MpaReader::try_new(bytes, Default::default()).map_err(failed)?),
        };
        let track = format.default_track(TrackType::Audio);
        let parameters = track.and_then(|track| track.codec_params.as_ref()?.audio());
        let (Some(track), Some(parameters)) = (track, parameters) else {
            return Err(Error::decode(path, "its header describes no sound"));
        };
        let info = describe(path, kind, parameters, track.num_frames)?;
        let options = AudioDecoderOptions::default().gapless(true);
        let decoder =
            symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(failed)?;
        Ok(Self { path, info, track: track.id, format, decoder, next: None })
    }

    /// Decode the next packet; false at the end.
    fn decode(&mut self, planes: &mut Planes<'_>) -> Result<bool> {
        let failed = |error| failure(self.path, error);
        let Some(packet) = self.format.next_packet().map_err(failed)? else { return Ok(false) };
        if packet.track_id != self.track {
            return Ok(true);
        }
        // The first packets of Vorbis and MP3 only fill the decoder, and their time stamps overlap.
        if planes.frames > 0 && self.next.is_some_and(|next| next != packet.pts.get()) {
            return Err(Error::decode(self.path, format!("damaged: a gap after sample {}", planes.frames)));
        }
        self.next = Some(packet.pts.get().saturating_add_unsigned(packet.dur.get()));
        let buffer = self.decoder.decode(&packet).map_err(failed)?;
        let spec = buffer.spec();
        if spec.rate() != self.info.sample_rate || spec.channels().count() != self.info.channels {
            return Err(Error::decode(self.path, "its rate or number of channels changes on the way"));
        }
        let GenericAudioBufferRef::F32(buffer) = buffer else {
            return Err(Error::decode(self.path, "its decoder gives samples of an unexpected type"));
        };
        planes.push(buffer)?;
        Ok(true)
    }

    fn check_end(&self, frames: u64) -> Result<()> {
        match self.info.frames {
            Some(stated) if stated != frames => {
                let reason =
                    format!("truncated or damaged: the header says {stated} samples, but there are {frames}");
                Err(Error::decode(self.path, reason))
            }
            _ => Ok(()),
        }
    }
}

fn describe(
    path: &Path,
    kind: Coded,
    parameters: &AudioCodecParameters,
    frames: Option<u64>,
) -> Result<Info> {
    let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
    let sample_rate = parameters.sample_rate.unwrap_or(0);
    check_header(path, channels as u64, sample_rate)?;
    let (format, subtype) = match kind {
        Coded::OggVorbis => (Format::Ogg, "VORBIS"),
        Coded::Mp3 => (Format::Mp3, "MPEG_LAYER_III"),
    };
    Ok(Info { sample_rate, channels, frames, format, subtype })
}

/// The error of a decoder as one that names the file.
fn failure(path: &Path, error: CodecError) -> Error {
    match error {
        CodecError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::decode(path, "truncated: the file ends too early")
        }
        // A decoder's own complaint in the clothes of an I/O error has no code of the system.
        CodecError::IoError(source) if source.raw_os_error().is_some() => Error::io(path, source),
        CodecError::Unsupported(what) => Error::Unsupported { path: path.to_owned(), what: what.to_owned() },
        CodecError::ResetRequired => Error::Unsupported {
            path: path.to_owned(),
            what: "a chain of several streams in one file".to_owned(),
        },
        other => Error::decode(path, format!("damaged: {other}")),
    }
}

/// For each channel of the stream its place among the decoder's, which sorts those of Vorbis by loudspeaker.
///
/// The order of the stream is the one in which soundfile writes and reads them.
fn stream_order(kind: Coded, channels: usize) -> Vec<usize> {
    match (kind, channels) {
        (Coded::OggVorbis, 3) => vec![0, 2, 1],
        (Coded::OggVorbis, 5) => vec![0, 2, 1, 3, 4],
        (Coded::OggVorbis, 6) => vec![0, 2, 1, 4, 5, 3],
        (Coded::OggVorbis, 7) => vec![0, 2, 1, 5, 6, 4, 3],
        (Coded::OggVorbis, 8) => vec![0, 2, 1, 6, 7, 4, 5, 3],
        _ => (0..channels).collect(),
    }
}

/// The decoded samples of each channel that was asked for.
struct Planes<'a> {
    path: &'a Path,
    choice: Option<ChannelChoice>,
    /// Where the decoder has each channel.
    order: Vec<usize>,
    frames: usize,
    planes: Vec<Vec<f32>>,
}

impl<'a> Planes<'a> {
    fn new(path: &'a Path, choice: Option<ChannelChoice>, order: Vec<usize>) -> Self {
        let planes = if choice.is_some() { 1 } else { order.len() };
        Self { path, choice, order, frames: 0, planes: vec![Vec::new(); planes] }
    }

    /// Make room for that many more frames.
    fn reserve(&mut self, frames: u64) -> Result<()> {
        let total = (self.frames as u64).saturating_add(frames).saturating_mul(self.planes.len() as u64);
        let full = || {
            Error::decode(self.path, format!("more than {MAX_SAMPLES} samples, or than memory; cut the file"))
        };
        if total > MAX_SAMPLES {
            return Err(full());
        }
        let mut reserved = self.planes.iter_mut().map(|plane| plane.try_reserve(frames as usize));
        if reserved.any(|result| result.is_err()) { Err(full()) } else { Ok(()) }
    }

    fn push(&mut self, buffer: &AudioBuffer<f32>) -> Result<()> {
        self.reserve(buffer.frames() as u64)?;
        let inputs: Vec<&[f32]> =
            self.order.iter().map(|&place| buffer.plane(place).unwrap_or_default()).collect();
        match self.choice {
            Some(ChannelChoice::Mean) => {
                let mean = |i: usize| {
                    let sum: f64 = inputs.iter().map(|plane| f64::from(plane[i])).sum();
                    (sum / inputs.len() as f64) as f32
                };
                self.planes[0].extend((0..buffer.frames()).map(mean));
            }
            Some(ChannelChoice::One(channel)) => {
                self.planes[0].extend(inputs[channel]);
            }
            None => {
                for (plane, input) in self.planes.iter_mut().zip(inputs) {
                    plane.extend(input);
                }
            }
        }
        for (index, plane) in self.planes.iter().enumerate() {
            check_finite(self.path, &plane[self.frames..], self.frames, self.choice, index)?;
        }
        self.frames += buffer.frames();
        Ok(())
    }

    fn into_samples(mut self) -> Vec<f32> {
        if self.planes.len() == 1 { self.planes.swap_remove(0) } else { self.planes.concat() }
    }
}

/// A file from an offset on: behind a tag that stands before the sound.
struct Tail {
    file: File,
    offset: u64,
    len: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let to = match to {
            SeekFrom::Start(position) => SeekFrom::Start(position.saturating_add(self.offset)),
            other => other,
        };
        self.file.seek(to)?.checked_sub(self.offset).ok_or_else(|| std::io::ErrorKind::InvalidInput.into())
    }
}

impl MediaSource for Tail {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len - self.offset)
    }
}
