//! The one error type of the crate: what was given, what was expected, where.

use std::path::{Path, PathBuf};

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong: each message names the file or the parameter, what it held and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused: missing file, no permission, a folder in a file's place.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file that was asked for.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The bytes of a file are not what its format demands: truncated, corrupt, empty, a lying header.
    #[error("{}: {reason}", path.display())]
    Decode {
        /// The file that was read.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A sound file that is well-formed as far as was read, but of a kind that offkey does not read.
    #[error("{}: {what} is not supported; convert the file to WAV or FLAC", path.display())]
    Unsupported {
        /// The file that was read.
        path: PathBuf,
        /// The format, codec or option by name.
        what: String,
    },
    /// A file is good as far as was read, but decodes to more than the call may take.
    #[error("{}: {reason}", path.display())]
    Memory {
        /// The file that was read.
        path: PathBuf,
        /// What there is too much of.
        reason: String,
    },
    /// A parameter outside its range.
    #[error("{parameter} = {given}: expected {expected}")]
    Parameter {
        /// Name of the parameter as the caller writes it.
        parameter: &'static str,
        /// The value given.
        given: String,
        /// The range or set expected.
        expected: String,
    },
    /// An array of the wrong shape or with forbidden values.
    #[error("{array}: {given}; expected {expected}")]
    Array {
        /// Name of the array as the caller knows it, with the index of the offending clip where there is one.
        array: String,
        /// Its shape, or what was found in it.
        given: String,
        /// What was expected.
        expected: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An [`Error::Parameter`] from anything printable.
    pub fn parameter(
        parameter: &'static str,
        given: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::Parameter { parameter, given: given.to_string(), expected: expected.into() }
    }

    /// An [`Error::Array`].
    pub fn array(array: impl Into<String>, given: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Array { array: array.into(), given: given.into(), expected: expected.into() }
    }

    /// The same about an array of another name, if it is about an array.
    #[must_use]
    pub(crate) fn in_array(self, array: String) -> Self {
        match self {
            Self::Array { given, expected, .. } => Self::Array { array, given, expected },
            other => other,
        }
    }

    /// A complaint about an array as one about the file that it came from.
    #[must_use]
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Array { given, expected, .. } => {
                Self::decode(path, format!("{given}; expected {expected}"))
            }
            other => other,
        }
    }

    /// An [`Error::Decode`].
    pub fn decode(path: &Path, reason: impl Into<String>) -> Self {
        Self::Decode { path: path.to_owned(), reason: reason.into() }
    }

    /// An [`Error::Io`].
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}
