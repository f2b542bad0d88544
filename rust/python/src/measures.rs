//! Sound files measured on a thread of their own, some at a time, while Python looks at those before them.

use crate::audio::{choice_of_channel, limits};
use crate::call::{self, Stream};
use crate::features::{LogMel, StatisticsArrays, statistics_arrays};
use crate::quality::quality_rows;
use numpy::{PyArray1, PyArray2};
use offkey_core::mel::{self, FileMeasures, Outcome, StatisticsPlan};
use offkey_core::statistics::{ClipRow, ClipStatistics};
use pyo3::prelude::*;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// `(sample_rate, channels, frames or None, format, subtype)` of a file's header.
type Header = (u32, usize, Option<u64>, &'static str, &'static str);

/// Of some files: statistics and quality of the clips that were measured, one row each; the samples of every file's
/// clip, 0 of one that was not; the header of every file, or `None`; the exceptions of those that have no clip, and
/// which are too long, by position.
type Measures<'py> = (
    StatisticsArrays<'py>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<i64>>,
    Vec<Option<Header>>,
    Vec<(usize, Py<PyAny>)>,
    Vec<usize>,
);

/// Files that are measured in the order in which they were put in, several calls' worth of them ahead.
#[pyclass(frozen, module = "offkey._native")]
pub(crate) struct FileMeasurer {
    stream: Stream<Vec<PathBuf>, Vec<FileMeasures>>,
    /// What stands for a clip, which says how wide the arrays are.
    missing: ClipRow,
}

#[pymethods]
impl FileMeasurer {
    #[new]
    #[pyo3(signature = (logmel, *, fine, rhythm, channel, max_seconds, most_samples, num_threads))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn new(
        logmel: &Bound<'_, LogMel>,
        fine: Vec<Bound<'_, LogMel>>,
        rhythm: bool,
        channel: Option<usize>,
        max_seconds: f64,
        most_samples: usize,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Self> {
        let logmel = logmel.get().plan();
        let fine: Vec<_> = fine.iter().map(|fine| fine.get().plan()).collect();
        let missing = statistics_plan(&logmel, &fine, rhythm).map_err(call::exception)?.missing();
        let (channel, limits) = (choice_of_channel(channel), limits(max_seconds));
        let stream = Stream::new(move |paths: Vec<PathBuf>, cancel| {
            let plan = statistics_plan(&logmel, &fine, rhythm)?;
            mel::measure_files(&plan, &paths, channel, limits, most_samples, num_threads, cancel)
        });
        Ok(Self { stream, missing })
    }

    /// Files to be measured after those that were put in before.
    fn put(&self, paths: Vec<PathBuf>) {
        self.stream.put(paths);
    }

    /// The files that were put in first, and not yet taken out.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Measures<'py>> {
        let files = self.stream.take(py)?;
        let mut statistics = ClipStatistics::default();
        let (mut quality, mut samples, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut errors, mut long) = (Vec::new(), Vec::new());
        for (index, FileMeasures { info, outcome }) in files.into_iter().enumerate() {
            headers.push(info.map(|info| {
                (info.sample_rate, info.channels, info.frames, info.format.name(), info.subtype)
            }));
            samples.push(match outcome {
                Outcome::Measured(clip) => {
                    statistics.push(&clip.statistics);
                    quality.push(clip.quality);
                    clip.samples as i64
                }
                Outcome::Long => {
                    long.push(index);
                    0
                }
                Outcome::Failed(error) => {
                    errors.push((index, call::exception(error).into_value(py).into_any()));
                    0
                }
            });
        }
        Ok((
            statistics_arrays(py, statistics, quality.len(), &self.missing)?,
            quality_rows(py, quality.iter())?,
            PyArray1::from_vec(py, samples),
            headers,
            errors,
            long,
        ))
    }
}

fn statistics_plan<'a>(
    logmel: &'a mel::LogMel,
    fine: &'a [Arc<mel::LogMel>],
    rhythm: bool,
) -> offkey_core::Result<StatisticsPlan<'a>> {
    StatisticsPlan::new(logmel, fine.iter().map(|fine| &**fine).collect(), rhythm)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FileMeasurer>()
}
