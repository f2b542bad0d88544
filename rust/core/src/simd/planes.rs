//! Memory for the channels of a recording that is written once: nobody zeroes it first.

use super::{Kernel, Level, Vector};
use std::collections::TryReserveError;
use std::mem::MaybeUninit;

/// Planes of equal length, one after the other, that grow by some frames at a time.
#[derive(Debug, Default)]
pub(crate) struct Planes {
    /// Of length 0: what is written lies in its spare capacity.
    memory: Vec<f32>,
    planes: usize,
    /// Places of each plane.
    room: usize,
    /// Places of each plane that are written, from its beginning on: by `push` and `push_int16` alone.
    frames: usize,
}

impl Planes {
    pub(crate) fn new(planes: usize) -> Self {
        Self { planes, ..Self::default() }
    }

    /// Number of planes.
    pub(crate) fn count(&self) -> usize {
        self.planes
    }

    /// Frames that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Frames that are written.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Make room for exactly `frames` frames in all.
    pub(crate) fn reserve(&mut self, frames: usize) -> Result<(), TryReserveError> {
        if frames <= self.room {
            return Ok(());
        }
        let mut memory = Vec::new();
        memory.try_reserve_exact(frames.saturating_mul(self.planes))?;
        let mut grown = Self { memory, planes: self.planes, room: frames, frames: 0 };
        grown.push(self.frames, |plane| self.plane(plane, 0).iter().copied());
        *self = grown;
        Ok(())
    }

    /// What is written of a plane, from one frame on.
    pub(crate) fn plane(&self, plane: usize, from: usize) -> &[f32] {
        assert!(plane < self.planes && from <= self.frames && self.frames <= self.room);
        let begin = self.memory.as_ptr().wrapping_add(plane * self.room + from);
        // SAFETY: the first `frames` places of each of the `planes` planes of `room` places are written, and the
        // capacity holds them all.
        unsafe { std::slice::from_raw_parts(begin, self.frames - from) }
    }

    /// Write `count` more frames, the values of each plane in turn; there must be at least as many, and room for
    /// `count`.
    #[inline(always)]
    pub(crate) fn push<I: Iterator<Item = f32>>(&mut self, count: usize, values: impl Fn(usize) -> I) {
        for plane in 0..self.planes {
            let mut written = 0;
            for (place, value) in self.places(plane, count).iter_mut().zip(values(plane)) {
                place.write(value);
                written += 1;
            }
            assert!(written == count, "a plane got {written} values in place of {count}");
        }
        self.frames += count;
    }

    /// Write frames of `channels` interleaved little-endian 16-bit integers, scaled by 1/32768: all channels, or one.
    pub(crate) fn push_int16(
        &mut self,
        level: Level,
        samples: &[[u8; 2]],
        channels: usize,
        one: Option<usize>,
    ) {
        assert!(self.planes == if one.is_some() { 1 } else { channels });
        assert!(one.unwrap_or(0) < channels && samples.len().is_multiple_of(channels));
        level.run(PushInt16 { planes: self, samples, channels, one });
    }

    /// All planes, one after the other.
    pub(crate) fn into_samples(mut self) -> Vec<f32> {
        let Self { planes, room, frames, .. } = self;
        let places = self.memory.spare_capacity_mut();
        // In place, because there may be no memory for as many once more; each moves down, onto room or a plane that
        // has moved already.
        for plane in 1..planes {
            places.copy_within(plane * room..plane * room + frames, plane * frames);
        }
        let len = planes * frames;
        assert!(frames <= room && len <= self.memory.capacity());
        // SAFETY: the first `frames` places of each plane are written, and stand one after the other now: they are
        // the first `len` places.
        unsafe { self.memory.set_len(len) };
        self.memory
    }

    /// The next `count` places of a plane.
    #[inline(always)]
    fn places(&mut self, plane: usize, count: usize) -> &mut [MaybeUninit<f32>] {
        assert!(count <= self.room - self.frames, "no room for {count} more frames");
        let begin = plane * self.room + self.frames;
        &mut self.memory.spare_capacity_mut()[begin..begin + count]
    }
}

struct PushInt16<'a> {
    planes: &'a mut Planes,
    samples: &'a [[u8; 2]],
    channels: usize,
    one: Option<usize>,
}

impl Kernel for PushInt16<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { planes, samples, channels, one } = self;
        match (channels, one) {
            (1, _) => planes.push(samples.len(), |_| samples.iter().map(|&sample| scaled(sample))),
            (2, None) => spread::<2>(planes, samples),
            (4, None) => spread::<4>(planes, samples),
            (8, None) => {
                let done = eights::<V>(planes, samples);
                spread::<8>(planes, &samples[8 * done..]);
            }
            (8, Some(channel)) => {
                let done = one_of_eight::<V>(planes, samples, channel);
                let (frames, _) = samples[8 * done..].as_chunks::<8>();
                planes.push(frames.len(), |_| frames.iter().map(|frame| scaled(frame[channel])));
            }
            _ => planes.push(samples.len() / channels, |plane| {
                let channel = one.unwrap_or(plane);
                samples.chunks_exact(channels).map(move |frame| scaled(frame[channel]))
            }),
        }
    }
}

#[inline(always)]
fn scaled(sample: [u8; 2]) -> f32 {
    f32::from(i16::from_le_bytes(sample)) * INT16
}

