//! Ogg Vorbis and MP3 through Symphonia.
//!
//! Symphonia passes over what it cannot decode, as a player should; here a damaged frame is an error. Frames that
//! are lost leave a gap in the time stamps or a shortfall against the length in the header; both are refused.

use super::output::{Output, mean};
use super::pcm::check_header;
use super::source::Source;
use super::{ChannelChoice, Format, Info, mpeg, ogg};
use crate::par::Cancel;
use crate::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as CodecError;
use symphonia::core::formats::{FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::default::formats::{MpaReader, OggReader};

/// The codecs that this module reads, each in its own container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    OggVorbis,
    Mp3,
}

/// A container and the decoder of its sound.
pub(super) struct Coded {
    pub(super) path: Arc<Path>,
    pub(super) file_bytes: u64,
    info: Info,
    /// Where the decoder has each channel.
    order: Vec<usize>,
    track: u32,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    /// Time stamp at which the next packet must begin.
    next: Option<i64>,
    /// Samples of each channel that were decoded.
    done: u64,
    /// The container lacks the mark of its end, so that running out of bytes is none of its faults.
    open_end: bool,
}

impl Coded {
    /// A file that stands where its sound begins; with `check` it is about to be decoded, and all of an Ogg file's
    /// pages are looked at first.
    pub(super) fn open(mut source: Source, codec: Codec, check: Option<&Cancel>) -> Result<Self> {
        let begin = source.position;
        let (path, file_bytes) = (Arc::clone(&source.path), source.len);
        let (mut end, mut open_end, mut seekable) = (source.len, true, true);
        match (codec, check) {
            (Codec::OggVorbis, Some(cancel)) => {
                let pages = ogg::check(&mut source, cancel)?;
                (end, open_end) = (pages.end, !pages.finished);
            }
            (Codec::OggVorbis, None) => {}
            // In a seekable stream Symphonia guesses a length that the file does not state.
            (Codec::Mp3, _) => seekable = says_length(&mut source)?,
        }
        let section = Section { file: source.into_file(begin)?, begin, end, position: begin, seekable };
        guarded(&path.clone(), || Self::start(path, file_bytes, section, codec, open_end))
    }

    fn start(
        path: Arc<Path>,
        file_bytes: u64,
        section: Section,
        codec: Codec,
        open_end: bool,
    ) -> Result<Self> {
        let failed = |error| failure(&path, error);
        let bytes = MediaSourceStream::new(Box::new(section), Default::default());
        let format: Box<dyn FormatReader> = match codec {
            Codec::OggVorbis => Box::new(OggReader::try_new(bytes, Default::default()).map_err(failed)?),
            Codec::Mp3 => Box::new(MpaReader::try_new(bytes, Default::default()).map_err(failed)?),
        };
        let track = format.default_track(TrackType::Audio);
        let parameters = track.and_then(|track| track.codec_params.as_ref()?.audio());
        let (Some(track), Some(parameters)) = (track, parameters) else {
            return Err(Error::decode(&path, "its header describes no sound"));
        };
        let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
        let sample_rate = parameters.sample_rate.unwrap_or(0);
        check_header(&path, channels as u64, sample_rate)?;
        let (format_name, subtype) = match codec {
            Codec::OggVorbis => (Format::Ogg, "VORBIS"),
            Codec::Mp3 => (Format::Mp3, "MPEG_LAYER_III"),
        };
        let info =
            Info { sample_rate, channels, frames: stated_frames(track, codec), format: format_name, subtype };
        let options = AudioDecoderOptions::default().gapless(true);
        let decoder =
            symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(failed)?;
        let (track, order) = (track.id, stream_order(codec, channels));
        Ok(Self { path, file_bytes, info, order, track, format, decoder, next: None, done: 0, open_end })
    }

    pub(super) fn info(&self) -> Info {
        self.info
    }

    /// Add the samples of the next packet; false at the end.
    pub(super) fn decode(&mut self, out: &mut Output) -> Result<bool> {
        guarded(&Arc::clone(&self.path), || self.decode_packet(out))
    }

