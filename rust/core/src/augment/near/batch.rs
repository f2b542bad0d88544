//! A batch of log-Mels, each with one kind of near anomaly.

use super::draw::{Purpose, draw};
use super::kernel::{Alteration, Scratch, check_deviations};
use super::kind::Kind;
use crate::par::{self, Cancel};
use crate::{Error, Result};
use std::num::NonZeroUsize;

/// Change each log-Mel of a batch of `shape` (clips, Mel bins, frames) by one of `kinds` into `out`; returns the index of
/// each clip's kind.
///
/// The kind is drawn uniformly from the clip's seed, then the parameters as [`draw`] draws them: neither depends on the
/// other clips or on the number of threads. `deviations_db` are those of each clip's bins, row by row.
///
/// # Errors
/// [`Error::Parameter`] if there is no kind; [`Error::Array`] as [`super::near_anomaly`], and if the numbers do not fit;
/// [`Error::Interrupted`].
#[allow(clippy::too_many_arguments)] // no two of one kind but the last arrays
pub fn near_anomalies(
    logmels: &[f32],
    shape: [usize; 3],
    kinds: &[Kind],
    deviations_db: &[f32],
    seeds: &[u64],
    out: &mut [f32],
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    let [clips, n_mels, frames] = shape;
    let size = n_mels * frames;
    if kinds.is_empty() {
        return Err(Error::parameter("kinds", "none at all", "at least one kind"));
    }
    if size == 0 {
        let given = format!("shape {shape:?}");
        return Err(Error::array("logmels", given, "at least one Mel bin and one frame"));
    }
    if [logmels.len(), out.len()] != [clips * size; 2]
        || deviations_db.len() != clips * n_mels
        || seeds.len() != clips
    {
        let given = format!(
            "{} values, {} of `out`, {} deviations, {} seeds",
            logmels.len(),
            out.len(),
            deviations_db.len(),
            seeds.len()
        );
        return Err(Error::array("logmels", given, format!("as many as shape {shape:?} has")));
    }
    check_deviations(deviations_db)?;
    let rows =
        logmels.chunks_exact(size).zip(deviations_db.chunks_exact(n_mels)).zip(out.chunks_exact_mut(size));
    type Row<'a> = ((&'a [f32], &'a [f32]), &'a mut [f32]);
    let work = |scratch: &mut Scratch, i: usize, ((logmel, deviation_db), out): Row<'_>| {
        let (seed, size) = (seeds[i], [n_mels, frames]);
        let index = Purpose::Kind.stream(seed).below(kinds.len() as u64) as usize;
        let parameters = draw(kinds[index], n_mels, frames, seed);
        Alteration { kind: kinds[index], parameters: &parameters, logmel, size, deviation_db, seed }
            .apply(out, scratch, cancel)
            .map_err(|error| error.in_array(format!("logmels[{i}]")))?;
        Ok(index)
    };
    par::map(rows.collect(), threads, cancel, Scratch::default, work)
}
