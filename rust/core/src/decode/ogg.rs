//! The pages of an Ogg file (RFC 3533), checked before its sound is decoded.
//!
//! Decoders pass over pages that are lost or damaged. Here every page must be whole, in sequence and of one stream.
//! That the last one says so is not asked for, as recorders that are stopped never write it; nor is it that the sound
//! begins with the first page, which a stream that was joined on the way lacks. What stands behind the last page is
//! passed over if it is a tag, or if the stream has ended.

use super::probe;
use super::source::Source;
use crate::Result;
use crate::par::Cancel;
use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

const HEADER_BYTES: usize = 27;
const FIRST_PAGE: u8 = 2;
const LAST_PAGE: u8 = 4;

const MARK: &[u8] = b"OggS\0";

/// Where the pages end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    /// Offset in the file behind the last page.
    pub(super) end: u64,
    /// The last page says that it is the last.
    pub(super) finished: bool,
}

/// Check all pages from where the source stands.
pub(super) fn check(source: &mut Source, cancel: &Cancel) -> Result<Pages> {
    let (mut stream, mut next, mut sound, mut finished) = (None, 0, false, false);
    while source.left() > 0 {
        cancel.check()?;
        let header = source.peek(HEADER_BYTES)?;
        if !header.starts_with(&MARK[..header.len().min(MARK.len())]) {
            if finished || probe::is_tag(header) {
                break;
            }
            return Err(damaged(source, next, "does not begin where it should"));
        }
        let Some(&header) = header.first_chunk::<HEADER_BYTES>() else { return Err(cut(source)) };
        let (flags, serial, number) = (header[5], field(&header, 14), field(&header, 18));
        let segments = HEADER_BYTES + usize::from(header[26]);
        let Some(table) = source.peek(segments)?.get(HEADER_BYTES..segments) else { return Err(cut(source)) };
        let size = segments + table.iter().map(|&bytes| usize::from(bytes)).sum::<usize>();
        let Some(page) = source.peek(size)?.get(..size) else { return Err(cut(source)) };
        if checksum(page) != field(&header, 22) {
            return Err(damaged(source, next, "fails its checksum"));
        }
        if *stream.get_or_insert(serial) != serial {
            return Err(source.unsupported("Ogg with more than one stream"));
        }
        if flags & FIRST_PAGE != 0 && next > 0 {
            return Err(source.unsupported("Ogg with several streams in a chain"));
        }
        // The headers' pages, two at least, end no sample.
        let position = u64::from(field(&header, 6)) | u64::from(field(&header, 10)) << 32;
        let first_sound = !sound && position != 0 && next > 1;
        if number != next && !(first_sound && number > next) {
            return Err(damaged(source, next, "is missing"));
        }
        sound |= position != 0;
        finished = flags & LAST_PAGE != 0;
        next = number.wrapping_add(1);
        source.skip(size as u64)?;
    }
    Ok(Pages { end: source.position, finished })
}

fn damaged(source: &Source, page: u32, what: &str) -> crate::Error {
    source.error(format!("damaged: page {page} of the Ogg file {what}"))
}

fn cut(source: &Source) -> crate::Error {
    source.error("truncated: the last page of the Ogg file is not whole")
}

fn field(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// The checksum of a page, its own field counted as zero.
fn checksum(page: &[u8]) -> u32 {
    let mut crc = Crc32::new(0);
    crc.process_buf_bytes(&page[..22]);
    crc.process_buf_bytes(&[0; 4]);
    crc.process_buf_bytes(&page[26..]);
    crc.crc()
}
