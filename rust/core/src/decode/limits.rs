//! How much one file, and one call, may take.

use super::Info;
use crate::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a caller lets a call take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Seconds of sound in one file.
    pub max_seconds: f64,
    /// Bytes of float32 that all files of a call have at a time, after resampling.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 24 hours, and 4 GiB.
    fn default() -> Self {
        Self { max_seconds: 86_400.0, max_bytes: 4 << 30 }
    }
}

/// Bytes of float32 for each byte of a file, of all channels that are read: FLAC of digital silence has 4,000 at most
/// as encoders write it, made by hand it may have 80,000.
const MAX_EXPANSION: u64 = 8192;

/// Samples that resampling makes of one: no more than for a recording of 62.5 Hz at 16 kHz.
const MAX_UPSAMPLING: u64 = 256;

/// Bytes of float32 that any file may have, whatever its own size and rate.
const ALWAYS: u64 = 64 << 20;

/// What one file takes, held against the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) limits: Limits,
    pub(super) file_bytes: u64,
    pub(super) rate: u32,
    /// The rate that it is resampled to, or its own.
    pub(super) target_rate: u32,
    /// Channels that are kept.
    pub(super) channels: usize,
}

impl Measure {
    /// Refuse a file of which so many frames were decoded, or are promised by the header.
    pub(super) fn check(&self, path: &Path, frames: u64) -> Result<()> {
        let Self { limits: Limits { max_seconds, .. }, rate, target_rate, .. } = *self;
        if frames as f64 / f64::from(rate) > max_seconds {
            let reason = format!(
                "longer than {max_seconds} s: at least {frames} samples at {rate} Hz; \
                 give max_seconds to read longer recordings"
            );
            return Err(Error::decode(path, reason));
        }
        let decoded = self.bytes(frames);
        if decoded > ALWAYS.max(self.file_bytes.saturating_mul(MAX_EXPANSION)) {
            let reason = format!(
                "{} bytes that stand for {decoded} and more bytes of samples, above {MAX_EXPANSION} for one: \
                 no encoder writes such a file",
                self.file_bytes
            );
            return Err(Error::decode(path, reason));
        }
        let resampled = self.bytes(Self::resampled(frames, rate, target_rate));
        if resampled > ALWAYS.max(decoded.saturating_mul(MAX_UPSAMPLING)) {
            let reason = format!(
                "the header says a sample rate of {rate} Hz, of which {target_rate} Hz are more than \
                 {MAX_UPSAMPLING} times as many"
            );
            return Err(Error::decode(path, reason));
        }
        if resampled > self.limits.max_bytes {
            return Err(short_of_memory(path, self.limits));
        }
        Ok(())
    }

    /// Frames after resampling.
    pub(super) fn resampled(frames: u64, rate: u32, target_rate: u32) -> u64 {
        let frames = u128::from(frames) * u128::from(target_rate);
        u64::try_from(frames.div_ceil(u128::from(rate))).unwrap_or(u64::MAX)
    }

    fn bytes(&self, frames: u64) -> u64 {
        frames.saturating_mul(4 * self.channels as u64)
    }
}

/// The error of a file that is too much beside what its call has read already, or by itself.
pub(super) fn short_of_memory(path: &Path, Limits { max_bytes, .. }: Limits) -> Error {
    let gib = max_bytes as f64 / f64::from(1 << 30);
    let reason = format!(
        "more samples than one call may decode ({gib} GiB); give it fewer files, or read this one in blocks"
    );
    Error::Memory { path: path.to_owned(), reason }
}

/// The bytes that the files of a call may still take, all threads together.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) limits: Limits,
    taken: AtomicU64,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, taken: AtomicU64::new(0) })
    }

    /// Bytes that are taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// What one file has taken of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Charge {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    pub(super) fn limits(&self) -> Limits {
        self.budget.limits
    }

    /// Take as much more as makes so many bytes in all; false where there is not as much left.
    pub(super) fn raise(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let most = self.budget.limits.max_bytes;
        let raised = |taken: u64| taken.checked_add(more).filter(|&sum| sum <= most);
        let taken = self.budget.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// Give back all but so many bytes.
    pub(super) fn lower(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.budget.taken.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of float32 that are reserved for each byte of a file before anything is decoded, whatever its header says.
const RESERVED_AHEAD: u64 = 16;

/// Frames to reserve room for at once, of those that the header promises.
pub(super) fn reserved_ahead(info: &Info, file_bytes: u64, channels: usize) -> u64 {
    info.frames.unwrap_or(0).min(file_bytes.saturating_mul(RESERVED_AHEAD) / (4 * channels as u64))
}
