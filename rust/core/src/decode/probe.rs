//! Which kind of file this is, from its first bytes; kinds that are not read are called by name.

use super::coded::Coded;
use super::source::Source;
use crate::{Error, Result};
use std::path::Path;

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wav,
    Aiff,
    /// FLAC, and where in the file it begins.
    Flac(u64),
    /// A container for Symphonia, and where in the file it begins.
    Coded(Coded, u64),
}

/// Bytes that tell every kind apart.
const PROBE_BYTES: usize = 64;

/// More ID3 tags than this before the sound are none of a sound file.
const MAX_TAGS: usize = 64;

/// Beginnings of files that are not read, and what they are.
const REFUSED: [(&[u8], &str); 19] = [
    (b"riff\x2e\x91\xcf\x11", "Sony Wave64 (W64)"),
    (b"caff", "Apple CAF"),
    (b".snd", "Sun AU"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA)"),
    (b"MAC ", "Monkey's Audio (APE)"),
    (b"wvpk", "WavPack"),
    (b"TTA1", "True Audio (TTA)"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"#!AMR", "AMR"),
    (b"ADIF", "AAC (ADIF)"),
    (b"DSD ", "DSD (DSF)"),
    (b"FRM8", "DSD (DSDIFF)"),
    (b"NIST_1A", "NIST SPHERE"),
    (b"Creative Voice File", "Creative VOC"),
    (b"FLV\x01", "Flash video"),
    (b"MThd", "MIDI"),
    (b"\x93NUMPY", "a NumPy array"),
];

/// Tell the kind of a file that the source stands at the beginning of.
pub(super) fn kind(source: &mut Source<'_>) -> Result<Kind> {
    skip_tags(source)?;
    let (path, offset) = (source.path, source.position);
    let bytes = source.peek(PROBE_BYTES)?;
    let head = &bytes[..bytes.len().min(PROBE_BYTES)];
    if offset > 0 {
        // Only these two are met behind an ID3 tag.
        return match head {
            [b'f', b'L', b'a', b'C', ..] => Ok(Kind::Flac(offset)),
            _ => mpeg(path, head, offset)
                .unwrap_or_else(|| Err(Error::decode(path, "an ID3 tag without sound behind it"))),
        };
    }
    let form = head.get(8..12).unwrap_or_default();
    match head.get(..4).unwrap_or_default() {
        b"RIFF" | b"RIFX" | b"RF64" | b"BW64" => match form {
            b"WAVE" => Ok(Kind::Wav),
            b"AVI " => Err(unsupported(path, "AVI video")),
            _ => Err(Error::decode(path, format!("a RIFF file of kind '{}', not WAVE", form.escape_ascii()))),
        },
        b"FORM" => match form {
            b"AIFF" | b"AIFC" => Ok(Kind::Aiff),
            b"8SVX" | b"16SV" => Err(unsupported(path, "Amiga 8SVX")),
            _ => Err(Error::decode(path, format!("an IFF file of kind '{}', not AIFF", form.escape_ascii()))),
        },
        b"fLaC" => Ok(Kind::Flac(0)),
        b"OggS" => ogg(path, head),
        _ if head.get(4..8) == Some(b"ftyp") => Err(unsupported(path, "M4A or MP4 (AAC, ALAC)")),
        _ => match REFUSED.iter().find(|(magic, _)| head.starts_with(magic)) {
            Some((_, what)) => Err(unsupported(path, what)),
            None => mpeg(path, head, 0).unwrap_or_else(|| Err(Error::decode(path, unknown(head)))),
        },
    }
}

fn unsupported(path: &Path, what: &str) -> Error {
    Error::Unsupported { path: path.to_owned(), what: what.to_owned() }
}

/// Go behind the ID3v2 tags at the beginning of the file.
fn skip_tags(source: &mut Source<'_>) -> Result<()> {
    for _ in 0..=MAX_TAGS {
        let &[b'I', b'D', b'3', major, minor, flags, a, b, c, d, ..] = source.peek(10)? else {
            return Ok(());
        };
        let size = [a, b, c, d];
        if major == 0xff || minor == 0xff || size.iter().any(|&byte| byte > 0x7f) {
            return Ok(());
        }
        let size = size.iter().fold(0, |sum, &byte| sum << 7 | u64::from(byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        let size = 10 + size + footer;
        if size >= source.left() {
            return Err(Error::decode(source.path, "truncated: the file ends inside its ID3 tag"));
        }
        source.skip(size)?;
    }
    Err(Error::decode(source.path, format!("no sound behind the first {MAX_TAGS} ID3 tags")))
}

/// What the first packet of an Ogg file belongs to.
fn ogg(path: &Path, head: &[u8]) -> Result<Kind> {
    let segments = head.get(26).copied().unwrap_or(0);
    let packet = head.get(27 + usize::from(segments)..).unwrap_or_default();
    let streams: [(&[u8], &str); 5] = [
        (b"OpusHead", "Ogg Opus"),
        (b"\x7fFLAC", "FLAC in Ogg"),
        (b"Speex   ", "Ogg Speex"),
        (b"\x80theora", "Ogg Theora video"),
        (b"fishead\0", "Ogg with a skeleton"),
    ];
    if packet.starts_with(b"\x01vorbis") {
        return Ok(Kind::Coded(Coded::OggVorbis, 0));
    }
    match streams.iter().find(|(magic, _)| packet.starts_with(magic)) {
        Some((_, what)) => Err(unsupported(path, what)),
        None => Err(Error::decode(path, "an Ogg file whose first packet is of no known kind")),
    }
}

/// What an MPEG audio header says, if it is one.
fn mpeg(path: &Path, head: &[u8], offset: u64) -> Option<Result<Kind>> {
    let &[0xff, version, rate, ..] = head else { return None };
    // Eleven bits of sync, a version, layer, bit rate and sample rate that are not reserved.
    if version & 0xe0 != 0xe0 || version & 0x18 == 0x08 {
        return None;
    }
    if version & 0xf6 == 0xf0 {
        return Some(Err(unsupported(path, "AAC (ADTS)")));
    }
    if rate >> 4 == 0xf || rate & 0x0c == 0x0c {
        return None;
    }
    match version & 0x06 {
        0x02 => Some(Ok(Kind::Coded(Coded::Mp3, offset))),
        0x04 => Some(Err(unsupported(path, "MPEG layer II (MP2)"))),
        0x06 => Some(Err(unsupported(path, "MPEG layer I (MP1)"))),
        _ => None,
    }
}

fn unknown(head: &[u8]) -> String {
    let shown = head[..head.len().min(8)].escape_ascii();
    format!(
        "not a sound file that offkey knows: it begins with '{shown}'; expected WAV, AIFF, FLAC, Ogg Vorbis or MP3"
    )
}
