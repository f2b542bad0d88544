//! Samples that lie in a file as they are: integers, floats and G.711, in either byte order.

use super::output::{Output, mean, nearest};
use super::source::Source;
use super::{ChannelChoice, Format, Info, MAX_CHANNELS};
use crate::simd::{ChannelBuffer, INT16, SimdLevel};
use crate::{Error, Result};
use std::path::Path;

/// How one sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    U8,
    I8,
    I16,
    I24,
    /// 24 bits in the low three of four bytes.
    I24In32,
    I32,
    F32,
    F64,
    ALaw,
    MuLaw,
}

impl Encoding {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::ALaw | Self::MuLaw => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I24In32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The name that soundfile has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::U8 => "PCM_U8",
            Self::I8 => "PCM_S8",
            Self::I16 => "PCM_16",
            Self::I24 | Self::I24In32 => "PCM_24",
            Self::I32 => "PCM_32",
            Self::F32 => "FLOAT",
            Self::F64 => "DOUBLE",
            Self::ALaw => "ALAW",
            Self::MuLaw => "ULAW",
        }
    }
}

/// What a header says of the samples; the data lie in the file, `frames` of them, from `offset` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) encoding: Encoding,
    pub(super) big_endian: bool,
    pub(super) channels: usize,
    pub(super) sample_rate: u32,
    pub(super) frames: u64,
    pub(super) offset: u64,
}

impl Layout {
    pub(super) fn info(&self) -> Info {
        let Self { format, encoding, channels, sample_rate, frames, .. } = *self;
        Info { sample_rate, channels, frames: Some(frames), format, subtype: encoding.name() }
    }
}

/// Refuse numbers of channels and rates that no recording has.
pub(super) fn check_header(path: &Path, channels: u64, sample_rate: u32) -> Result<()> {
    if channels == 0 || channels > MAX_CHANNELS as u64 {
        let reason = format!("the header says {channels} channels; expected 1 to {MAX_CHANNELS}");
        return Err(Error::decode(path, reason));
    }
    if sample_rate == 0 {
        return Err(Error::decode(path, "the header says a sample rate of 0 Hz"));
    }
    Ok(())
}

/// Whether a size is one that a writer to a pipe leaves in a header, as it cannot go back to set it: a round number,
/// or the most that a field holds, give or take the headers.
pub(super) fn is_placeholder(size: u64) -> bool {
    let near = |step: u64, distance: u64| (size % step).min(step - size % step) <= distance;
    size >= 1_000_000_000 && (near(1 << 31, 1 << 16) || near(1 << 24, 256) || near(1_000_000_000, 256))
}

/// A file that stands at its next frame.
#[derive(Debug)]
pub(super) struct Pcm {
    pub(super) source: Source,
    layout: Layout,
    level: SimdLevel,
    /// Frames that were read.
    done: u64,
}

impl Pcm {
    /// A file whose header was read.
    pub(super) fn new(mut source: Source, layout: Layout) -> Result<Self> {
        source.go_to(layout.offset)?;
        Ok(Self { source, layout, level: SimdLevel::best(), done: 0 })
    }

    pub(super) fn info(&self) -> Info {
        self.layout.info()
    }

    /// Add the frames of one chunk of the file; false at the end.
    pub(super) fn decode(&mut self, out: &mut Output) -> Result<bool> {
        let Self { layout, level, done, .. } = *self;
        if done == layout.frames {
            return Ok(false);
        }
        let frame_bytes = layout.encoding.bytes() * layout.channels;
        let left = (layout.frames - done).saturating_mul(frame_bytes as u64);
        let bytes = self.source.frames(frame_bytes, left)?;
        let frames = bytes.len() / frame_bytes;
        if frames == 0 {
            let reason =
                format!("truncated while it was read: {done} of {} frames were there", layout.frames);
            return Err(self.source.error(reason));
        }
        out.reserve_more(frames)?;
        let from = out.buffer.frames();
        let choice = out.choice;
        Frames { channels: layout.channels, choice, bytes }.convert(&layout, level, &mut out.buffer);
        if matches!(layout.encoding, Encoding::F32 | Encoding::F64) {
            out.check_finite(from, done - from as u64)?;
        }
        self.done += frames as u64;
        Ok(true)
    }
}

/// The frames of one chunk of a file.
#[derive(Clone, Copy)]
struct Frames<'a> {
    channels: usize,
    choice: ChannelChoice,
    bytes: &'a [u8],
}

