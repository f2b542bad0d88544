//! AIFF and AIFF-C headers (Apple 1989, 1991): big-endian PCM, and the codings of AIFF-C that store samples as
//! they are. A sound chunk that is longer than the file is a truncated file, refused.

use super::Format;
use super::pcm::{Encoding, Layout, check_header};
use super::source::Source;
use crate::{Error, Result};

/// More chunks than this before the samples are no sound file.
const MAX_CHUNKS: usize = 4096;

/// What the `COMM` chunk says.
struct Common {
    encoding: Encoding,
    big_endian: bool,
    channels: usize,
    sample_rate: u32,
    frames: u64,
}

/// Read the header up to the samples; the source stands at its beginning, which was probed.
pub(super) fn layout(source: &mut Source<'_>) -> Result<Layout> {
    let path = source.path;
    let [.., kind] = source.take::<12>("the FORM header")?; // F of AIFF or C of AIFC
    let (mut common, mut sound) = (None, None);
    // Either chunk may come first.
    for _ in 0..MAX_CHUNKS {
        if source.left() == 0 || (common.is_some() && sound.is_some()) {
            break;
        }
        let id = source.take::<4>("the header of a chunk")?;
        let size = u32::from_be_bytes(source.take::<4>("the header of a chunk")?);
        let (begin, left) = (source.position, source.left());
        if u64::from(size) > left {
            let name = id.escape_ascii();
            let reason = format!("truncated: chunk '{name}' claims {size} bytes, but the file has {left}");
            return Err(Error::decode(path, reason));
        }
        match &id {
            b"COMM" => common = Some(read_common(source, size, kind == b'C')?),
            b"SSND" => sound = Some(read_sound(source, size)?),
            _ => {}
        }
        source.go_to((begin + u64::from(size) + u64::from(size % 2)).min(source.len))?;
    }
    let Some(Common { encoding, big_endian, channels, sample_rate, frames }) = common else {
        return Err(Error::decode(path, "the AIFF file has no COMM chunk"));
    };
    let (offset, held) = match sound {
        Some(sound) => sound,
        None if frames == 0 => (source.len, 0),
        None => return Err(Error::decode(path, "the AIFF file has no SSND chunk")),
    };
    let needed = frames * (encoding.bytes() * channels) as u64;
    if needed > held {
        let reason = format!("truncated: the header says {needed} bytes of samples, but there are {held}");
        return Err(Error::decode(path, reason));
    }
    Ok(Layout { format: Format::Aiff, encoding, big_endian, channels, sample_rate, frames, offset })
}

fn read_common(source: &mut Source<'_>, size: u32, compressed: bool) -> Result<Common> {
    const PART: &str = "the COMM chunk";
    let path = source.path;
    let expected = if compressed { 22 } else { 18 };
    if size < expected {
        let reason = format!("the COMM chunk has {size} bytes; expected at least {expected}");
        return Err(Error::decode(path, reason));
    }
    let channels = u16::from_be_bytes(source.take(PART)?);
    let frames = u64::from(u32::from_be_bytes(source.take(PART)?));
    let bits = u16::from_be_bytes(source.take(PART)?);
    let rate = extended(source.take(PART)?);
    let coding = if compressed { source.take(PART)? } else { *b"NONE" };
    let (encoding, big_endian) = encoding(source, coding, bits)?;
    if !(0.0..=f64::from(u32::MAX)).contains(&rate) {
        return Err(Error::decode(path, format!("the header says a sample rate of {rate} Hz")));
    }
    let sample_rate = rate.round() as u32;
    check_header(path, u64::from(channels), sample_rate)?;
    Ok(Common { encoding, big_endian, channels: usize::from(channels), sample_rate, frames })
}

fn encoding(source: &Source<'_>, coding: [u8; 4], bits: u16) -> Result<(Encoding, bool)> {
    let integer = match bits {
        1..=8 => Some(Encoding::I8),
        9..=16 => Some(Encoding::I16),
        17..=24 => Some(Encoding::I24),
        25..=32 => Some(Encoding::I32),
        _ => None,
    };
    match (&coding, integer) {
        (b"NONE" | b"twos", Some(encoding)) => Ok((encoding, true)),
        (b"sowt", Some(encoding)) => Ok((encoding, false)),
        (b"raw ", _) if bits == 8 => Ok((Encoding::U8, true)),
        (b"in24", _) => Ok((Encoding::I24, true)),
        (b"in32", _) => Ok((Encoding::I32, true)),
        (b"42ni" | b"42n1", _) => Ok((Encoding::I24, false)),
        (b"23ni", _) => Ok((Encoding::I32, false)),
        (b"fl32" | b"FL32", _) => Ok((Encoding::F32, true)),
        (b"fl64" | b"FL64", _) => Ok((Encoding::F64, true)),
        (b"alaw" | b"ALAW", _) => Ok((Encoding::ALaw, true)),
        (b"ulaw" | b"ULAW", _) => Ok((Encoding::MuLaw, true)),
        _ => {
            let what = format!("AIFF with coding '{}' and {bits} bits", coding.escape_ascii());
            Err(Error::Unsupported { path: source.path.to_owned(), what })
        }
    }
}

/// Where the samples begin, and how many bytes of them there are.
fn read_sound(source: &mut Source<'_>, size: u32) -> Result<(u64, u64)> {
    if size < 8 {
        let reason = format!("the SSND chunk has {size} bytes; expected at least 8");
        return Err(Error::decode(source.path, reason));
    }
    let skipped = u32::from_be_bytes(source.take("the SSND chunk")?);
    source.take::<4>("the SSND chunk")?; // block size, for alignment only
    let held = u64::from(size - 8).saturating_sub(u64::from(skipped));
    Ok((source.position + u64::from(skipped), held))
}

/// An 80-bit IEEE 754 extended number, whose integer bit is explicit; NaN where it stands for none.
fn extended(bytes: [u8; 10]) -> f64 {
    let [sign, exponent, mantissa @ ..] = bytes;
    let exponent = i32::from(u16::from_be_bytes([sign, exponent]) & 0x7fff);
    let negative = sign & 0x80 != 0;
    if negative || exponent == 0x7fff {
        return f64::NAN;
    }
    u64::from_be_bytes(mantissa) as f64 * f64::from(exponent - 16_383 - 63).exp2()
}
