//! Which kind of file this is, from its first bytes; kinds that are not read are called by name.

use super::source::Source;
use crate::{Error, Result};

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wav,
    Aiff,
}

/// Bytes that tell every kind apart.
const PROBE_BYTES: usize = 64;

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
    let path = source.path;
    let bytes = source.peek(PROBE_BYTES)?;
    let head = &bytes[..bytes.len().min(PROBE_BYTES)];
    let unsupported = |what: &str| Err(Error::Unsupported { path: path.to_owned(), what: what.to_owned() });
    let form = head.get(8..12).unwrap_or_default();
    match head.get(..4).unwrap_or_default() {
        b"RIFF" | b"RIFX" | b"RF64" | b"BW64" => match form {
            b"WAVE" => Ok(Kind::Wav),
            b"AVI " => unsupported("AVI video"),
            _ => Err(Error::decode(path, format!("a RIFF file of kind '{}', not WAVE", form.escape_ascii()))),
        },
        b"FORM" => match form {
            b"AIFF" | b"AIFC" => Ok(Kind::Aiff),
            b"8SVX" => unsupported("Amiga 8SVX"),
            _ => Err(Error::decode(path, format!("an IFF file of kind '{}', not AIFF", form.escape_ascii()))),
        },
        _ if head.get(4..8) == Some(b"ftyp") => unsupported("M4A or MP4 (AAC, ALAC)"),
        _ => match REFUSED.iter().find(|(magic, _)| head.starts_with(magic)) {
            Some((_, what)) => unsupported(what),
            None => Err(Error::decode(path, unknown(head))),
        },
    }
}

fn unknown(head: &[u8]) -> String {
    let shown = head[..head.len().min(8)].escape_ascii();
    format!(
        "not a sound file that offkey knows: it begins with '{shown}'; expected WAV, AIFF, FLAC, Ogg Vorbis or MP3"
    )
}
