//! WAV headers: RIFF, RIFX (big-endian), RF64 and BW64, plain and `WAVE_FORMAT_EXTENSIBLE`.
//!
//! What a header may say wrongly, and what is made of it:
//! a data chunk that is longer than the file is a truncated file, refused; a size that only a writer to a pipe or
//! a recorder that was cut off leaves behind (`0xFFFFFFFF`, sox's and arecord's `0x7FFFF000` to `0x80000000`, or,
//! where the RIFF size does not fit the file either, 0 or another placeholder) means that the samples go on to the
//! end of the file; a last frame of which bytes are missing is dropped. The RIFF size is not used for anything else.
//! Nor is the size of a frame, which follows from the channels and bits, but for 24 bits that stand in four bytes.

use super::Format;
use super::pcm::{Encoding, Layout, check_header, is_placeholder};
use super::source::Source;
use crate::{Error, Result};

/// More chunks than this before the samples are no sound file.
const MAX_CHUNKS: usize = 4096;

/// The last 12 bytes of the GUIDs whose first 4 are a plain format tag.
const WAVE_GUID: [u8; 12] = [0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71];

/// Read the header up to the samples; the source stands at its beginning, which was probed.
pub(super) fn layout(source: &mut Source) -> Result<Layout> {
    let mut header = Header::new(source)?;
    for _ in 0..MAX_CHUNKS {
        if header.source.left() == 0 {
            return Err(header.error("the WAV file has no data chunk"));
        }
        let id = header.source.take::<4>("the header of a chunk")?;
        let size = header.u32("the header of a chunk")?;
        match &id {
            b"data" => return header.data(size),
            b"fmt " => header.format(size)?,
            b"ds64" => header.sizes(size)?,
            _ => header.skip(id, 0, size)?,
        }
    }
    Err(header.error(format!("no data chunk among the first {MAX_CHUNKS} chunks")))
}

/// What the `fmt ` chunk says.
#[derive(Clone, Copy)]
struct WaveFormat {
    encoding: Encoding,
    /// Samples of 24 bits stand in four bytes, at one end or the other.
    in_four_bytes: bool,
    channels: usize,
    sample_rate: u32,
}

struct Header<'a> {
    source: &'a mut Source,
    format: Format,
    big_endian: bool,
    /// Where the RIFF chunk begins in the file.
    begin: u64,
    riff_size: u32,
    /// The size of the data chunk in the `ds64` chunk of an RF64 file.
    long_data: Option<u64>,
    wave: Option<WaveFormat>,
}

impl<'a> Header<'a> {
    fn new(source: &'a mut Source) -> Result<Self> {
        let begin = source.position;
        let magic = source.take::<4>("the RIFF header")?;
        let format = match &magic {
            b"RF64" | b"BW64" => Format::Rf64,
            _ => Format::Wav,
        };
        let big_endian = magic == *b"RIFX";
        let mut header =
            Self { source, format, big_endian, begin, riff_size: 0, long_data: None, wave: None };
        header.riff_size = header.u32("the RIFF header")?;
        header.source.take::<4>("the RIFF header")?;
        Ok(header)
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        self.source.error(reason)
    }

