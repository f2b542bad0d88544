//! Frames of a clip side by side, one in each lane, to bands in decibels.

use super::decibels::Decibels;
use super::input::Padded;
use super::logmel::{LogMel, LogMelScratch};
use super::range::{self, RANGE_DB, SURE_DB, Sums, Way};
use super::settings::{Settings, Spectrum};
use super::stft::FrameGroup;
use crate::simd::{Aligned, MAX_LANES, Vector, vectors};
use crate::{Result, memory};

/// Some of the frames of a group: a bit for each.
type Frames = u32;

/// A frame that was too deep for the ways it was done by, or may have been done by a faster one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    frame: usize,
    /// A bit for each way that it is too deep for.
    too_deep: u8,
}

/// The frames of a clip, as many at a time as there are lanes, or fewer.
pub(super) struct Group<'a> {
    plan: &'a LogMel,
    clip: Padded<'a>,
    scratch: &'a mut LogMelScratch,
    /// All decibels of the clip, `(n_mels, frames)`.
    out: &'a mut [f32],
    frames: usize,
    decibels: Decibels,
    /// Frames that were taken.
    taken: usize,
    /// Whether all samples of those are finite and in range, and how many were looked at.
    in_range: bool,
    checked: usize,
    /// The way of most of them.
    usual: Way,
    /// Which frames of the clip are in the lanes.
    places: [usize; MAX_LANES],
    count: usize,
    /// Whether they follow one another.
    in_a_row: bool,
    too_deep: TooDeep,
}

impl<'a> Group<'a> {
    #[inline(always)]
    pub(super) fn new(
        plan: &'a LogMel,
        (clip, frames): (Padded<'a>, usize),
        scratch: &'a mut LogMelScratch,
        out: &'a mut [f32],
    ) -> Self {
        scratch.waiting.iter_mut().for_each(Vec::clear);
        Self {
            plan,
            clip,
            scratch,
            out,
            frames,
            decibels: Decibels::new(plan.settings()),
            taken: 0,
            in_range: true,
            checked: 0,
            usual: Way::Plain,
            places: [0; MAX_LANES],
            count: 0,
            in_a_row: true,
            too_deep: TooDeep::default(),
        }
    }

    /// Take frames, and say by which way they are to be done: as many as there are lanes that wait for one, or else the
    /// next ones of the clip, or at its end any that wait.
    #[inline(always)]
    pub(super) fn take(&mut self, lanes: usize) -> Result<Option<Way>> {
        let least = if self.taken < self.frames { lanes } else { 1 };
        let waiting = |way: &Way| self.scratch.waiting[*way as usize].len() >= least;
        if let Some(way) = Way::ALL.into_iter().find(waiting) {
            self.take_waiting(way, lanes)?;
            return Ok(Some(way));
        }
        if self.taken == self.frames {
            return Ok(None);
        }
        self.take_next(lanes);
        Ok(Some(self.usual))
    }

    /// Whether all samples of the clip are finite and in range, when there are no more frames.
    #[inline(always)]
    pub(super) fn all_in_range(&self) -> bool {
        self.in_range && self.clip.samples.are_in_range(self.checked..self.clip.samples.len())
    }

    #[inline(always)]
    fn take_next(&mut self, lanes: usize) {
        let &Settings { n_fft, hop_length, .. } = self.plan.settings();
        let first = self.taken;
        let samples = &mut self.scratch.frames[..self.plan.group_length()];
        if hop_length <= n_fft {
            self.clip.fill(first * hop_length, samples);
        } else {
            for (lane, frame) in samples.chunks_exact_mut(n_fft).enumerate() {
                self.clip.fill((first + lane) * hop_length, frame);
            }
        }
        // Each sample is looked at once, while it is near: up to the end of this group.
        let end = self.clip.samples.len().min((first + lanes) * hop_length);
        self.in_range &= self.clip.samples.are_in_range(self.checked..end);
        self.checked = end;
        self.places = std::array::from_fn(|lane| first + lane);
        (self.count, self.in_a_row) = (lanes.min(self.frames - first), true);
        (self.taken, self.too_deep) = (first + self.count, TooDeep::default());
    }

    #[inline(always)]
    fn take_waiting(&mut self, way: Way, lanes: usize) -> Result<()> {
        let &Settings { n_fft, hop_length, .. } = self.plan.settings();
        let queue = &mut self.scratch.waiting[way as usize];
        let frames = queue.split_off(queue.len().saturating_sub(lanes));
        (self.count, self.in_a_row, self.too_deep) = (frames.len(), false, TooDeep::default());
        let length = (lanes - 1) * n_fft + self.plan.stft().reads();
        memory::resize(&mut self.scratch.scattered, length, 0.0)?;
        for (lane, waiting) in frames.into_iter().enumerate() {
            self.places[lane] = waiting.frame;
            self.too_deep.add_all(lane, waiting.too_deep);
            let samples = &mut self.scratch.scattered[lane * n_fft..][..n_fft];
            self.clip.fill(waiting.frame * hop_length, samples);
        }
        Ok(())
    }

    /// Do the frames in a way. Those wait for another one that were too deep for it, or may not be for a faster one.
    #[inline(always)]
    pub(super) fn run<V: Vector>(&mut self, way: Way) -> Result<()> {
        self.attempt::<V>(way)?;
        let too_deep = self.too_deep;
        let done = too_deep.all_before(way) & !too_deep.of(way);
        if done.trailing_ones() as usize >= self.count {
            return Ok(());
        }
        let mut votes = [0; Way::ALL.len()];
        for lane in 0..self.count {
            let next = if done >> lane & 1 == 1 { way } else { too_deep.next(lane, way) };
            votes[next as usize] += 1;
            if next != way {
                let waiting = Waiting { frame: self.places[lane], too_deep: too_deep.of_frame(lane) };
                self.scratch.waiting[next as usize].push(waiting);
            }
        }
        if self.in_a_row {
            // The next frames are mostly like these.
            let most = votes.iter().copied().max();
            self.usual = Way::ALL.into_iter().find(|&way| Some(votes[way as usize]) == most).unwrap_or(way);
        }
        Ok(())
    }

    #[inline(always)]
    fn samples(&self) -> FrameGroup<'_> {
        if self.in_a_row {
            let samples = &self.scratch.frames[..self.plan.group_length()];
            return FrameGroup { samples, stride: self.plan.frame_stride() };
        }
        FrameGroup { samples: &self.scratch.scattered, stride: self.plan.settings().n_fft }
    }

