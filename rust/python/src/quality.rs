//! What can be seen of a clip's samples alone.

use crate::arrays::{Values, matrix};
use crate::call::{self, Cost};
use numpy::ndarray::Ix1;
use numpy::{PyArray1, PyArray2};
use offkey_core::quality::{self, ClipQuality};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

/// How many measurements there are of a clip, the content aside.
const COLUMNS: usize = 6;

/// Measurements (clips, 6), and the content of each clip (clips,): hashes that are equal for equal samples.
type Quality<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<u64>>);

/// Lowest and highest sample, mean square, shares clipped, at full scale and still, of clips of any length.
#[pyfunction]
fn clip_quality<'py>(
    py: Python<'py>,
    clips: Vec<Bound<'py, PyArray1<f32>>>,
    sample_rate: u32,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<Quality<'py>> {
    let borrow = |(index, clip)| Values::<f32, Ix1>::new(&format!("clips[{index}]"), clip);
    let clips = clips.iter().enumerate().map(borrow).collect::<PyResult<Vec<_>>>()?;
    let clips: Vec<&[f32]> = clips.iter().map(|clip| &**clip).collect();
    let cost = Cost::of(clips.iter().map(|clip| clip.len()).sum(), 2);
    let all = call::run(py, cost, |cancel| quality::measure(&clips, sample_rate, num_threads, cancel))?;
    let rows = all.iter().flat_map(|clip| {
        let ClipQuality { low, high, mean_square, clipped, full_scale, still, content: _ } = *clip;
        [f64::from(low), f64::from(high), mean_square, clipped, full_scale, still]
    });
    let rows = matrix(py, rows.collect(), [all.len(), COLUMNS])?;
    Ok((rows, PyArray1::from_iter(py, all.iter().map(|clip| clip.content))))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(clip_quality, module)?)
}
