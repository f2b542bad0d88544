//! What the fuzz targets share: choices from the fuzzer's bytes, and files of bytes.

use offkey_core::decode::{ChannelChoice, Clip, Limits, ReadBuffer, Reader};
use offkey_core::par::Cancel;
use std::path::Path;

pub use offkey_flac_streams::Choices;

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