    fn u16(&mut self, part: &str) -> Result<u16> {
        let bytes = self.source.take::<2>(part)?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self, part: &str) -> Result<u32> {
        let bytes = self.source.take::<4>(part)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Pass over what is left of a chunk of which `taken` bytes were read, and over its pad byte.
    fn skip(&mut self, id: [u8; 4], taken: u32, size: u32) -> Result<()> {
        let (left, rest) = (self.source.left(), u64::from(size.saturating_sub(taken)));
        if rest > left {
            let name = id.escape_ascii();
            let reason =
                format!("truncated: chunk '{name}' claims {size} bytes, but the file ends after {left}");
            return Err(self.error(reason));
        }
        self.source.skip((rest + u64::from(size % 2)).min(left))
    }

    fn sizes(&mut self, size: u32) -> Result<()> {
        if size < 16 {
            return Err(self.error(format!("the ds64 chunk has {size} bytes; expected at least 24")));
        }
        self.source.take::<8>("the ds64 chunk")?;
        let bytes = self.source.take::<8>("the ds64 chunk")?;
        self.long_data = Some(u64::from_le_bytes(bytes));
        self.skip(*b"ds64", 16, size)
    }

    fn format(&mut self, size: u32) -> Result<()> {
        const PART: &str = "the fmt chunk";
        if size < 16 {
            return Err(self.error(format!("the fmt chunk has {size} bytes; expected at least 16")));
        }
        let mut tag = u32::from(self.u16(PART)?);
        let channels = self.u16(PART)?;
        let sample_rate = self.u32(PART)?;
        self.u32(PART)?; // bytes a second: follows from the rest, and is often wrong
        let block = self.u16(PART)?;
        let bits = self.u16(PART)?;
        let mut taken = 16;
        if tag == 0xfffe {
            if size < 40 {
                let reason = format!("the extensible fmt chunk has {size} bytes; expected at least 40");
                return Err(self.error(reason));
            }
            self.source.take::<8>(PART)?; // its own size, valid bits (the samples fill the container's top), speakers
            tag = self.sub_format()?;
            taken = 40;
        }
        let encoding = self.encoding(tag, bits)?;
        check_header(&self.source.path, u64::from(channels), sample_rate)?;
        let channels = usize::from(channels);
        let in_four_bytes = encoding == Encoding::I24 && usize::from(block) == 4 * channels;
        self.wave = Some(WaveFormat { encoding, in_four_bytes, channels, sample_rate });
        self.skip(*b"fmt ", taken, size)
    }

    /// The plain format tag that the GUID of an extensible header stands for.
    fn sub_format(&mut self) -> Result<u32> {
        let tag = self.u32("the fmt chunk")?;
        let rest = self.source.take::<12>("the fmt chunk")?;
        let swapped = [rest[1], rest[0], rest[3], rest[2]]; // the two 16-bit fields of a RIFX file
        if rest == WAVE_GUID || (self.big_endian && swapped == WAVE_GUID[..4] && rest[4..] == WAVE_GUID[4..])
        {
            return Ok(tag);
        }
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        Err(self.source.unsupported(format!("WAV with the sub-format {tag:08x}-{rest}")))
    }

    fn encoding(&self, tag: u32, bits: u16) -> Result<Encoding> {
        match (tag, bits) {
            (1, 1..=8) => Ok(Encoding::U8),
            (1, 9..=16) => Ok(Encoding::I16),
            (1, 17..=24) => Ok(Encoding::I24),
            (1, 25..=32) => Ok(Encoding::I32),
            (3, 32) => Ok(Encoding::F32),
            (3, 64) => Ok(Encoding::F64),
            (6, 8) => Ok(Encoding::ALaw),
            (7, 8) => Ok(Encoding::MuLaw),
            (1 | 3 | 6 | 7, _) => {
                let kind = codec_name(tag);
                Err(self.source.unsupported(format!("WAV with {kind} samples of {bits} bits")))
            }
            _ => Err(self.source.unsupported(format!("{} WAV (format tag 0x{tag:04x})", codec_name(tag)))),
        }
    }

    fn data(&mut self, size: u32) -> Result<Layout> {
        let Some(WaveFormat { encoding, in_four_bytes, channels, sample_rate }) = self.wave else {
            return Err(self.error("the WAV file has no fmt chunk before its samples"));
        };
        let (left, offset) = (self.source.left(), self.source.position);
        let stated = match (size, self.long_data) {
            (u32::MAX, Some(long)) => long,
            _ => u64::from(size),
        };
        let never_finished = self.never_finished(stated, left);
        if stated > left && !never_finished {
            let reason =
                format!("truncated: the header says {stated} bytes of samples, but the file has {left}");
            return Err(self.error(reason));
        }
        let bytes = if never_finished { left } else { stated };
        let encoding = if in_four_bytes { self.place_in_four_bytes(bytes)? } else { encoding };
        let frames = bytes / (encoding.bytes() * channels) as u64;
        let (format, big_endian) = (self.format, self.big_endian);
        Ok(Layout { format, encoding, big_endian, channels, sample_rate, frames, offset })
    }

    /// Whether the writer never came to know how many bytes of samples there are.
    fn never_finished(&self, stated: u64, left: u64) -> bool {
        let end = self.begin + u64::from(self.riff_size) + 8;
        match stated {
            0 => end != self.source.len,
            0x7fff_f000..=0x8000_0000 | 0xffff_ffff | 0x7fff_ffff_ffff_ffff | u64::MAX => stated > left,
            _ if stated <= left || self.format == Format::Rf64 => false,
            _ if matches!(self.riff_size, 0 | u32::MAX) => stated >= 1 << 30,
            _ => end > self.source.len && is_placeholder(stated),
        }
    }

    /// At which end of four bytes the 24 bits of each sample stand: at the lower, as arecord writes them, if the upper
    /// byte repeats the sign in all samples; at the upper, as the format wants it, if the lower byte is 0 in all.
    fn place_in_four_bytes(&mut self, mut left: u64) -> Result<Encoding> {
        let (mut low, mut high) = (true, true);
        // Silence tells nothing.
        while low && high {
            let bytes = self.source.frames(4, left)?;
            if bytes.is_empty() {
                break;
            }
            left -= bytes.len() as u64;
            for &sample in bytes.as_chunks::<4>().0 {
                let value =
                    if self.big_endian { i32::from_be_bytes(sample) } else { i32::from_le_bytes(sample) };
                low &= value << 8 >> 8 == value;
                high &= value & 0xff == 0;
            }
        }
        Ok(if low { Encoding::I24In32 } else { Encoding::I32 })
    }
}

/// The name of a format tag, of those that are met in the field.
fn codec_name(tag: u32) -> &'static str {
    match tag {
        0x0001 => "PCM",
        0x0002 => "Microsoft ADPCM",
        0x0003 => "floating-point",
        0x0006 => "A-law",
        0x0007 => "mu-law",
        0x0011 => "IMA ADPCM",
        0x0016 | 0x0038 | 0x0040 | 0x0045 | 0x0064 | 0x0065 => "G.72x or NMS ADPCM",
        0x0031 => "GSM 6.10",
        0x0050 => "MPEG",
        0x0055 => "MP3",
        0x0092 => "Dolby AC-3",
        0x00ff | 0x1600 | 0x1610 => "AAC",
        0x0160..=0x0163 => "Windows Media Audio",
        0x674f..=0x6771 => "Ogg Vorbis",
        0xf1ac => "FLAC",
        _ => "unknown-codec",
    }
}
