//! What can be seen of a clip's samples alone.

use crate::arrays::{Values, matrix};
use crate::call::{self, Cost};
use numpy::ndarray::Ix1;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use offkey_core::quality::{self, ClipQuality};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

/// How many measurements there are of a clip.
const COLUMNS: usize = 6;

/// Lowest and highest sample, mean square, shares clipped, at full scale and still, of clips of any length:
/// `(clips, 6)`.
#[pyfunction]
fn clip_quality<'py>(
    py: Python<'py>,
    clips: Vec<Bound<'py, PyArray1<f32>>>,
    sample_rate: u32,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let clips = borrowed(&clips)?;
    let clips = slices(&clips);
    let all =
        call::run(py, cost(&clips), |cancel| quality::measure(&clips, sample_rate, num_threads, cancel))?;
    quality_rows(py, all.iter())
}

/// Hashes of clips, `(clips,)`, that are equal for equal samples.
#[pyfunction]
fn clip_contents<'py>(
    py: Python<'py>,
    clips: Vec<Bound<'py, PyArray1<f32>>>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let clips = borrowed(&clips)?;
    let clips = slices(&clips);
    let all = call::run(py, cost(&clips), |cancel| quality::contents(&clips, num_threads, cancel))?;
    Ok(all.into_pyarray(py))
}

/// A clip that nothing writes to for as long as the call takes.
type Clip<'py> = Values<'py, f32, Ix1>;

fn borrowed<'py>(clips: &[Bound<'py, PyArray1<f32>>]) -> PyResult<Vec<Clip<'py>>> {
    clips.iter().enumerate().map(|(index, clip)| Values::new(&format!("clips[{index}]"), clip)).collect()
}

fn slices<'a>(clips: &'a [Clip<'_>]) -> Vec<&'a [f32]> {
    clips.iter().map(|clip| &**clip).collect()
}

fn cost(clips: &[&[f32]]) -> Cost {
    Cost::of(clips.iter().map(|clip| clip.len()).sum(), 2)
}

/// The measurements of clips as an array.
pub(crate) fn quality_rows<'py, 'a>(
    py: Python<'py>,
    clips: impl ExactSizeIterator<Item = &'a ClipQuality>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let count = clips.len();
    let rows = clips.flat_map(|clip| {
        let ClipQuality { low, high, mean_square, clipped, full_scale, still } = *clip;
        [f64::from(low), f64::from(high), mean_square, clipped, full_scale, still]
    });
    matrix(py, rows.collect(), [count, COLUMNS])
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(clip_contents, module)?)?;
    module.add_function(wrap_pyfunction!(clip_quality, module)?)
}
