//! AIFF and AIFF-C headers (Apple 1989, 1991): big-endian PCM, and the codings of AIFF-C that store samples as
//! they are. A sound chunk that is longer than the file is a truncated file, refused; unless its size is one that only
//! a writer to a pipe leaves behind, like that of the whole: then the samples go on to the end of the file.

use super::Format;
use super::pcm::{Encoding, Layout, check_header, is_placeholder};
use super::source::Source;
use crate::Result;

/// More chunks than this before the samples are no sound file.
const MAX_CHUNKS: usize = 4096;

/// What the `COMM` chunk says.
#[derive(Clone, Copy)]
struct Common {
    encoding: Encoding,
    big_endian: bool,
    channels: usize,
    sample_rate: u32,
    frames: u64,
}

/// Where the samples lie.
struct Sound {
    offset: u64,
    bytes: u64,
    /// Nobody knew how many there would be.
    never_finished: bool,
}

/// Read the header up to the samples; the source stands at its beginning, which was probed.
pub(super) fn layout(source: &mut Source) -> Result<Layout> {
    let begin = source.position;
    source.take::<4>("the FORM header")?;
    let form_size = u32::from_be_bytes(source.take::<4>("the FORM header")?);
    let [.., kind] = source.take::<4>("the FORM header")?; // F of AIFF or C of AIFC
    let complete = begin + 8 + u64::from(form_size) == source.len;
    let (mut common, mut sound) = (None, None);
    // Either chunk may come first.
    for _ in 0..MAX_CHUNKS {
        if source.left() == 0 || (common.is_some() && sound.is_some()) {
            break;
        }
        let id = source.take::<4>("the header of a chunk")?;
        let mut size = u64::from(u32::from_be_bytes(source.take("the header of a chunk")?));
        let (chunk, left) = (source.position, source.left());
        let open = match size {
            0 | 8 => left > 8,
            _ => size > left && is_placeholder(size),
        };
        let never_finished = id == *b"SSND" && !complete && open;
        if never_finished {
            size = left;
        }
        if size > left {
            let name = id.escape_ascii();
            let reason = format!("truncated: chunk '{name}' claims {size} bytes, but the file has {left}");
            return Err(source.error(reason));
        }
        match &id {
            b"COMM" => common = Some(read_common(source, size, kind == b'C')?),
            b"SSND" => sound = Some(read_sound(source, size, never_finished)?),
            _ => {}
        }
        source.go_to((chunk + size + size % 2).min(source.len))?;
    }
    let Some(Common { encoding, big_endian, channels, sample_rate, frames }) = common else {
        return Err(source.error("the AIFF file has no COMM chunk"));
    };
    let sound = match sound {
        Some(sound) => sound,
        None if frames == 0 => Sound { offset: source.len, bytes: 0, never_finished: false },
        None => return Err(source.error("the AIFF file has no SSND chunk")),
    };
    let frame_bytes = (encoding.bytes() * channels) as u64;
    let unknown = sound.never_finished || (frames == 0 && !complete);
    let frames = if unknown { sound.bytes / frame_bytes } else { frames };
    let needed = frames * frame_bytes;
    if needed > sound.bytes {
        let reason =
            format!("truncated: the header says {needed} bytes of samples, but there are {}", sound.bytes);
        return Err(source.error(reason));
    }
    let (format, offset) = (Format::Aiff, sound.offset);
    Ok(Layout { format, encoding, big_endian, channels, sample_rate, frames, offset })
}

fn read_common(source: &mut Source, size: u64, compressed: bool) -> Result<Common> {
    const PART: &str = "the COMM chunk";
    let expected = if compressed { 22 } else { 18 };
    if size < expected {
        let reason = format!("the COMM chunk has {size} bytes; expected at least {expected}");
        return Err(source.error(reason));
    }
    let channels = u16::from_be_bytes(source.take(PART)?);
    let frames = u64::from(u32::from_be_bytes(source.take(PART)?));
    let bits = u16::from_be_bytes(source.take(PART)?);
    let rate = extended(source.take(PART)?);
    let coding = if compressed { source.take(PART)? } else { *b"NONE" };
    let (encoding, big_endian) = encoding(source, coding, bits)?;
    if !(0.0..=f64::from(u32::MAX)).contains(&rate) {
        return Err(source.error(format!("the header says a sample rate of {rate} Hz")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range, as was just seen
    let sample_rate = rate.round() as u32;
    check_header(&source.path, u64::from(channels), sample_rate)?;
    Ok(Common { encoding, big_endian, channels: usize::from(channels), sample_rate, frames })
}

fn encoding(source: &Source, coding: [u8; 4], bits: u16) -> Result<(Encoding, bool)> {
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
            Err(source.unsupported(what))
        }
    }
}

fn read_sound(source: &mut Source, size: u64, never_finished: bool) -> Result<Sound> {
    if size < 8 {
        return Err(source.error(format!("the SSND chunk has {size} bytes; expected at least 8")));
    }
    let skipped = u64::from(u32::from_be_bytes(source.take("the SSND chunk")?));
    source.take::<4>("the SSND chunk")?; // block size, for alignment only
    let bytes = (size - 8).saturating_sub(skipped);
    Ok(Sound { offset: source.position + skipped, bytes, never_finished })
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
