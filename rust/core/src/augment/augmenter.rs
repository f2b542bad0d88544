//! One augmentation of several, drawn for each clip.

use super::checks::{check_length, check_range};
use super::class::Class;
use super::fade::{Shape, fade};
use super::mask::{Band, mask_bands};
use super::noise::white_noise;
use super::pitch_shift::{PitchScratch, SEMITONES, shift_into};
use super::time_shift::time_shift;
use super::time_stretch::{RATES, stretched_length};
use super::vocoder::Vocoder;
use crate::par::{self, Cancel};
use crate::rng::RandomStream;
use crate::{Error, Result, samples};
use std::cmp::Reverse;
use std::num::NonZeroUsize;

/// The ranges from which parameters are drawn uniformly, each as (low, high).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranges {
    /// Signal-to-noise ratio of the white noise.
    pub snr_db: (f64, f64),
    /// Circular shift.
    pub shift_s: (f64, f64),
    /// Rate of the time stretch: 2 plays twice as fast.
    pub stretch_rate: (f64, f64),
    /// Pitch shift.
    pub pitch_semitones: (f64, f64),
    /// Largest width of a mask as a part of its axis.
    pub mask_fraction: f64,
}

impl Ranges {
    fn check(&self) -> Result<()> {
        let pairs = [
            ("snr_db", self.snr_db, (-100.0, 200.0)),
            ("shift_s", self.shift_s, (-1e6, 1e6)),
            ("stretch_rate", self.stretch_rate, RATES),
            ("pitch_semitones", self.pitch_semitones, (-SEMITONES, SEMITONES)),
        ];
        for (name, (low, high), (least, most)) in pairs {
            check_range(name, low, least, most)?;
            check_range(name, high, least, most)?;
            if low > high {
                return Err(Error::parameter(
                    name,
                    format!("({low}, {high})"),
                    "(low, high) with low <= high",
                ));
            }
        }
        check_mask_fraction(self.mask_fraction)
    }
}

fn check_mask_fraction(fraction: f64) -> Result<()> {
    check_range("mask_fraction", fraction, 0.0, 1.0)
}

/// What a clip's augmentation depends on, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Seed of the training run.
    pub seed: u64,
    /// Epoch of the training run.
    pub epoch: u64,
    /// Number of the clip in its data set.
    pub clip: u64,
    /// How often the clip has come up in this epoch before.
    pub occurrence: u64,
}

impl Key {
    /// The stream of a purpose: what one purpose takes never moves the numbers of another.
    fn stream(self, purpose: u64) -> RandomStream {
        RandomStream::new(&[self.seed, self.epoch, self.clip, self.occurrence, purpose])
    }
}

/// Purposes of the streams of one key.
const PARAMETERS: u64 = 0;
const NOISE: u64 = 1;

/// The time and the frequency band that a clip's log-Mel is to be masked by.
pub type Masks = (Band, Band);

/// What was done to the rows of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmented {
    /// What the rows' log-Mels are to be masked by.
    pub masks: Vec<Masks>,
    /// Positions in the augmenter's list of classes.
    pub classes: Vec<usize>,
}

/// Draws and applies augmentations; shared by all threads.
pub struct Augmenter {
    classes: Vec<Class>,
    ranges: Ranges,
    sample_rate: u32,
    vocoder: &'static Vocoder,
}

/// The working memory of one thread.
pub struct AugmenterScratch(PitchScratch);

impl Augmenter {
    /// An augmenter that draws uniformly among `classes`.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is no class, one stands twice, or a range is out of bounds.
    pub fn new(classes: Vec<Class>, ranges: Ranges, sample_rate: u32) -> Result<Self> {
        check_classes(&classes)?;
        ranges.check()?;
        Ok(Self { classes, ranges, sample_rate, vocoder: Vocoder::new(sample_rate)? })
    }

    /// Working memory for one thread.
    #[must_use]
    pub fn scratch(&self) -> AugmenterScratch {
        AugmenterScratch(PitchScratch::new(self.vocoder))
    }