impl Frames<'_> {
    fn convert(self, layout: &Layout, level: SimdLevel, out: &mut ChannelBuffer) {
        const I32: f32 = 1.0 / 2_147_483_648.0;
        match (layout.encoding, layout.big_endian) {
            (Encoding::U8, _) => self.spread(out, |[b]| (f32::from(b) - 128.0) / 128.0),
            (Encoding::I8, _) => self.spread(out, |b| f32::from(i8::from_le_bytes(b)) / 128.0),
            (Encoding::I16, false) => self.spread_int16(out, level),
            (Encoding::I16, true) => self.spread(out, |b| f32::from(i16::from_be_bytes(b)) * INT16),
            // Three bytes at the top of a 32-bit integer: exact in float32.
            (Encoding::I24, false) => {
                self.spread(out, |[a, b, c]| i32::from_le_bytes([0, a, b, c]) as f32 * I32);
            }
            (Encoding::I24, true) => {
                self.spread(out, |[a, b, c]| i32::from_be_bytes([a, b, c, 0]) as f32 * I32);
            }
            (Encoding::I24In32, false) => {
                self.spread(out, |[a, b, c, _]| i32::from_le_bytes([0, a, b, c]) as f32 * I32);
            }
            (Encoding::I24In32, true) => {
                self.spread(out, |[_, a, b, c]| i32::from_be_bytes([a, b, c, 0]) as f32 * I32);
            }
            (Encoding::I32, false) => self.spread(out, |b| i32::from_le_bytes(b) as f32 * I32),
            (Encoding::I32, true) => self.spread(out, |b| i32::from_be_bytes(b) as f32 * I32),
            (Encoding::F32, false) => self.spread(out, f32::from_le_bytes),
            (Encoding::F32, true) => self.spread(out, f32::from_be_bytes),
            (Encoding::F64, false) => self.spread(out, |b| nearest(f64::from_le_bytes(b))),
            (Encoding::F64, true) => self.spread(out, |b| nearest(f64::from_be_bytes(b))),
            (Encoding::ALaw, _) => self.spread(out, |[b]| A_LAW[usize::from(b)]),
            (Encoding::MuLaw, _) => self.spread(out, |[b]| MU_LAW[usize::from(b)]),
        }
    }

    /// The commonest kind, by vectors.
    fn spread_int16(self, out: &mut ChannelBuffer, level: SimdLevel) {
        let (samples, _) = self.bytes.as_chunks();
        match self.choice {
            ChannelChoice::All => out.push_int16(level, samples, self.channels, None),
            ChannelChoice::One(channel) => {
                out.push_int16(level, samples, self.channels, Some(channel));
            }
            ChannelChoice::Mean => out.push_int16_means(level, samples, self.channels),
        }
    }

    /// Convert what was chosen, and nothing else.
    fn spread<const N: usize>(self, out: &mut ChannelBuffer, value: impl Fn([u8; N]) -> f32 + Copy) {
        let (samples, _) = self.bytes.as_chunks::<N>();
        let frames = samples.chunks_exact(self.channels);
        match self.choice {
            ChannelChoice::Mean => out.push(frames.len(), |_| {
                frames.clone().map(|frame| mean(frame.iter().map(|&sample| value(sample))))
            }),
            // Known to have no stride, the compiler makes vectors of it.
            _ if self.channels == 1 => {
                out.push(samples.len(), |_| samples.iter().map(|&sample| value(sample)));
            }
            ChannelChoice::One(channel) => {
                out.push(frames.len(), |_| frames.clone().map(move |frame| value(frame[channel])));
            }
            ChannelChoice::All => {
                out.push(frames.len(), |channel| frames.clone().map(move |frame| value(frame[channel])));
            }
        }
    }
}

/// ITU-T G.711 A-law to float32.
static A_LAW: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut code: u16 = 0;
    while code < 256 {
        let bits = code.to_le_bytes()[0] ^ 0x55;
        let mantissa = ((bits & 0x0f) as i32) << 4;
        let level = match (bits & 0x70) >> 4 {
            0 => mantissa + 8,
            segment => (mantissa + 0x108) << (segment - 1),
        };
        table[code as usize] = (if bits & 0x80 != 0 { level } else { -level }) as f32 / 32768.0;
        code += 1;
    }
    table
};

/// ITU-T G.711 mu-law to float32.
static MU_LAW: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut code: u16 = 0;
    while code < 256 {
        let bits = !code.to_le_bytes()[0];
        let level = (((((bits & 0x0f) as i32) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84;
        table[code as usize] = (if bits & 0x80 != 0 { -level } else { level }) as f32 / 32768.0;
        code += 1;
    }
    table
};
