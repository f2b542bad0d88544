//! Which kind of file this is, from its first bytes; kinds that are not read are called by name.

use super::coded::Codec;
use super::mpeg::{self, Frame};
use super::source::Source;
use crate::Result;

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wav,
    Aiff,
    Flac,
    /// For Symphonia.
    Coded(Codec),
}

/// Bytes that tell every kind apart.
const PROBE_BYTES: usize = 64;

/// Bytes in which the first frame of MP3 is looked for: junk that encoders write, or the rest of a tag with a picture.
const SEARCHED_BYTES: usize = 256 * 1024;

/// Bytes that hold three frames of MPEG audio.
const CHAIN_BYTES: usize = 3 * 2881;

const APE: &[u8] = b"APETAGEX";
const APE_HEADER: usize = 32;

/// More tags than this before the sound are none of a sound file.
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

/// Tell the kind of a file that the source stands at the beginning of, and go to where the sound begins: behind tags,
/// or other bytes that are none of it.
pub(super) fn kind(source: &mut Source) -> Result<Kind> {
    if skip_tags(source)? {
        skip_zeros(source)?;
    }
    let tagged = source.position > 0;
    let bytes = source.peek(PROBE_BYTES)?;
    let length = bytes.len().min(PROBE_BYTES);
    let (mut head, form) =
        ([0; PROBE_BYTES], bytes.get(8..12).unwrap_or_default().escape_ascii().to_string());
    head[..length].copy_from_slice(&bytes[..length]);
    let head = &head[..length];
    match head.get(..4).unwrap_or_default() {
        b"RIFF" | b"RIFX" | b"RF64" | b"BW64" => match form.as_str() {
            "WAVE" => Ok(Kind::Wav),
            "AVI " => Err(source.unsupported("AVI video")),
            _ => Err(source.error(format!("a RIFF file of kind '{form}', not WAVE"))),
        },
        b"FORM" => match form.as_str() {
            "AIFF" | "AIFC" => Ok(Kind::Aiff),
            "8SVX" | "16SV" => Err(source.unsupported("Amiga 8SVX")),
            _ => Err(source.error(format!("an IFF file of kind '{form}', not AIFF"))),
        },
        b"fLaC" => Ok(Kind::Flac),
        b"OggS" => ogg(source, head),
        _ if head.get(4..8) == Some(b"ftyp") => Err(source.unsupported("M4A or MP4 (AAC, ALAC)")),
        _ => match REFUSED.iter().find(|(magic, _)| head.starts_with(magic)) {
            Some((_, what)) => Err(source.unsupported(*what)),
            None => mpeg_audio(source, head, tagged),
        },
    }
}

/// Whether the bytes begin with a tag, which may stand behind the sound too.
pub(super) fn is_tag(bytes: &[u8]) -> bool {
    let tags: [&[u8]; 4] = [b"TAG", APE, b"ID3", b"LYRICS"];
    tags.iter().any(|tag| bytes.starts_with(tag))
}

/// Go behind the ID3v2 and APE tags at the beginning of the file; whether there are any.
fn skip_tags(source: &mut Source) -> Result<bool> {
    for _ in 0..=MAX_TAGS {
        if let Some(size) = ape_bytes(source.peek(APE_HEADER)?) {
            if size >= source.left() {
                return Err(source.error("truncated: the file ends inside its APE tag"));
            }
            source.skip(size)?;
            continue;
        }
        let &[b'I', b'D', b'3', major, minor, flags, a, b, c, d, ..] = source.peek(10)? else {
            return Ok(source.position > 0);
        };
        let size = [a, b, c, d];
        if major == 0xff || minor == 0xff || size.iter().any(|&byte| byte > 0x7f) {
            return Ok(source.position > 0);
        }
        let size = size.iter().fold(0, |sum, &byte| sum << 7 | u64::from(byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        let size = 10 + size + footer;
        if size >= source.left() {
            return Err(source.error("truncated: the file ends inside its ID3 tag"));
        }
        source.skip(size)?;
    }
    Err(source.error(format!("no sound behind the first {MAX_TAGS} tags")))
}

/// Size of the APE tag whose header the bytes begin with.
fn ape_bytes(bytes: &[u8]) -> Option<u64> {
    let header = bytes.first_chunk::<APE_HEADER>().filter(|header| header.starts_with(APE))?;
    let is_header = header[23] & 0x20 != 0; // and not a footer, which has the same form
    let size = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    is_header.then(|| APE_HEADER as u64 + u64::from(size))
}

/// Go behind zeros, which tags are padded with.
fn skip_zeros(source: &mut Source) -> Result<()> {
    loop {
        let bytes = source.peek(1)?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let all = zeros == bytes.len();
        source.skip(zeros as u64)?;
        if !all || zeros == 0 {
            return Ok(());
        }
    }
}

/// What the first packet of an Ogg file belongs to.
fn ogg(source: &Source, head: &[u8]) -> Result<Kind> {
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
        return Ok(Kind::Coded(Codec::OggVorbis));
    }
    match streams.iter().find(|(magic, _)| packet.starts_with(magic)) {
        Some((_, what)) => Err(source.unsupported(*what)),
        None => Err(source.error("an Ogg file whose first packet is of no known kind")),
    }
}

/// MPEG audio, from here on or from some place behind.
fn mpeg_audio(source: &mut Source, head: &[u8], tagged: bool) -> Result<Kind> {
    if let &[0xff, version, ..] = head
        && version & 0xf6 == 0xf0
    {
        return Err(source.unsupported("AAC (ADTS)"));
    }
    let place = match mpeg::begins(source.peek(CHAIN_BYTES)?, false) {
        true => Some(0),
        false => first_frame(source)?,
    };
    // One frame alone may be all that is left of a file; but so begins text in UTF-16.
    let place = place.or(Frame::read(head).filter(|_| !head.starts_with(b"\xff\xfe")).map(|_| 0));
    let Some(place) = place else {
        return Err(source.error(if tagged { NO_SOUND.to_owned() } else { unknown(head) }));
    };
    source.skip(place as u64)?;
    let Some(frame) = Frame::read(source.peek(PROBE_BYTES)?) else { return Err(source.error(NO_SOUND)) };
    match frame.layer {
        3 if frame.is_free_format() => Err(source.unsupported("MP3 of free format, without a bit rate,")),
        3 => Ok(Kind::Coded(Codec::Mp3)),
        2 => Err(source.unsupported("MPEG layer II (MP2)")),
        _ => Err(source.unsupported("MPEG layer I (MP1)")),
    }
}

/// How far off the first of some frames that follow one another is.
fn first_frame(source: &mut Source) -> Result<Option<usize>> {
    let left = source.left();
    let bytes = source.window(SEARCHED_BYTES + CHAIN_BYTES)?;
    let file_ends = bytes.len() as u64 == left;
    Ok((0..bytes.len().min(SEARCHED_BYTES)).find(|&at| mpeg::begins(&bytes[at..], file_ends)))
}

const NO_SOUND: &str = "a tag without sound behind it";

fn unknown(head: &[u8]) -> String {
    let shown = head[..head.len().min(8)].escape_ascii();
    format!(
        "not a sound file that offkey knows: it begins with '{shown}'; expected WAV, AIFF, FLAC, Ogg Vorbis or MP3"
    )
}