    fn decode_packet(&mut self, out: &mut Output) -> Result<bool> {
        let failed = |error| failure(&self.path, error);
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return self.check_end().map(|()| false),
            Err(CodecError::IoError(error)) if self.open_end && is_end(&error) => {
                return self.check_end().map(|()| false);
            }
            Err(error) => return Err(failed(error)),
        };
        if packet.track_id != self.track {
            return Ok(true);
        }
        // The first packets of Vorbis and MP3 only fill the decoder, and their time stamps overlap.
        if self.done > 0 && self.next.is_some_and(|next| next != packet.pts.get()) {
            return Err(Error::decode(&self.path, format!("damaged: a gap after sample {}", self.done)));
        }
        self.next = Some(packet.pts.get().saturating_add_unsigned(packet.dur.get()));
        let buffer = self.decoder.decode(&packet).map_err(failed)?;
        let spec = buffer.spec();
        if spec.rate() != self.info.sample_rate || spec.channels().count() != self.info.channels {
            return Err(Error::decode(&self.path, "its rate or number of channels changes on the way"));
        }
        let GenericAudioBufferRef::F32(buffer) = buffer else {
            return Err(Error::decode(&self.path, "its decoder gives samples of an unexpected type"));
        };
        push(buffer, &self.order, self.done, out)?;
        self.done += buffer.frames() as u64;
        Ok(true)
    }

    fn check_end(&self) -> Result<()> {
        match (self.info.frames, self.done) {
            (Some(stated), done) if stated != done => {
                let reason =
                    format!("truncated or damaged: the header says {stated} samples, but there are {done}");
                Err(Error::decode(&self.path, reason))
            }
            _ => Ok(()),
        }
    }
}

/// Add what was chosen of decoded samples, `done` of which came before.
fn push(buffer: &AudioBuffer<f32>, order: &[usize], done: u64, out: &mut Output) -> Result<()> {
    let frames = buffer.frames();
    out.reserve_more(frames)?;
    let from = out.buffer.frames();
    let plane = |channel: usize| buffer.plane(order[channel]).unwrap_or_default();
    match out.choice {
        ChannelChoice::All => out.buffer.push(frames, |channel| plane(channel).iter().copied()),
        ChannelChoice::One(channel) => out.buffer.push(frames, |_| plane(channel).iter().copied()),
        ChannelChoice::Mean => out
            .buffer
            .push(frames, |_| (0..frames).map(|at| mean((0..order.len()).map(|channel| plane(channel)[at])))),
    }
    out.check_finite(from, done - from as u64)
}

/// A file that breaks the decoder itself costs an error, not the batch that it is in.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let broken = |_| Err(Error::decode(path, "damaged in a way that its decoder could not cope with"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(broken)
}

/// Whether the first frame of an MP3 stream says how long the stream is.
fn says_length(source: &mut Source) -> Result<bool> {
    let bytes = source.peek(64)?;
    Ok(mpeg::Frame::read(bytes).is_some_and(|frame| frame.says_length(bytes)))
}

/// Samples of each channel that the container promises.
fn stated_frames(track: &Track, codec: Codec) -> Option<u64> {
    let frames = track.num_frames?;
    match codec {
        Codec::Mp3 => Some(frames),
        // The time at its end: a stream that was cut out of a longer one keeps its time. An empty last page has none.
        Codec::OggVorbis => {
            let end = i64::try_from(frames).ok()?;
            let begin = track.start_ts.get().saturating_add(i64::from(track.delay.unwrap_or(0)));
            u64::try_from(end.saturating_sub(begin.max(0))).ok()
        }
    }
}

fn is_end(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::UnexpectedEof
}

/// The error of a decoder as one that names the file.
fn failure(path: &Path, error: CodecError) -> Error {
    match error {
        CodecError::IoError(source) if is_end(&source) => {
            Error::decode(path, "truncated: the file ends too early")
        }
        // What a decoder itself reports as an I/O error has no code of the system.
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
fn stream_order(codec: Codec, channels: usize) -> Vec<usize> {
    match (codec, channels) {
        (Codec::OggVorbis, 3) => vec![0, 2, 1],
        (Codec::OggVorbis, 5) => vec![0, 2, 1, 3, 4],
        (Codec::OggVorbis, 6) => vec![0, 2, 1, 4, 5, 3],
        (Codec::OggVorbis, 7) => vec![0, 2, 1, 5, 6, 4, 3],
        (Codec::OggVorbis, 8) => vec![0, 2, 1, 6, 7, 4, 5, 3],
        _ => (0..channels).collect(),
    }
}

/// The part of a file between two offsets, without the tags before and behind it.
struct Section {
    file: File,
    begin: u64,
    end: u64,
    position: u64,
    seekable: bool,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read(&mut buffer[..wanted])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => self.begin.checked_add(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        let to = to.filter(|&to| to >= self.begin).ok_or(std::io::ErrorKind::InvalidInput)?;
        self.position = self.file.seek(SeekFrom::Start(to))?;
        Ok(self.position - self.begin)
    }
}

impl MediaSource for Section {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.end - self.begin)
    }
}
