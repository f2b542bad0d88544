//! The clips of a batch in few blocks of memory, for which the system has large pages: a page of 4 KiB that is touched
//! for the first time costs as much as decoding what goes into it.

use crate::arrays::{Places, output};
use numpy::{Ix1, PyArray1, PyArrayMethods};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PySlice;

/// Samples of a block that holds several clips, 32 MiB: a clip that is kept keeps no more than that.
const BLOCK: usize = 1 << 23;

/// Samples of a cache line, at which each clip begins.
const LINE: usize = 16;

/// An array for each block, and where the clips are.
pub(crate) struct ClipArrays<'py> {
    arrays: Vec<Bound<'py, PyArray1<f32>>>,
    spans: Vec<Option<Span>>,
}

#[derive(Clone, Copy)]
struct Span {
    block: usize,
    start: usize,
    length: usize,
}

impl<'py> ClipArrays<'py> {
    /// Room for clips of these lengths; those of length 0 have none, nor those for which there is no memory.
    pub(crate) fn new(py: Python<'py>, lengths: &[usize]) -> PyResult<Self> {
        let (mut spans, sizes) = layout(lengths);
        let mut arrays: Vec<Bound<'py, PyArray1<f32>>> = Vec::with_capacity(sizes.len());
        for size in sizes {
            match output(py, None, [size + LINE]) {
                Ok(array) => arrays.push(array),
                Err(error) if error.is_instance_of::<PyMemoryError>(py) => break,
                Err(error) => return Err(error),
            }
        }
        for span in &mut spans {
            *span = span.filter(|span| span.block < arrays.len());
        }
        for Span { block, start, .. } in spans.iter_mut().flatten() {
            *start += arrays[*block].data().addr().wrapping_neg() % (4 * LINE) / 4;
        }
        Ok(Self { arrays, spans })
    }

    pub(crate) fn blocks(&self) -> PyResult<Vec<Places<'py, f32, Ix1>>> {
        self.arrays.iter().map(|array| Places::new("samples", array)).collect()
    }

    /// The place of each clip.
    pub(crate) fn places<'a>(&self, blocks: &'a mut [Places<'py, f32, Ix1>]) -> Vec<&'a mut [f32]> {
        let mut rests: Vec<(usize, &mut [f32])> = blocks.iter_mut().map(|block| (0, &mut **block)).collect();
        let mut places = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let Some(Span { block, start, length }) = *span else {
                places.push(Default::default());
                continue;
            };
            let (begin, rest) = &mut rests[block];
            let (place, behind) = std::mem::take(rest)[start - *begin..].split_at_mut(length);
            (*begin, *rest) = (start + length, behind);
            places.push(place);
        }
        places
    }

    /// The first `count` samples of a clip that has a place.
    pub(crate) fn clip(&self, index: usize, count: usize) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let Span { block, start, .. } = self.spans[index].expect("a clip that has a place");
        let array = &self.arrays[block];
        let slice = PySlice::new(array.py(), start as isize, (start + count) as isize, 1);
        Ok(array.get_item(slice)?.cast_into()?)
    }
}

/// Where clips lie, each at the beginning of a line, and the sizes of the blocks.
fn layout(lengths: &[usize]) -> (Vec<Option<Span>>, Vec<usize>) {
    let mut sizes: Vec<usize> = Vec::new();
    let mut place = |&length: &usize| {
        let lines = length.checked_next_multiple_of(LINE).filter(|&lines| lines > 0)?;
        match sizes.last() {
            Some(size) if size.saturating_add(lines) <= BLOCK => {}
            _ => sizes.push(0),
        }
        let block = sizes.len() - 1;
        let start = sizes[block];
        sizes[block] += lines;
        Some(Span { block, start, length })
    };
    let spans = lengths.iter().map(&mut place).collect();
    (spans, sizes)
}