    /// Write the frames' decibels, and find which are too deep for this way, and what the others tell of faster ways.
    #[inline(always)]
    fn attempt<V: Vector>(&mut self, way: Way) -> Result<()> {
        let plan = self.plan;
        let offsets = if way == Way::Plain { V::splat(0.0) } else { self.offsets() };
        let Sums { frame, transformed } = self.power(way, offsets)?;
        let limits = if way == Way::Difference { plan.great_range().limits() } else { plan.limits() };
        let differences = match way {
            Way::Float64 => plan.great_range().of_differences(self.spectrum()),
            _ => V::splat(0.0),
        };
        let found = self.bands::<V>(limits);
        self.write::<V>();
        let deep = way != Way::Float64 && above_zero(found.depth + self.level(transformed)) != 0;
        if deep {
            let below = self.below(found.greatest, limits, transformed, 0.0);
            self.too_deep.add(way, below);
        }
        if way != Way::Plain {
            let exact = !self.too_deep.of(way);
            let below = exact & self.below(found.greatest, plan.limits(), frame, SURE_DB);
            self.too_deep.add(Way::Plain, below);
            self.too_deep.add(Way::Centred, without_offset(offsets));
        } else if deep {
            let offsets: V = self.offsets();
            self.too_deep.add(Way::Centred, without_offset(offsets));
        }
        if way == Way::Float64 {
            let below = self.below(found.greatest, plan.great_range().limits(), differences, SURE_DB);
            self.too_deep.add(Way::Difference, below);
        }
        Ok(())
    }

    /// See [`range::offsets`].
    #[inline(always)]
    fn offsets<V: Vector>(&self) -> V {
        range::offsets(self.samples(), self.plan.settings().n_fft)
    }

    /// Power spectra of the frames, and their sums.
    #[inline(always)]
    fn power<V: Vector>(&mut self, way: Way, offsets: V) -> Result<Sums<V>> {
        let plan = self.plan;
        let stft = plan.stft();
        let LogMelScratch { frames, scattered, buffers, spectrum, halves, .. } = &mut *self.scratch;
        let group = match self.in_a_row {
            true => FrameGroup { samples: &frames[..plan.group_length()], stride: plan.frame_stride() },
            false => FrameGroup { samples: &*scattered, stride: plan.settings().n_fft },
        };
        let power = &mut vectors::<V>(spectrum)[..stft.bins()];
        if way == Way::Float64 {
            halves.iter_mut().try_for_each(|half| Aligned::make_room(plan.level(), power.len(), half))?;
            let frame = plan.great_range().float64(group, buffers, halves, power);
            return Ok(Sums { frame, transformed: frame });
        }
        let buffers = buffers.each_mut().map(|buffer| &mut vectors::<V>(buffer)[..stft.room()]);
        Ok(match way {
            Way::Difference => plan.great_range().difference(stft, group, buffers, power),
            Way::Centred => plan.great_range().centred(stft, group, offsets, buffers, power),
            _ => {
                let frame = stft.power(group, buffers, power);
                Sums { frame, transformed: frame }
            }
        })
    }

    #[inline(always)]
    fn spectrum<V: Vector>(&mut self) -> &mut [V] {
        &mut vectors::<V>(&mut self.scratch.spectrum)[..self.plan.stft().bins()]
    }

