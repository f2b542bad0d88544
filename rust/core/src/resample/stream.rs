//! A signal that arrives in parts, of any length, converted as if it were there as a whole: to the bit.
//!
//! Each stage keeps the stretch of its input that outputs to come depend on, and computes outputs once the stretch
//! holds all that they read. No output depends on which others are computed beside it (see [`super::polyphase`]).

use super::polyphase::{Polyphase, Workspace};
use super::{Resampler, Signal, Stage};
use crate::par::Cancel;
use crate::simd::SimdLevel;
use crate::{Error, Result};
use std::collections::TryReserveError;
use std::ops::Range;
use std::sync::Arc;

/// Outputs that a stage computes at once, as a rule: enough to fill all lanes with long stretches.
const USUAL: u64 = 1 << 16;

/// Outputs that a stage computes at once at most.
const MOST: u64 = 1 << 18;

/// The conversion of one channel.
#[derive(Debug)]
pub struct StreamResampler {
    resampler: Arc<Resampler>,
    /// The input of each stage.
    windows: Vec<Window>,
    /// Samples that were fed.
    fed: u64,
    ended: bool,
    ready: Vec<f32>,
    workspace: Workspace,
}

/// The stretch of a stage's input that is still needed.
#[derive(Debug)]
struct Window {
    /// Index of the first sample that is held.
    start: i64,
    samples: Vec<f32>,
    /// The stage's next output.
    next: i64,
}

impl StreamResampler {
    /// The conversion that was planned, before its first sample.
    #[must_use]
    pub fn new(resampler: Arc<Resampler>) -> Self {
        let mut windows = vec![Window { start: 0, samples: Vec::new(), next: 0 }];
        for stage in resampler.stages.iter().rev().skip(1).rev() {
            let Some(window) = windows.last_mut() else { break };
            window.next = stage.reaches(&(window.start..window.start)).start;
            let start = window.next;
            windows.push(Window { start, samples: Vec::new(), next: 0 });
        }
        Self { resampler, windows, fed: 0, ended: false, ready: Vec::new(), workspace: Workspace::default() }
    }

    /// Take more samples.
    ///
    /// # Errors
    /// Where there is no memory for them.
    pub fn feed(&mut self, samples: &[f32]) -> std::result::Result<(), TryReserveError> {
        let held = &mut self.windows[0].samples;
        held.try_reserve(samples.len())?;
        held.extend_from_slice(samples);
        self.fed += samples.len() as u64;
        Ok(())
    }

    /// Say that no more samples come: what follows is silence.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Compute some more outputs, 262,144 at most; returns how many. None: the rest waits for more samples, or for the
    /// end to be told; behind that all have been computed.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Array`] where there is no memory for them.
    pub fn advance(&mut self, cancel: &Cancel) -> Result<usize> {
        self.ready.clear();
        if self.resampler.stages.is_empty() {
            std::mem::swap(&mut self.ready, &mut self.windows[0].samples);
        }
        while self.ready.is_empty() && self.step(cancel)? {}
        Ok(self.ready.len())
    }

    /// Let each stage compute what it can; false where none can.
    fn step(&mut self, cancel: &Cancel) -> Result<bool> {
        let Self { resampler, windows, ready, workspace, ended, fed, .. } = self;
        let level = resampler.level;
        let total = resampler.len(*fed) as i64;
        let (mut ended, mut any) = (*ended, false);
        for (index, stage) in resampler.stages.iter().enumerate() {
            let (before, after) = windows.split_at_mut(index + 1);
            let Some(window) = before.last_mut() else { break };
            let (out, total) = match after.first_mut() {
                Some(next) => (&mut next.samples, None),
                None => (&mut *ready, Some(total)),
            };
            let end = window.end(stage, ended, total);
            let outputs = window.outputs(stage, level, end, ended);
            any |= !outputs.is_empty();
            window.convert(stage, outputs, out, workspace, level, cancel)?;
            ended &= window.next >= end;
        }
        Ok(any)
    }

    /// The outputs that [`StreamResampler::advance`] computed.
    #[must_use]
    pub fn outputs(&self) -> &[f32] {
        &self.ready
    }
}

impl Window {
    /// The end of the outputs that can be computed from what is held; `total` is that of the last stage.
    fn end(&self, stage: &Stage, ended: bool, total: Option<i64>) -> i64 {
        let held = self.start..self.start + self.samples.len() as i64;
        match (ended, total) {
            (false, _) => stage.complete(held.end),
            (true, Some(total)) => total,
            (true, None) => stage.reaches(&held).end,
        }
    }

    /// The outputs to compute now, of those up to `end`.
    fn outputs(&self, stage: &Stage, level: SimdLevel, end: i64, ended: bool) -> Range<i64> {
        let count = u64::try_from(end - self.next).unwrap_or(0);
        // Whole periods in each lane of two vectors leave none idle.
        let period = match 2 * level.lanes() as u64 * stage.phases {
            long if long > MOST => MOST,
            period => period,
        };
        let usual = USUAL.next_multiple_of(period).min(MOST / period * period);
        let count = match count {
            _ if ended && count <= MOST => count,
            _ if count >= usual => count.min(MOST) / period * period,
            _ => 0,
        };
        self.next..self.next + count as i64
    }

    /// Append outputs to others, and forget the input that none of the outputs to come needs.
    fn convert(
        &mut self,
        stage: &Stage,
        outputs: Range<i64>,
        out: &mut Vec<f32>,
        workspace: &mut Workspace,
        level: SimdLevel,
        cancel: &Cancel,
    ) -> Result<()> {
        if outputs.is_empty() {
            return Ok(());
        }
        let (begin, count) = (out.len(), (outputs.end - outputs.start) as usize);
        out.try_reserve(count).map_err(|_| {
            Error::array("samples", format!("{count} more samples"), "no more than there is memory for")
        })?;
        out.resize(begin + count, 0.0);
        let signal = Signal { start: self.start, samples: &self.samples };
        let out = &mut out[begin..];
        level.run(Polyphase { stage, signal, first: outputs.start, out, workspace, level, cancel })?;
        self.next = outputs.end;
        let needed = stage.reads(&(self.next..self.next + 1)).start;
        let passed = usize::try_from(needed - self.start).unwrap_or(0).min(self.samples.len());
        self.samples.drain(..passed);
        self.start += passed as i64;
        Ok(())
    }
}
