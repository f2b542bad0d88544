//! FLAC (RFC 9639), all of it: 1 to 8 channels of 4 to 32 bits.
//!
//! Every frame must begin where the one before ended, continue its count, agree with the header of the stream, and
//! pass both its checksums; at the end all the samples must be there that the header of the stream promised. Where
//! it promised none, the MD5 sum of the samples tells whether the end is there; else that sum is not checked, which
//! would take as long as all the rest. What stands behind the last frame is passed over: a tag, as a rule.

mod bits;
mod channels;
mod crc;
mod frame;
mod predict;
mod subframe;
#[cfg(test)]
mod tests;

use super::pcm::check_header;
use super::source::Source;
use super::{ChannelChoice, Format, Info, MAX_EXPANSION, MAX_SAMPLES};
use crate::par::Cancel;
use crate::simd::{Level, Planes};
use crate::{Error, Result};
use bits::Bits;
use channels::Channels;
use frame::Header;
use std::path::Path;
use symphonia::core::checksum::Md5;

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// There are too few bytes.
    End,
    Damaged(&'static str),
}

/// More metadata than this before the first frame is no sound file.
const MAX_BLOCKS: usize = 4096;

/// More bytes than a frame needs: 65536 samples of 33 bits in 8 channels, coded as they are.
const MAX_FRAME_BYTES: usize = 65_536 * 33 + 4096;

const TOO_LONG: Fault = Fault::Damaged("a frame takes more bytes than its samples as they are");

/// Bytes that are taken for a frame's size where nothing tells it.
const USUAL_FRAME_BYTES: usize = 16 * 1024;

/// A file that stands at its first frame.
pub(super) struct Stream<'a> {
    source: Source<'a>,
    sample_rate: u32,
    channels: usize,
    bits: u32,
    /// Samples of each channel, where the header says it.
    total: Option<u64>,
    /// Where the encoder computed it.
    md5: Option<[u8; 16]>,
    /// As many bytes hold the next frame, as far as we know.
    frame_bytes: usize,
    /// The count that the next frame must bear, and whether it counts samples.
    next: Option<(u64, bool)>,
}

impl<'a> Stream<'a> {
    /// Read the metadata; the mark of the format stands at `offset`.
    pub(super) fn open(mut source: Source<'a>, offset: u64) -> Result<Self> {
        const PART: &str = "the metadata";
        let path = source.path;
        source.go_to(offset)?;
        source.take::<4>(PART)?;
        let [kind, size @ ..] = source.take::<4>(PART)?;
        if kind & 0x7f != 0 || size != [0, 0, 34] {
            return Err(Error::decode(path, "damaged: the metadata do not begin with STREAMINFO"));
        }
        let block = source.take::<34>(PART)?;
        let mut last = kind & 0x80 != 0;
        for _ in 0..MAX_BLOCKS {
            if last {
                return Self::described_by(source, &block);
            }
            let [kind, a, b, c] = source.take::<4>(PART)?;
            let size = u64::from(u32::from_be_bytes([0, a, b, c]));
            if size > source.left() {
                return Err(Error::decode(path, "truncated: the file ends inside the metadata"));
            }
            source.skip(size)?;
            last = kind & 0x80 != 0;
        }
        Err(Error::decode(path, format!("no sound behind the first {MAX_BLOCKS} blocks of metadata")))
    }

    fn described_by(source: Source<'a>, block: &[u8; 34]) -> Result<Self> {
        let mut fields = Bits::new(block);
        let mut field = |bits| fields.unsigned(bits);
        let [_block_sizes, _least_frame, most_frame] = [32, 24, 24].map(&mut field);
        let [sample_rate, channels, bits, total] = [20, 3, 5, 36].map(field);
        let (channels, bits) = (channels + 1, bits + 1);
        check_header(source.path, channels, sample_rate as u32)?;
        if bits < 4 {
            let reason = format!("damaged: the header says {bits} bits a sample; expected 4 to 32");
            return Err(Error::decode(source.path, reason));
        }
        let md5 = *block.last_chunk::<16>().expect("the block is longer");
        let frame_bytes = if most_frame == 0 { USUAL_FRAME_BYTES } else { most_frame as usize };
        Ok(Self {
            source,
            sample_rate: sample_rate as u32,
            channels: channels as usize,
            bits: bits as u32,
            total: Some(total).filter(|&total| total > 0),
            md5: Some(md5).filter(|md5| *md5 != [0; 16]),
            frame_bytes: frame_bytes.min(MAX_FRAME_BYTES),
            next: None,
        })
    }

