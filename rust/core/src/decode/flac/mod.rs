//! FLAC (RFC 9639), all of it: 1 to 8 channels of 4 to 32 bits.
//!
//! Every frame must begin where the one before ended, continue its count, agree with the header of the stream, and
//! pass both its checksums; at the end all the samples must be there that the header of the stream promised. Where
//! it promised none, the MD5 sum of the samples tells whether the end is there; else that sum is not checked, which
//! would take as long as all the rest. What stands behind the last frame, mostly a tag, is passed over.

mod bits;
mod channels;
mod crc;
mod frame;
mod predict;
mod subframe;
#[cfg(test)]
mod tests;

use super::output::Output;
use super::pcm::check_header;
use super::probe;
use super::source::Source;
use super::{ChannelChoice, Format, Info};
use crate::simd::SimdLevel;
use crate::{Error, Result};
use bits::Bits;
use channels::Channels;
use frame::Header;
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

/// A file that stands at its next frame.
pub(super) struct Flac {
    pub(super) source: Source,
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
    /// Samples of each channel that were decoded.
    done: u64,
    /// The samples' checksum, where nothing else tells whether the end is there.
    sum: Option<Md5>,
    frame: Channels,
}

impl Flac {
    /// Read the metadata of a file that stands at the mark of the format.
    pub(super) fn open(mut source: Source) -> Result<Self> {
        const PART: &str = "the metadata";
        source.take::<4>(PART)?;
        let [kind, size @ ..] = source.take::<4>(PART)?;
        if kind & 0x7f != 0 || size != [0, 0, 34] {
            return Err(source.error("damaged: the metadata do not begin with STREAMINFO"));
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
                return Err(source.error("truncated: the file ends inside the metadata"));
            }
            source.skip(size)?;
            last = kind & 0x80 != 0;
        }
        Err(source.error(format!("no sound behind the first {MAX_BLOCKS} blocks of metadata")))
    }

    fn described_by(source: Source, block: &[u8; 34]) -> Result<Self> {
        let mut fields = Bits::new(block);
        let mut field = |bits| fields.unsigned(bits);
        let [_block_sizes, _least_frame, most_frame] = [32, 24, 24].map(&mut field);
        let [sample_rate, channels, bits, high, low] = [20, 3, 5, 4, 32].map(field);
        let (channels, bits, total) = (channels + 1, bits + 1, u64::from(high) << 32 | u64::from(low));
        check_header(&source.path, u64::from(channels), sample_rate)?;
        if bits < 4 {
            let reason = format!("damaged: the header says {bits} bits a sample; expected 4 to 32");
            return Err(source.error(reason));
        }
        let total = Some(total).filter(|&total| total > 0);
        let md5 = *block.last_chunk::<16>().expect("the block is longer");
        let md5 = Some(md5).filter(|md5| *md5 != [0; 16]);
        let frame_bytes = if most_frame == 0 { USUAL_FRAME_BYTES } else { most_frame as usize };
        Ok(Self {
            source,
            sample_rate,
            channels: channels as usize,
            bits,
            total,
            md5,
            frame_bytes: frame_bytes.min(MAX_FRAME_BYTES),
            next: None,
            done: 0,
            sum: md5.filter(|_| total.is_none()).map(|_| Md5::default()),
            frame: Channels::new(SimdLevel::best(), bits),
        })
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

    /// Add the samples of the next frame; false where the sound ends.
    pub(super) fn decode(&mut self, out: &mut Output) -> Result<bool> {
        let Some(header) = self.next_header()? else {
            return self.check_end().map(|()| false);
        };
        let wanted = if self.sum.is_some() { ChannelChoice::All } else { out.choice };
        let size = self.decode_frame(&header, wanted)?;
        self.source.skip(size as u64)?;
        out.reserve_more(header.block)?;
        self.frame.push(out.choice, &mut out.buffer);
        if let Some(sum) = &mut self.sum {
            self.frame.add_to(sum);
        }
        self.done += header.block as u64;
        Ok(true)
    }

    /// The header of the next frame; `None` where the sound ends.
    fn next_header(&mut self) -> Result<Option<Header>> {
        if self.source.left() == 0 {
            return Ok(None);
        }
        let header = match Header::read(self.source.peek(frame::MAX_BYTES)?) {
            Ok(header) => header,
            // No more frames, but a tag; or damage, which the count or the checksum of the samples will tell.
            Err(_) if self.total.map_or(self.md5.is_some(), |total| total == self.done) => return Ok(None),
            // With neither, a tag must look like one.
            Err(_) if self.done > 0 && self.total.is_none() && probe::is_tag(self.source.peek(16)?) => {
                return Ok(None);
            }
            Err(fault) => return Err(self.error(fault)),
        };
        let same = header.sample_rate.is_none_or(|rate| rate == self.sample_rate)
            && header.bits.is_none_or(|bits| bits == self.bits)
            && header.channels == self.channels;
        if !same {
            return Err(self.source.error("its rate, bits or number of channels change on the way"));
        }
        if self.next.is_some_and(|next| next != (header.number, header.variable)) {
            return Err(self.error(Fault::Damaged("a frame is missing")));
        }
        if self.total.is_some_and(|total| self.done + header.block as u64 > total) {
            return Err(self.error(Fault::Damaged("there are more samples than the header says")));
        }
        let step = if header.variable { header.block as u64 } else { 1 };
        self.next = Some((header.number + step, header.variable));
        Ok(Some(header))
    }

    /// Decode what is wanted of the frame at which the source stands; returns the frame's size.
    fn decode_frame(&mut self, header: &Header, wanted: ChannelChoice) -> Result<usize> {
        loop {
            let left = self.source.left();
            let bytes = self.source.window(self.frame_bytes)?;
            // The limit must not depend on how much the buffer happens to hold.
            let bytes = &bytes[..bytes.len().min(MAX_FRAME_BYTES)];
            let held = bytes.len();
            let fault = match self.frame.decode(bytes, header, wanted) {
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
            return Err(self.error(fault));
        }
    }

    fn error(&self, fault: Fault) -> Error {
        let done = self.done;
        let reason = match fault {
            Fault::End => format!("truncated: the file ends inside a frame, after {done} samples"),
            Fault::Damaged(what) => format!("damaged after {done} samples: {what}"),
        };
        self.source.error(reason)
    }

    fn check_end(&mut self) -> Result<()> {
        let done = self.done;
        let reason = match (self.total, self.sum.take()) {
            (Some(total), _) if total != done => {
                format!("truncated or damaged: the header says {total} samples, but there are {done}")
            }
            (_, Some(sum)) if self.md5 != Some(sum.md5()) => {
                "truncated or damaged: the checksum of the samples does not fit".to_owned()
            }
            _ => return Ok(()),
        };
        Err(self.source.error(reason))
    }
}