    /// Augment one clip into `out`, which must be as long; returns the index of the class and the plan of the
    /// masks.
    ///
    /// # Errors
    /// [`Error::Array`] if a sample is not finite or the lengths differ, [`Error::Interrupted`].
    pub fn apply(
        &self,
        clip: &[f32],
        key: Key,
        out: &mut [f32],
        scratch: &mut AugmenterScratch,
        cancel: &Cancel,
    ) -> Result<(usize, Masks)> {
        samples::check(clip, cancel)?;
        check_length(clip, out)?;
        let draw = &mut key.stream(PARAMETERS);
        let (index, class) = self.draw_class(draw);
        let mut masks = Masks::default();
        let ranges = &self.ranges;
        match class {
            Class::None => out.copy_from_slice(clip),
            Class::WhiteNoise => {
                white_noise(clip, within(draw, ranges.snr_db), &mut key.stream(NOISE), out, cancel)?;
            }
            Class::Fade => {
                let longest = clip.len() as u64 / 2 + 1;
                let (fade_in, fade_out) = (draw.below(longest) as usize, draw.below(longest) as usize);
                let shape = Shape::ALL[draw.below(Shape::ALL.len() as u64) as usize];
                out.copy_from_slice(clip);
                fade(None, out, fade_in, fade_out, shape, cancel)?;
            }
            Class::TimeShift => {
                let shift = within(draw, ranges.shift_s) * f64::from(self.sample_rate);
                time_shift(clip, shift.round() as i64, out, cancel)?;
            }
            Class::TimeStretch => {
                let rate = within(draw, ranges.stretch_rate);
                self.stretch_and_fit(clip, rate, out, scratch, cancel)?;
            }
            Class::PitchShift => {
                let semitones = within(draw, ranges.pitch_semitones);
                shift_into(self.vocoder, clip, semitones, out, &mut scratch.0, cancel)?;
            }
            Class::TimeMask | Class::FrequencyMask => {
                out.copy_from_slice(clip);
                masks = draw_masks(class, draw, ranges.mask_fraction);
            }
        }
        Ok((index, masks))
    }

    /// Augment every row of `batch` (rows of `samples` samples, one key for each) into the same row of `out`, by as
    /// many threads as asked for.
    ///
    /// # Errors
    /// [`Error::Array`] if a sample is not finite, or the keys, `out` and the rows differ in number;
    /// [`Error::Interrupted`].
    pub fn apply_batch(
        &self,
        batch: &[f32],
        samples: usize,
        keys: &[Key],
        out: &mut [f32],
        threads: Option<NonZeroUsize>,
        cancel: &Cancel,
    ) -> Result<Augmented> {
        if batch.len() != samples * keys.len() {
            let given = format!("{} keys for {} samples in rows of {samples}", keys.len(), batch.len());
            return Err(Error::array("batch", given, "one key for each row"));
        }
        check_length(batch, out)?;
        let mut rest = out;
        let mut rows = Vec::with_capacity(keys.len());
        for (i, &key) in keys.iter().enumerate() {
            let (row, others) = rest.split_at_mut(samples);
            rest = others;
            rows.push((i, &batch[i * samples..(i + 1) * samples], key, row));
        }
        // The longest work first: what is left at the end, when threads run out of it, is short.
        rows.sort_by_cached_key(|&(.., key, _)| {
            Reverse(self.draw_class(&mut key.stream(PARAMETERS)).1.cost())
        });
        type Row<'a> = (usize, &'a [f32], Key, &'a mut [f32]);
        let work = |scratch: &mut AugmenterScratch, _, (i, clip, key, out): Row<'_>| {
            let (class, masks) = self
                .apply(clip, key, out, scratch, cancel)
                .map_err(|error| error.in_array(format!("batch[{i}]")))?;
            Ok((i, class, masks))
        };
        let mut augmented =
            Augmented { masks: vec![Masks::default(); keys.len()], classes: vec![0; keys.len()] };
        let done = par::map(rows, threads, cancel, || self.scratch(), work);
        if matches!(done, Err(Error::Array { .. })) {
            // The order of the work depends on what was drawn; the row that is named does not.
            for (i, clip) in batch.chunks_exact(samples.max(1)).enumerate() {
                samples::check(clip, cancel).map_err(|error| error.in_array(format!("batch[{i}]")))?;
            }
        }
        for (i, class, masks) in done? {
            (augmented.classes[i], augmented.masks[i]) = (class, masks);
        }
        Ok(augmented)
    }

    /// A class with its index: the first draw of a clip's parameters.
    fn draw_class(&self, draw: &mut RandomStream) -> (usize, Class) {
        let index = draw.below(self.classes.len() as u64) as usize;
        (index, self.classes[index])
    }

    /// Stretch a clip, then cut it off or repeat it from its start to fill its length.
    fn stretch_and_fit(
        &self,
        samples: &[f32],
        rate: f64,
        out: &mut [f32],
        scratch: &mut AugmenterScratch,
        cancel: &Cancel,
    ) -> Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let length = stretched_length(samples.len(), rate)?.clamp(1, out.len());
        self.vocoder.stretch_into(samples, rate, &mut out[..length], scratch.0.stretch(), cancel)?;
        for start in (length..out.len()).step_by(length) {
            cancel.check()?;
            out.copy_within(..length.min(out.len() - start), start);
        }
        Ok(())
    }
}

