//! All that scoring wants of sound files whose samples nobody else needs: they are looked at while they are in cache.

use super::input::Samples;
use super::statistics::{StatisticsPlan, Worker};
use crate::decode::{ChannelChoice, ClipMemory, Info, Limits, OnError, Reader};
use crate::par::Cancel;
use crate::quality::{self, ClipQuality, QualityScratch};
use crate::statistics::ClipRow;
use crate::{Error, Result};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What there is to say of one file.
#[derive(Debug)]
pub struct FileMeasures {
    /// Its header, if that can be read.
    pub info: Option<Info>,
    /// What became of its clip.
    pub outcome: Outcome,
}

/// What became of a clip.
#[derive(Debug)]
pub enum Outcome {
    /// It was measured.
    Measured(ClipMeasures),
    /// It has, or may have, too many samples to be read as a whole.
    Long,
    /// It cannot be read, or has no spectrogram.
    Failed(Error),
}

/// What is measured of a clip.
#[derive(Debug)]
pub struct ClipMeasures {
    /// See [`StatisticsPlan`].
    pub statistics: ClipRow,
    /// Level, clipping and silence.
    pub quality: ClipQuality,
    /// How many there are, at the rate of the plan.
    pub samples: usize,
}

/// Header, statistics over time and quality of each file whose clip has `most` samples or fewer.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::Parameter`] as [`Reader::new`].
pub fn measure_files(
    plan: &StatisticsPlan<'_>,
    paths: &[PathBuf],
    channel: ChannelChoice,
    limits: Limits,
    most: usize,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<FileMeasures>> {
    let rate = plan.sample_rate();
    let reader = Reader::new(channel, Some(rate), limits)?;
    let scratch = || (ClipMemory::default(), Worker::new(plan), QualityScratch::default());
    let work = |(memory, worker, spans): &mut (_, Worker<'_>, _), _, path: &Path| {
        let (info, clip) = reader.with_short_clip(path, most, memory, cancel, |samples| {
            let quality = quality::clip(samples, rate, spans);
            let statistics = worker.of(Samples::F32(samples), cancel).map_err(|error| error.in_file(path))?;
            Ok(ClipMeasures { statistics, quality, samples: samples.len() })
        });
        let outcome = match clip {
            Ok(Some(clip)) => Outcome::Measured(clip),
            Ok(None) => Outcome::Long,
            Err(error @ (Error::Interrupted | Error::Memory { .. })) => return Err(error),
            Err(error) => Outcome::Failed(error),
        };
        Ok(FileMeasures { info, outcome })
    };
    let files = reader.map(paths, OnError::Keep, threads, cancel, scratch, work)?;
    let alone = |error| FileMeasures { info: None, outcome: Outcome::Failed(error) };
    Ok(files.into_iter().map(|file| file.unwrap_or_else(alone)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::{LogMel, Settings, statistics_from_files};
    use crate::rng::RandomStream;

    /// 16-bit WAV at 16 kHz.
    fn wav(samples: usize, seed: u64) -> Vec<u8> {
        let mut stream = RandomStream::new(&[seed]);
        let data = 2 * samples as u32;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + data).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend([1, 0, 1, 0]);
        bytes.extend(16_000_u32.to_le_bytes());
        bytes.extend(32_000_u32.to_le_bytes());
        bytes.extend([2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend(data.to_le_bytes());
        bytes.extend((0..samples).flat_map(|_| (stream.uniform_in(-9e3, 9e3) as i16).to_le_bytes()));
        bytes
    }

    #[test]
    fn each_file_is_measured_as_by_calls_of_their_own_and_long_or_bad_ones_are_told_apart() {
        let folder = std::env::temp_dir().join(format!("offkey-measures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = [
            ("a", wav(16_000, 1)),
            ("b", b"no sound".to_vec()),
            ("c", wav(48_000, 2)),
            ("d", wav(20_000, 3)),
        ];
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
        files.iter().zip(&paths).for_each(|((_, bytes), path)| std::fs::write(path, bytes).unwrap());
        let logmel = LogMel::new(Settings::default()).unwrap();
        let plan = StatisticsPlan::new(&logmel, Vec::new(), false).unwrap();
        let (cancel, one) = (Cancel::default(), ChannelChoice::One(0));
        for threads in [1, 3] {
            let threads = NonZeroUsize::new(threads);
            let limits = Limits::default();
            let all = measure_files(&plan, &paths, one, limits, 20_000, threads, &cancel).unwrap();
            assert!(matches!(&all[1], FileMeasures { info: None, outcome: Outcome::Failed(_) }));
            assert!(matches!(all[2].outcome, Outcome::Long));
            assert_eq!(all[2].info.unwrap().frames, Some(48_000));
            for index in [0, 3] {
                let path = std::slice::from_ref(&paths[index]);
                let alone =
                    statistics_from_files(&plan, path, one, limits, OnError::Stop, threads, &cancel).unwrap();
                let clip = Reader::new(one, None, limits).unwrap();
                let clip = clip.read(&paths[index], &mut Default::default(), &cancel).unwrap();
                let quality = quality::measure(&[&clip.samples], 16_000, threads, &cancel).unwrap();
                let Outcome::Measured(measures) = &all[index].outcome else { panic!("{:?}", all[index]) };
                assert_eq!(measures.samples, clip.samples.len());
                assert_eq!(Some(&measures.statistics), alone[0].as_ref().ok());
                assert_eq!(measures.quality, quality[0]);
            }
        }
        cancel.cancel();
        let interrupted = measure_files(&plan, &paths, one, Limits::default(), 20_000, None, &cancel);
        assert!(matches!(interrupted, Err(Error::Interrupted)));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
