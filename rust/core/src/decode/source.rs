//! A file read in chunks through one buffer that the caller keeps from file to file.

use super::parts::ResamplingMemory;
use crate::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Bytes that are read at once, until [`Source::window`] makes the buffer grow: large enough to make system calls
/// cheap, small enough to stay in the L2 cache.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that are read at once of a file of which only the header is wanted.
const HEADER_BYTES: usize = 4 * 1024;

/// What files are read into: memory that one thread reuses from file to file.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    pub(super) bytes: Vec<u8>,
    pub(super) resampling: ResamplingMemory,
}

impl ReadBuffer {
    /// For headers alone.
    pub(super) fn for_headers() -> Self {
        Self { bytes: vec![0; HEADER_BYTES], ..Self::default() }
    }
}

/// A regular file, its true length, and a window of its bytes.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: Arc<Path>,
    pub(super) len: u64,
    /// Offset in the file of the next byte to be taken.
    pub(super) position: u64,
    file: File,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Source {
    /// Open a regular file. Pipes and devices are refused before opening, which could wait for ever.
    ///
    /// The memory comes from `memory`, to which [`Source::into_bytes`] gives it back.
    pub(super) fn open(path: &Path, memory: &mut ReadBuffer) -> Result<Self> {
        let (file, len) = open_regular(path)?;
        let mut buffer = std::mem::take(&mut memory.bytes);
        if buffer.is_empty() {
            buffer.resize(CHUNK_BYTES, 0);
        }
        Ok(Self { path: path.into(), len, position: 0, file, buffer, start: 0, end: 0 })
    }

    /// The memory, for the next file.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// The error of a file whose bytes are not what they should be.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::decode(&self.path, reason)
    }

    /// The error of a file of a kind that is not read.
    pub(super) fn unsupported(&self, what: impl Into<String>) -> Error {
        Error::Unsupported { path: self.path.to_path_buf(), what: what.into() }
    }

    /// Bytes between here and the end of the file, as long as it was when it was opened.
    pub(super) fn left(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }

    /// The next bytes without taking them: at least `wanted` (at most the buffer holds) unless the file ends before.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8]> {
        let held = self.end - self.start;
        // Where the rest of the file is held, there is nothing to read and nothing to move.
        if held < wanted && (held as u64) < self.left() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, held);
            while self.end < wanted.min(self.buffer.len()) {
                match self.file.read(&mut self.buffer[self.end..]) {
                    Ok(0) => break,
                    Ok(count) => self.end += count,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(Error::io(&self.path, e)),
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// [`Source::peek`] of more than a chunk, where the caller knows a limit: the buffer grows.
    ///
    /// It becomes twice as large, because what it still holds is moved to its beginning each time it is filled.
    pub(super) fn window(&mut self, wanted: usize) -> Result<&[u8]> {
        if 2 * wanted > self.buffer.len() && (self.buffer.len() as u64) < self.left() {
            self.buffer.resize(2 * wanted, 0);
        }
        self.peek(wanted)
    }

    /// Take exactly `N` bytes, or say which part of the file is cut off.
    pub(super) fn take<const N: usize>(&mut self, part: &str) -> Result<[u8; N]> {
        let bytes = self.peek(N)?.first_chunk::<N>().copied();
        let bytes = bytes.ok_or_else(|| self.error(format!("truncated: the file ends inside {part}")))?;
        self.advance(N);
        Ok(bytes)
    }

    /// The next whole frames of `frame` bytes each, at most `limit` bytes; empty at the end of the file.
    pub(super) fn frames(&mut self, frame: usize, limit: u64) -> Result<&[u8]> {
        let held = self.peek(frame)?.len();
        let whole = usize::try_from(limit).map_or(held, |limit| held.min(limit)) / frame * frame;
        let start = self.start;
        self.advance(whole);
        Ok(&self.buffer[start..start + whole])
    }

    /// Pass over bytes, of which the caller knows that the file has them.
    pub(super) fn skip(&mut self, count: u64) -> Result<()> {
        match usize::try_from(count) {
            Ok(count) if count <= self.end - self.start => {
                self.advance(count);
                Ok(())
            }
            _ => self.seek(self.position.saturating_add(count)),
        }
    }

    /// Go to an offset from the beginning of the file; free where the reader stands there already.
    pub(super) fn go_to(&mut self, offset: u64) -> Result<()> {
        if self.position == offset { Ok(()) } else { self.seek(offset) }
    }

    /// The file itself, for a decoder that reads it in its own way from `offset` on.
    pub(super) fn into_file(mut self, offset: u64) -> Result<File> {
        self.seek(offset)?;
        Ok(self.file)
    }

    fn advance(&mut self, count: usize) {
        self.start += count;
        self.position += count as u64;
    }

    fn seek(&mut self, offset: u64) -> Result<()> {
        (self.start, self.end, self.position) = (0, 0, offset);
        self.file.seek(SeekFrom::Start(offset)).map(|_| ()).map_err(|e| Error::io(&self.path, e))
    }
}

fn open_regular(path: &Path) -> Result<(File, u64)> {
    let io = |e| Error::io(path, e);
    let kind = std::fs::metadata(path).map_err(io)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(Error::decode(
            path,
            "not a regular file but a pipe, socket or device; copy it to a file",
        ));
    }
    let mut file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        // The system's own words for "is a directory".
        file.read(&mut [0]).map_err(io)?;
    }
    match metadata.len() {
        0 => Err(Error::decode(path, "the file is empty (0 bytes)")),
        len => Ok((file, len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_file_is_neither_read_nor_moved_again() {
        let path = std::env::temp_dir().join(format!("offkey-source-{}", std::process::id()));
        std::fs::write(&path, [7; 100]).unwrap();
        let mut buffer = ReadBuffer::default();
        let mut source = Source::open(&path, &mut buffer).unwrap();
        source.take::<10>("it").unwrap();
        assert_eq!(source.peek(1000).unwrap(), [7; 90]);
        assert_eq!((source.start, source.end), (10, 100));
        source.skip(90).unwrap();
        assert_eq!(source.peek(1).unwrap(), []);
        std::fs::remove_file(&path).unwrap();
    }
}