/// What full scale of 16 bits is scaled by, as soundfile does.
pub(crate) const INT16: f32 = 1.0 / 32768.0;

/// A number of channels that the compiler knows, so that it makes shuffles of it.
#[inline(always)]
fn spread<const CHANNELS: usize>(planes: &mut Planes, samples: &[[u8; 2]]) {
    let (frames, _) = samples.as_chunks::<CHANNELS>();
    planes.push(frames.len(), |channel| frames.iter().map(move |frame| scaled(frame[channel])));
}

/// As many frames of eight channels as fill vectors; returns their number.
#[inline(always)]
fn eights<V: Vector>(planes: &mut Planes, samples: &[[u8; 2]]) -> usize {
    let frames = whole_frames::<V>(samples);
    let (room, begin) = (planes.room, planes.frames);
    assert!(frames.len() <= room - begin, "no room for {} more frames", frames.len());
    let places = &mut planes.memory.spare_capacity_mut()[..8 * room];
    for (index, frames) in frames.chunks_exact(V::LANES).enumerate() {
        for (plane, values) in V::int16_eights(frames).into_iter().enumerate() {
            let at = plane * room + begin + index * V::LANES;
            (values * V::splat(INT16)).store_fresh(&mut places[at..]);
        }
    }
    planes.frames += frames.len();
    frames.len()
}

/// One channel of as many frames of eight as fill vectors; returns their number.
#[inline(always)]
fn one_of_eight<V: Vector>(planes: &mut Planes, samples: &[[u8; 2]], channel: usize) -> usize {
    let frames = whole_frames::<V>(samples);
    let places = planes.places(0, frames.len());
    for (frames, places) in frames.chunks_exact(V::LANES).zip(places.chunks_exact_mut(V::LANES)) {
        // A constant index each, so that the other seven are not even computed.
        let values = match channel {
            0 => V::int16_eights(frames)[0],
            1 => V::int16_eights(frames)[1],
            2 => V::int16_eights(frames)[2],
            3 => V::int16_eights(frames)[3],
            4 => V::int16_eights(frames)[4],
            5 => V::int16_eights(frames)[5],
            6 => V::int16_eights(frames)[6],
            _ => V::int16_eights(frames)[7],
        };
        (values * V::splat(INT16)).store_fresh(places);
    }
    planes.frames += frames.len();
    frames.len()
}

#[inline(always)]
fn whole_frames<V: Vector>(samples: &[[u8; 2]]) -> &[[u8; 16]] {
    let (frames, _) = samples.as_flattened().as_chunks::<16>();
    &frames[..frames.len() / V::LANES * V::LANES]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn planes_grow_and_keep_what_they_hold() {
        let mut planes = Planes::new(3);
        let mut expected = vec![Vec::new(); 3];
        for (step, count) in [0, 1, 5, 17, 100].into_iter().enumerate() {
            planes.reserve(planes.frames() + count + (step + 1) % 2).unwrap();
            let value = |plane: usize, i: usize| (1000 * step + 300 * plane + i) as f32;
            planes.push(count, |plane| (0..count).map(move |i| value(plane, i)));
            for (plane, expected) in expected.iter_mut().enumerate() {
                expected.extend((0..count).map(|i| value(plane, i)));
                assert_eq!(planes.plane(plane, 0), expected);
            }
        }
        assert!(planes.room() > planes.frames());
        let place = planes.plane(0, 0).as_ptr();
        let samples = planes.into_samples();
        assert_eq!(samples, expected.concat());
        assert_eq!(samples.as_ptr(), place, "joined in place");
    }

    #[test]
    #[should_panic(expected = "3 values in place of 4")]
    fn too_few_values_are_no_uninitialised_memory() {
        let mut planes = Planes::new(1);
        planes.reserve(4).unwrap();
        planes.push(4, |_| [0.0; 3].into_iter());
    }

    #[test]
    #[should_panic(expected = "no room")]
    fn more_than_there_is_room_for_is_refused() {
        let mut planes = Planes::new(8);
        planes.reserve(63).unwrap();
        planes.push_int16(Level::best(), &[[0; 2]; 8 * 64], 8, None);
    }

    proptest! {
        #[test]
        fn every_level_converts_integers_as_plain_code_does(
            values in prop::collection::vec(any::<i16>(), 1..800),
            channels in 1usize..10,
            chosen in prop::option::of(0usize..10),
            cut in 0usize..50,
        ) {
            let one = chosen.filter(|&channel| channel < channels);
            let samples: Vec<[u8; 2]> = values.iter().map(|x| x.to_le_bytes()).collect();
            let frames = samples.len() / channels;
            let cut = cut.min(frames);
            let plain = |channel: usize| {
                values.chunks_exact(channels).map(move |frame| f32::from(frame[channel]) / 32768.0)
            };
            let expected: Vec<f32> = match one {
                Some(channel) => plain(channel).collect(),
                None => (0..channels).flat_map(plain).collect(),
            };
            for level in Level::all() {
                let mut planes = Planes::new(if one.is_some() { 1 } else { channels });
                planes.reserve(frames).unwrap();
                let (first, second) = samples[..frames * channels].split_at(cut * channels);
                planes.push_int16(level, first, channels, one);
                planes.push_int16(level, second, channels, one);
                prop_assert_eq!(planes.into_samples(), expected.clone());
            }
        }
    }
}