/// Mask each log-Mel of a batch of `shape` (clips, Mel bins, frames) with one of `classes` into `out`; returns the
/// index of each clip's class.
///
/// # Errors
/// [`Error::Parameter`] if a class needs samples, there is none, or the fraction is not within 0 to 1;
/// [`Error::Array`] if a value is not finite or the numbers do not fit, [`Error::Interrupted`].
#[allow(clippy::too_many_arguments)] // no two of one kind
pub fn augment_logmels(
    logmels: &[f32],
    shape: [usize; 3],
    classes: &[Class],
    mask_fraction: f64,
    keys: &[Key],
    out: &mut [f32],
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    check_classes(classes)?;
    check_mask_fraction(mask_fraction)?;
    if let Some(class) = classes.iter().find(|class| !class.acts_on_logmel()) {
        let expected = "only classes that act on a log-Mel: none, time_mask, frequency_mask";
        return Err(Error::parameter("classes", class.name(), expected));
    }
    let size = shape[1] * shape[2];
    if keys.len() != shape[0] || logmels.len() != shape[0] * size || out.len() != logmels.len() {
        let given = format!("{} keys, {} values, {} of `out`", keys.len(), logmels.len(), out.len());
        return Err(Error::array("logmels", given, format!("one key for each clip of shape {shape:?}")));
    }
    if size == 0 {
        return Err(Error::array(
            "logmels",
            format!("shape {shape:?}"),
            "at least one Mel bin and one frame",
        ));
    }
    let work = |(): &mut (), i: usize, (logmel, out): (&[f32], &mut [f32])| {
        let draw = &mut keys[i].stream(PARAMETERS);
        let index = draw.below(classes.len() as u64) as usize;
        let (time, frequency) = draw_masks(classes[index], draw, mask_fraction);
        let masked = mask_bands(Some(logmel), out, shape[2], time, frequency, cancel);
        masked.map_err(|error| error.in_array(format!("logmels[{i}]")))?;
        Ok(index)
    };
    let pairs = logmels.chunks_exact(size).zip(out.chunks_exact_mut(size)).collect();
    par::map(pairs, threads, cancel, || (), work)
}

fn check_classes(classes: &[Class]) -> Result<()> {
    if classes.is_empty() {
        return Err(Error::parameter("classes", "none at all", "at least one class"));
    }
    match (1..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
        Some(i) => Err(Error::parameter("classes", classes[i].name(), "each class once")),
        None => Ok(()),
    }
}

fn within(draw: &mut RandomStream, (low, high): (f64, f64)) -> f64 {
    draw.uniform_in(low, high)
}