    /// Decibels of the mean power of all bins, whose sum is given.
    #[inline(always)]
    fn level<V: Vector>(&self, sum: V) -> V {
        let mean = sum * V::splat(1.0 / self.plan.stft().bins() as f32);
        self.decibels.of_mean(mean, self.plan.settings().spectrum)
    }

    /// Decibels of all bands, and what they show.
    #[inline(always)]
    fn bands<V: Vector>(&mut self, limits: &[f32]) -> Found<V> {
        let (plan, decibels) = (self.plan, self.decibels);
        if plan.settings().spectrum == Spectrum::Magnitude {
            for bin in self.spectrum::<V>() {
                *bin = bin.sqrt();
            }
        }
        let LogMelScratch { spectrum, bands, .. } = &mut *self.scratch;
        let spectrum = &vectors::<V>(spectrum)[..plan.stft().bins()];
        let bands = &mut vectors::<V>(bands)[..limits.len()];
        let [mut depth, mut greatest] = [V::splat(f32::MIN); 2];
        plan.bank().apply(spectrum, |mel, sum| {
            let db = decibels.of(sum);
            depth = depth.max(V::splat(limits[mel]) - db);
            greatest = greatest.max(db);
            bands[mel] = db;
        });
        Found { greatest, depth }
    }

    /// Write the decibels where the frames belong.
    #[inline(always)]
    fn write<V: Vector>(&mut self) {
        let places = &self.places[..self.count];
        let bands = vectors::<V>(&mut self.scratch.bands);
        for (row, &db) in self.out.chunks_exact_mut(self.frames).zip(&*bands) {
            if self.in_a_row {
                put(db, &mut row[places[0]..][..places.len()]);
            } else {
                let mut all = [0.0; MAX_LANES];
                db.store(&mut all);
                places.iter().zip(all).for_each(|(&place, db)| row[place] = db);
            }
        }
    }

    /// The frames that have a band which counts, and whose mean lies too deep below that of all bins; both by some decibels.
    #[inline(always)]
    fn below<V: Vector>(&mut self, greatest: V, limits: &[f32], sum: V, by_db: f32) -> Frames {
        let level = self.level(sum);
        let least = self.decibels.of(V::splat(0.0)).max(greatest - V::splat(RANGE_DB));
        let mut below = V::splat(f32::MIN);
        for (&db, &limit) in vectors::<V>(&mut self.scratch.bands).iter().zip(limits) {
            below = below.max((db - least).min(level + V::splat(limit) - db));
        }
        above_zero(below - V::splat(by_db))
    }
}

/// For each way the frames that are known to be too deep for it.
#[derive(Clone, Copy, Default)]
struct TooDeep([Frames; Way::ALL.len()]);

impl TooDeep {
    fn add(&mut self, way: Way, frames: Frames) {
        self.0[way as usize] |= frames;
    }

    fn of(self, way: Way) -> Frames {
        self.0[way as usize]
    }

    /// Those for all ways before one.
    fn all_before(self, way: Way) -> Frames {
        self.0[..way as usize].iter().fold(Frames::MAX, |all, frames| all & frames)
    }

    /// A bit for each way that a frame is too deep for.
    fn of_frame(self, lane: usize) -> u8 {
        self.0.iter().rev().fold(0, |bits, frames| bits << 1 | (frames >> lane & 1) as u8)
    }

    /// The opposite.
    fn add_all(&mut self, lane: usize, bits: u8) {
        for (way, frames) in self.0.iter_mut().enumerate() {
            *frames |= Frames::from(bits >> way & 1) << lane;
        }
    }

    /// The fastest way that a frame may not be too deep for: after one that it is too deep for, of those behind it.
    fn next(self, lane: usize, way: Way) -> Way {
        let is = |way: Way| self.of(way) >> lane & 1 == 1;
        let from = if is(way) { way as usize } else { 0 };
        Way::ALL[from..].iter().copied().find(|&way| !is(way)).unwrap_or(Way::Float64)
    }
}

/// What decibels of frames have shown.
struct Found<V> {
    /// The greatest of each frame.
    greatest: V,
    /// How far a band lies below its limit at most.
    depth: V,
}

/// The frames whose number is greater than 0.
#[inline(always)]
fn above_zero<V: Vector>(numbers: V) -> Frames {
    let mut lanes = [0.0; MAX_LANES];
    numbers.store(&mut lanes);
    lanes.iter().enumerate().fold(0, |frames, (lane, &number)| frames | Frames::from(number > 0.0) << lane)
}

/// The frames whose offset is 0.
#[inline(always)]
fn without_offset<V: Vector>(offsets: V) -> Frames {
    !above_zero(offsets.max(V::splat(0.0) - offsets))
}

/// Write the lanes that stand for a frame.
#[inline(always)]
fn put<V: Vector>(lanes: V, out: &mut [f32]) {
    if out.len() == V::LANES {
        lanes.store(out);
    } else {
        let mut all = [0.0; MAX_LANES];
        lanes.store(&mut all);
        out.copy_from_slice(&all[..out.len()]);
    }
}
