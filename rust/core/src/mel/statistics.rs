//! Statistics over time of clips and files: spectrograms live as long as their clip's turn.

use super::input::Samples;
use super::logmel::{LogMel, LogMelScratch};
use crate::decode::{ChannelChoice, ClipMemory, Limits, OnError, Reader};
use crate::par::{self, Cancel};
use crate::statistics::{self, ClipRow, ClipStatistics, Rhythm, RhythmScratch, StatisticsScratch};
use crate::{Error, Result, memory};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What is computed of each clip.
pub struct StatisticsPlan<'a> {
    logmel: &'a LogMel,
    fine: Vec<&'a LogMel>,
    rhythm: Option<Rhythm>,
}

impl<'a> StatisticsPlan<'a> {
    /// Statistics of each band of `logmel`, the means of those of each of `fine`, and the rhythm of `logmel`.
    ///
    /// # Errors
    /// [`Error::Parameter`] if one of `fine` has another sample rate, or half the frame rate is too low for a rhythm.
    pub fn new(logmel: &'a LogMel, fine: Vec<&'a LogMel>, rhythm: bool) -> Result<Self> {
        let settings = logmel.settings();
        if let Some(fine) = fine.iter().find(|fine| fine.settings().sample_rate != settings.sample_rate) {
            let given = format!("a log-Mel of {} Hz", fine.settings().sample_rate);
            let expected = format!("one of {} Hz, as the other has", settings.sample_rate);
            return Err(Error::parameter("fine", given, expected));
        }
        let frame_rate_hz = f64::from(settings.sample_rate) / settings.hop_length as f64;
        let of_rate = || Rhythm::new(frame_rate_hz, Rhythm::BANDS, Rhythm::RATES, Rhythm::LOWEST_HZ);
        Ok(Self { logmel, fine, rhythm: rhythm.then(of_rate).transpose()? })
    }

    /// The rate of the clips in Hz.
    pub(super) fn sample_rate(&self) -> u32 {
        self.logmel.settings().sample_rate
    }

    /// What stands for a clip that could not be read.
    #[must_use]
    pub fn missing(&self) -> ClipRow {
        let fine_mels = self.fine.iter().map(|fine| fine.n_mels()).sum();
        ClipRow::missing(self.logmel.n_mels(), fine_mels, self.rhythm.as_ref().map_or(0, Rhythm::size))
    }
}

/// A worker that keeps no spectrogram.
pub(super) struct Worker<'a> {
    plan: &'a StatisticsPlan<'a>,
    /// Of all spectrograms: each takes the memory that the one before has left in the processor's cache.
    logmel: LogMelScratch,
    /// The spectrogram of the clip, one after the other; it does not shrink.
    decibels: Vec<f32>,
    statistics: StatisticsScratch,
    rhythm: RhythmScratch,
}

impl<'a> Worker<'a> {
    pub(super) fn new(plan: &'a StatisticsPlan<'a>) -> Self {
        let level = plan.logmel.level();
        Self {
            plan,
            logmel: plan
                .fine
                .iter()
                .map(|fine| fine.scratch())
                .fold(plan.logmel.scratch(), LogMelScratch::larger),
            decibels: Vec::new(),
            statistics: StatisticsScratch::new(level),
            rhythm: RhythmScratch::new(level),
        }
    }

    /// Everything of one clip.
    pub(super) fn of(&mut self, clip: Samples<'_>, cancel: &Cancel) -> Result<ClipRow> {
        let StatisticsPlan { logmel, fine, rhythm } = self.plan;
        let n_mels = logmel.n_mels();
        let decibels = spectrogram(logmel, &mut self.logmel, clip, &mut self.decibels, cancel)?;
        let bands = statistics::clip(decibels, n_mels, &mut self.statistics, cancel)?;
        let of_rhythm = |rhythm| statistics::rhythm(rhythm, decibels, n_mels, &mut self.rhythm, cancel);
        let rhythm = rhythm.as_ref().map(of_rhythm).transpose()?.unwrap_or_default();
        let mut fine_mean = Vec::new();
        for fine in fine {
            let decibels = spectrogram(fine, &mut self.logmel, clip, &mut self.decibels, cancel)?;
            fine_mean.extend(statistics::means(decibels, fine.n_mels(), fine.level()));
        }
        Ok(ClipRow { bands, fine_mean, rhythm })
    }
}

/// The decibels of a clip, which take the place of another's.
fn spectrogram<'a>(
    plan: &LogMel,
    scratch: &mut LogMelScratch,
    clip: Samples<'_>,
    memory: &'a mut Vec<f32>,
    cancel: &Cancel,
) -> Result<&'a [f32]> {
    let size = plan.n_mels().saturating_mul(plan.frames(clip.len())?);
    if memory.len() < size {
        memory::resize(memory, size, 0.0)?;
    }
    plan.process_into(scratch, clip, &mut memory[..size], cancel)?;
    Ok(&memory[..size])
}

/// Statistics over time of clips of any length, `(clips, n_mels)` each.
///
/// # Errors
/// As [`batch`](super::batch()).
pub fn statistics(
    plan: &StatisticsPlan<'_>,
    clips: &[Samples<'_>],
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<ClipStatistics> {
    let work = |worker: &mut Worker<'_>, index: usize, clip: &Samples<'_>| {
        worker.of(*clip, cancel).map_err(|error| error.in_array(format!("batch[{index}]")))
    };
    let rows = par::map(clips.iter().collect(), threads, cancel, || Worker::new(plan), work)?;
    let mut statistics = ClipStatistics::default();
    rows.iter().for_each(|row| statistics.push(row));
    Ok(statistics)
}

/// Statistics over time of each file of any length.
///
/// # Errors
/// [`Error::Interrupted`]; with [`OnError::Stop`] also those of [`each_from_files`](super::each_from_files).
pub fn statistics_from_files(
    plan: &StatisticsPlan<'_>,
    paths: &[PathBuf],
    channel: ChannelChoice,
    limits: Limits,
    on_error: OnError,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<Result<ClipRow>>> {
    let reader = Reader::new(channel, Some(plan.logmel.settings().sample_rate), limits)?;
    let scratch = || (ClipMemory::default(), Worker::new(plan));
    let work = |(memory, worker): &mut (ClipMemory, Worker<'_>), _, path: &Path| {
        reader.with_clip(path, memory, cancel, |clip| {
            worker.of(Samples::F32(clip), cancel).map_err(|error| error.in_file(path))
        })
    };
    reader.map(paths, on_error, threads, cancel, scratch, work)
}