/// The bands of a masking class; no bands for any other.
fn draw_masks(class: Class, draw: &mut RandomStream, mask_fraction: f64) -> Masks {
    // 24 bits are exact in single precision: a start below 1 stays below 1. The width is never 0 by chance.
    let width = (mask_fraction * (1.0 - draw.uniform())) as f32;
    let start = (draw.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0);
    let band = Band { start, width };
    match class {
        Class::TimeMask => (band, Band::default()),
        Class::FrequencyMask => (Band::default(), band),
        _ => Masks::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANGES: Ranges = Ranges {
        snr_db: (-6.0, 6.0),
        shift_s: (0.0, 5.0),
        stretch_rate: (0.5, 2.0),
        pitch_semitones: (-10.0, 10.0),
        mask_fraction: 0.1,
    };

    fn clip(length: usize) -> Vec<f32> {
        (0..length).map(|i| (0.05 * i as f32).sin() * 0.3 + (0.9 * i as f32).cos() * 0.1).collect()
    }

    fn keys(seed: u64, clips: std::ops::Range<u64>) -> Vec<Key> {
        clips.map(|clip| Key { seed, epoch: 0, clip, occurrence: 0 }).collect()
    }

    fn apply(classes: &[Class], batch: &[f32], keys: &[Key], threads: usize) -> (Vec<f32>, Augmented) {
        let augmenter = Augmenter::new(classes.to_vec(), RANGES, 16_000).unwrap();
        let (threads, cancel, length) =
            (NonZeroUsize::new(threads), Cancel::default(), batch.len() / keys.len());
        let mut out = vec![f32::NAN; batch.len()];
        let done = augmenter.apply_batch(batch, length, keys, &mut out, threads, &cancel).unwrap();
        (out, done)
    }

    #[test]
    fn threads_and_the_rest_of_the_batch_change_nothing() {
        let batch = clip(3000).repeat(40);
        let all = apply(&Class::ALL, &batch, &keys(7, 0..40), 1);
        assert_eq!(all, apply(&Class::ALL, &batch, &keys(7, 0..40), 3));
        let (samples, last) = apply(&Class::ALL, &batch[..3000 * 10], &keys(7, 30..40), 2);
        let (all_samples, all) = all;
        assert_eq!(samples, all_samples[3000 * 30..]);
        assert_eq!((&last.classes[..], &last.masks[..]), (&all.classes[30..], &all.masks[30..]));
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let key = keys(1, 1..2)[0];
        let batch = clip(500);
        let base = apply(&[Class::WhiteNoise], &batch, &[key], 1);
        let (mut seed, mut epoch, mut number, mut occurrence) = (key, key, key, key);
        seed.seed += 1;
        epoch.epoch += 1;
        number.clip += 1;
        occurrence.occurrence += 1;
        for other in [seed, epoch, number, occurrence] {
            assert_ne!(base.0, apply(&[Class::WhiteNoise], &batch, &[other], 1).0);
        }
    }

    #[test]
    fn classes_are_drawn_evenly() {
        let keys = keys(3, 0..8000);
        let drawn = apply(&Class::ALL, &vec![0.5; 8000], &keys, 2).1.classes;
        for class in 0..8 {
            let count = drawn.iter().filter(|&&c| c == class).count();
            assert!((880..=1120).contains(&count), "class {class}: {count}"); // four standard deviations
        }
    }

    #[test]
    fn masks_are_planned_within_the_ranges() {
        let keys = keys(5, 0..2000);
        let batch = vec![0.5; 2000];
        for (class, other) in [(Class::TimeMask, 1), (Class::FrequencyMask, 0)] {
            let (samples, plan) = apply(&[class], &batch, &keys, 1);
            assert_eq!(samples, batch);
            for &(time, frequency) in &plan.masks {
                let both = [time, frequency];
                let (drawn, none) = (both[1 - other], both[other]);
                assert!((0.0..1.0).contains(&drawn.start) && drawn.width > 0.0 && drawn.width <= 0.1);
                assert_eq!(none, Band::default());
            }
            let widths: Vec<usize> =
                plan.masks.iter().map(|m| [m.0, m.1][1 - other].bins(313).len()).collect();
            assert_eq!((widths.iter().min(), widths.iter().max()), (Some(&1), Some(&31)));
        }
    }

    #[test]
    fn a_fast_clip_is_repeated_from_its_start() {
        let augmenter = Augmenter::new(vec![Class::TimeStretch], RANGES, 16_000).unwrap();
        let (samples, mut out) = (clip(8000), vec![0.0; 8000]);
        augmenter
            .stretch_and_fit(&samples, 1.6, &mut out, &mut augmenter.scratch(), &Cancel::default())
            .unwrap();
        assert_eq!(out[..3000], out[5000..]);
    }

    #[test]
    fn bad_settings_are_refused() {
        let refused = |classes: &[Class], ranges| {
            Augmenter::new(classes.to_vec(), ranges, 16_000).err().unwrap().to_string()
        };
        assert_eq!(refused(&[], RANGES), "classes = none at all: expected at least one class");
        assert_eq!(refused(&[Class::Fade; 2], RANGES), "classes = fade: expected each class once");
        let bad = Ranges { snr_db: (6.0, -6.0), ..RANGES };
        assert_eq!(refused(&Class::ALL, bad), "snr_db = (6, -6): expected (low, high) with low <= high");
        for bad in [
            Ranges { stretch_rate: (0.0, 1.0), ..RANGES },
            Ranges { pitch_semitones: (f64::NAN, 1.0), ..RANGES },
            Ranges { shift_s: (0.0, f64::INFINITY), ..RANGES },
            Ranges { mask_fraction: 1.1, ..RANGES },
        ] {
            assert!(refused(&Class::ALL, bad).contains("expected a number from"));
        }
    }

    #[test]
    fn a_bad_sample_is_named_with_its_clip() {
        let augmenter = Augmenter::new(Class::ALL.to_vec(), RANGES, 16_000).unwrap();
        let (mut batch, mut out) = ([0.0; 30], [0.0; 30]);
        batch[25] = f32::NAN;
        let refused = |batch: &[f32], seed, clips, out: &mut [f32]| {
            let result =
                augmenter.apply_batch(batch, 10, &keys(seed, 0..clips), out, None, &Cancel::default());
            result.unwrap_err().to_string()
        };
        assert!(refused(&batch, 0, 3, &mut out).starts_with("batch[2]: NaN at position 5"));
        assert!(refused(&batch, 0, 2, &mut out).starts_with("batch: 2 keys"));
        assert!(refused(&batch, 0, 3, &mut out[1..]).starts_with("out: 29 samples; expected 30"));
        batch[3] = f32::INFINITY;
        for seed in 0..20 {
            assert!(refused(&batch, seed, 3, &mut out).starts_with("batch[0]: inf at position 3"));
        }
    }

    #[test]
    fn logmels_are_masked_and_other_classes_refused() {
        let logmels: Vec<f32> = (0..6 * 20 * 30).map(|i| (i % 97) as f32).collect();
        let classes = [Class::None, Class::TimeMask, Class::FrequencyMask];
        let run = |classes: &[Class]| {
            let (mut out, keys, cancel) = (vec![f32::NAN; logmels.len()], keys(2, 0..6), Cancel::default());
            augment_logmels(&logmels, [6, 20, 30], classes, 0.5, &keys, &mut out, None, &cancel)
                .map(|drawn| (out, drawn))
        };
        let (masked, drawn) = run(&classes).unwrap();
        for (i, &class) in drawn.iter().enumerate() {
            let clip = i * 600..(i + 1) * 600;
            assert_eq!(masked[clip.clone()] == logmels[clip], classes[class] == Class::None);
        }
        assert!(run(&[Class::Fade]).unwrap_err().to_string().starts_with("classes = fade: expected only"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_clip_comes_back_finite_and_as_long(
            samples in prop::collection::vec(-1.0_f32..=1.0, 0..2000),
            seed in any::<u64>(),
        ) {
            for class in Class::ALL {
                let augmenter = Augmenter::new(vec![class], RANGES, 16_000).unwrap();
                let mut out = vec![f32::NAN; samples.len()];
                let key = Key { seed, epoch: 0, clip: 0, occurrence: 0 };
                let mut scratch = augmenter.scratch();
                augmenter.apply(&samples, key, &mut out, &mut scratch, &Cancel::default()).unwrap();
                prop_assert!(out.iter().all(|x| x.is_finite()));
            }
        }
    }
}
