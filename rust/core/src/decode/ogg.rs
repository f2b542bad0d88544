//! The pages of an Ogg file (RFC 3533), checked before its sound is decoded.
//!
//! Decoders pass over pages that are lost or damaged. Here every page must be whole, in sequence, of one stream,
//! and the last one must say that it is the last.

use super::source::Source;
use crate::{Error, Result};

const HEADER_BYTES: usize = 27;
const LAST_PAGE: u8 = 4;

/// Check all pages from the beginning of the file on.
pub(super) fn check(source: &mut Source<'_>) -> Result<()> {
    let path = source.path;
    let damaged =
        |page: u32, what: &str| Error::decode(path, format!("damaged: page {page} of the Ogg file {what}"));
    source.go_to(0)?;
    let (mut stream, mut last) = (None, false);
    for page in 0u32.. {
        if source.left() == 0 {
            break;
        }
        let header = *source.peek(HEADER_BYTES)?.first_chunk::<HEADER_BYTES>().ok_or_else(|| cut(path))?;
        if !header.starts_with(b"OggS\0") {
            return Err(damaged(page, "does not begin where it should"));
        }
        let segments = HEADER_BYTES + usize::from(header[26]);
        let body = source.peek(segments)?.get(HEADER_BYTES..segments).ok_or_else(|| cut(path))?;
        let size = segments + body.iter().map(|&bytes| usize::from(bytes)).sum::<usize>();
        let bytes = source.peek(size)?.get(..size).ok_or_else(|| cut(path))?;
        if checksum(bytes) != field(&header, 22) {
            return Err(damaged(page, "fails its checksum"));
        }
        let serial = field(&header, 14);
        if *stream.get_or_insert(serial) != serial {
            let what = "Ogg with more than one stream".to_owned();
            return Err(Error::Unsupported { path: path.to_owned(), what });
        }
        if field(&header, 18) != page {
            return Err(damaged(page, "is missing"));
        }
        last = header[5] & LAST_PAGE != 0;
        source.skip(size as u64)?;
    }
    if last { Ok(()) } else { Err(cut(path)) }
}

fn cut(path: &std::path::Path) -> Error {
    Error::decode(path, "truncated: the last page of the Ogg file is missing")
}

fn field(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// The checksum of a page, its own field counted as zero.
fn checksum(page: &[u8]) -> u32 {
    let step = |crc: u32, byte: u8| (crc << 8) ^ CRC[usize::from((crc >> 24) as u8 ^ byte)];
    let (before, after) = page.split_at(22);
    let crc = before.iter().fold(0, |crc, &byte| step(crc, byte));
    let crc = (0..4).fold(crc, |crc, _| step(crc, 0));
    after[4..].iter().fold(crc, |crc, &byte| step(crc, byte))
}

/// CRC-32 with the polynomial 0x04c11db7, not reflected.
static CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 1 { (crc << 1) ^ 0x04c1_1db7 } else { crc << 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
