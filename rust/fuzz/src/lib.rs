//! What the fuzz targets share: choices from the fuzzer's bytes, files of bytes, and a FLAC encoder that writes
//! whatever it is told to.

pub mod flac;

use offkey_core::decode::{ChannelChoice, Clip, Limits, Reader, ReadBuffer};
use offkey_core::par::Cancel;
use std::path::Path;

/// Choices from the fuzzer's bytes: zeros without end behind them.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// A number below `limit`, which is 65536 at most.
    pub fn below(&mut self, limit: u32) -> u32 {
        let low = u32::from(self.byte());
        let value = if limit > 256 { low << 8 | u32::from(self.byte()) } else { low };
        value % limit
    }

    /// A number in two's complement of 1 to 63 bits, the first of which the fuzzer chooses byte by byte.
    pub fn signed(&mut self, bits: u32) -> i64 {
        let value = (0..bits.div_ceil(8)).fold(0i64, |value, _| value << 8 | i64::from(self.byte()));
        value << (64 - bits) >> (64 - bits)
    }

    /// Whether the fuzzer's bytes are used up.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A file of these bytes for as long as the work takes; always the same, for one process works on one at a time.
pub fn with_file<T>(bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    let path = std::env::temp_dir().join(format!("offkey-fuzz-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("the temporary folder takes a file");
    let result = work(&path);
    std::fs::remove_file(&path).expect("the file is still there");
    result
}

/// A reader within the usual limits.
pub fn reader(choice: ChannelChoice, rate: Option<u32>) -> Reader {
    Reader::new(choice, rate, Limits::default()).expect("a rate in range")
}

/// What is chosen of a file, at its own rate.
pub fn read(path: &Path, choice: ChannelChoice) -> offkey_core::Result<Clip> {
    reader(choice, None).read(path, &mut ReadBuffer::default(), &Cancel::default())
}