    pub(super) fn path(&self) -> &'a Path {
        self.source.path
    }

    pub(super) fn info(&self) -> Info {
        let subtype = match self.bits {
            ..=8 => "PCM_S8",
            9..=16 => "PCM_16",
            17..=24 => "PCM_24",
            _ => "PCM_32",
        };
        let Self { sample_rate, channels, total: frames, .. } = *self;
        Info { sample_rate, channels, frames, format: Format::Flac, subtype }
    }

    /// The samples as float32 planes, one after the other: all channels, or the one that was chosen.
    pub(super) fn read(mut self, choice: Option<ChannelChoice>, cancel: &Cancel) -> Result<Vec<f32>> {
        let mut out = Planes::new(if choice.is_some() { 1 } else { self.channels });
        let likely = self.source.len.saturating_mul(MAX_EXPANSION);
        self.reserve(&mut out, self.total.unwrap_or(0).min(likely))?;
        let mut md5 = self.md5.filter(|_| self.total.is_none()).map(|_| Md5::default());
        let mut channels = Channels::new(Level::best(), self.bits, choice, md5.is_some());
        while let Some(header) = self.next_header(out.frames() as u64)? {
            cancel.check()?;
            let size = self.decode(&header, &mut channels, out.frames())?;
            self.source.skip(size as u64)?;
            let frames = out.frames() + header.block;
            self.reserve(&mut out, frames as u64)?;
            channels.push(&mut out);
            if let Some(md5) = &mut md5 {
                channels.add_to(md5);
            }
        }
        self.check_end(out.frames() as u64, md5)?;
        Ok(out.into_samples())
    }

    /// The header of the next frame; `None` where the sound ends, after `done` samples of each channel.
    fn next_header(&mut self, done: u64) -> Result<Option<Header>> {
        if self.source.left() == 0 {
            return Ok(None);
        }
        let header = match Header::read(self.source.peek(frame::MAX_BYTES)?) {
            Ok(header) => header,
            // No more frames, but a tag; or damage, which the count or the checksum of the samples will tell.
            Err(_) if self.total.map_or(self.md5.is_some(), |total| total == done) => return Ok(None),
            Err(fault) => return Err(self.error(fault, done)),
        };
        let same = header.sample_rate.is_none_or(|rate| rate == self.sample_rate)
            && header.bits.is_none_or(|bits| bits == self.bits)
            && header.channels == self.channels;
        if !same {
            return Err(Error::decode(
                self.source.path,
                "its rate, bits or number of channels change on the way",
            ));
        }
        if self.next.is_some_and(|next| next != (header.number, header.variable)) {
            return Err(self.error(Fault::Damaged("a frame is missing"), done));
        }
        if self.total.is_some_and(|total| done + header.block as u64 > total) {
            return Err(self.error(Fault::Damaged("there are more samples than the header says"), done));
        }
        let step = if header.variable { header.block as u64 } else { 1 };
        self.next = Some((header.number + step, header.variable));
        Ok(Some(header))
    }

    /// Decode the frame at which the source stands; returns its size.
    fn decode(&mut self, header: &Header, channels: &mut Channels, done: usize) -> Result<usize> {
        loop {
            let left = self.source.left();
            let bytes = self.source.window(self.frame_bytes)?;
            // However many the buffer happens to hold.
            let bytes = &bytes[..bytes.len().min(MAX_FRAME_BYTES)];
            let held = bytes.len();
            let fault = match channels.decode(bytes, header) {
                Ok(size) => return Ok(size),
                Err(Fault::End) if held as u64 >= left => Fault::End,
                Err(Fault::End) if held == MAX_FRAME_BYTES => TOO_LONG,
                // With fewer than were asked for the file has become shorter, and there will never be more.
                Err(Fault::End) if held >= self.frame_bytes => {
                    self.frame_bytes = (2 * held).min(MAX_FRAME_BYTES);
                    continue;
                }
                Err(fault) => fault,
            };
            return Err(self.error(fault, done as u64));
        }
    }

    fn error(&self, fault: Fault, done: u64) -> Error {
        let reason = match fault {
            Fault::End => format!("truncated: the file ends inside a frame, after {done} samples"),
            Fault::Damaged(what) => format!("damaged after {done} samples: {what}"),
        };
        Error::decode(self.source.path, reason)
    }

    /// Make room for that many frames in all.
    fn reserve(&self, out: &mut Planes, frames: u64) -> Result<()> {
        if frames <= out.room() as u64 {
            return Ok(());
        }
        // Twice as many as before, so that growing costs little on the whole.
        let most = MAX_SAMPLES / out.count() as u64;
        let ample = frames.max(2 * out.room() as u64).min(self.total.unwrap_or(u64::MAX)).min(most);
        if frames <= most && out.reserve(ample as usize).is_ok() {
            return Ok(());
        }
        let reason = format!("more than {MAX_SAMPLES} samples, or than memory; cut the file");
        Err(Error::decode(self.source.path, reason))
    }

    fn check_end(&self, done: u64, md5: Option<Md5>) -> Result<()> {
        let reason = match (self.total, md5) {
            (Some(total), _) if total != done => {
                format!("truncated or damaged: the header says {total} samples, but there are {done}")
            }
            (_, Some(md5)) if self.md5 != Some(md5.md5()) => {
                "truncated or damaged: the checksum of the samples does not fit".to_owned()
            }
            _ => return Ok(()),
        };
        Err(Error::decode(self.source.path, reason))
    }
}
