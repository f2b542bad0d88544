//! Memory for the channels of a recording that is written once: nobody zeroes it first.

use super::{Kernel, SimdLevel, Vector};
use std::collections::TryReserveError;
use std::mem::MaybeUninit;

/// ChannelBuffer of equal length, one after the other, that grow by some frames at a time.
#[derive(Debug, Default)]
pub(crate) struct ChannelBuffer {
    /// Of length 0: what is written lies in its spare capacity.
    memory: Vec<f32>,
    channels: usize,
    /// Places of each channel.
    room: usize,
    /// Places of each channel that are written, from its beginning on: by `push`, `push_zeros` and `push_int16` alone.
    frames: usize,
}

impl ChannelBuffer {
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels, ..Self::default() }
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Frames that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Frames that are written.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Forget what is written, and keep the room.
    pub(crate) fn clear(&mut self) {
        self.frames = 0;
    }

    /// Make room for exactly `frames` frames in all.
    pub(crate) fn reserve(&mut self, frames: usize) -> Result<(), TryReserveError> {
        if frames <= self.room {
            return Ok(());
        }
        let mut memory = Vec::new();
        memory.try_reserve_exact(frames.saturating_mul(self.channels))?;
        let mut grown = Self { memory, channels: self.channels, room: frames, frames: 0 };
        grown.push(self.frames, |channel| self.channel(channel, 0).iter().copied());
        *self = grown;
        Ok(())
    }

    /// What is written of a channel, from one frame on.
    pub(crate) fn channel(&self, channel: usize, from: usize) -> &[f32] {
        assert!(channel < self.channels && from <= self.frames && self.frames <= self.room);
        let begin = self.memory.as_ptr().wrapping_add(channel * self.room + from);
        // SAFETY: the first `frames` places of each of the `channels` channels of `room` places are written, and the
        // capacity holds them all.
        unsafe { std::slice::from_raw_parts(begin, self.frames - from) }
    }

    /// Write `count` more frames, the values of each channel in turn; there must be at least as many, and room for
    /// `count`.
    #[inline(always)]
    pub(crate) fn push<I: Iterator<Item = f32>>(&mut self, count: usize, values: impl Fn(usize) -> I) {
        for channel in 0..self.channels {
            let mut written = 0;
            for (place, value) in self.places(channel, count).iter_mut().zip(values(channel)) {
                place.write(value);
                written += 1;
            }
            assert!(written == count, "a channel got {written} values in place of {count}");
        }
        self.frames += count;
    }

    /// Write `count` more frames of zeros, for which there must be room, and give those of each channel in turn to
    /// `work`; where it fails, they are not written.
    pub(crate) fn push_zeros<E>(
        &mut self,
        count: usize,
        mut work: impl FnMut(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        for channel in 0..self.channels {
            let places = self.places(channel, count);
            places.fill(MaybeUninit::new(0.0));
            // SAFETY: the same places, exclusively borrowed, all of them written just now.
            work(channel, unsafe { &mut *(std::ptr::from_mut(places) as *mut [f32]) })?;
        }
        self.frames += count;
        Ok(())
    }

    /// Write frames of `channels` interleaved little-endian 16-bit integers, scaled by 1/32768: all channels, or one.
    pub(crate) fn push_int16(
        &mut self,
        level: SimdLevel,
        samples: &[[u8; 2]],
        channels: usize,
        one: Option<usize>,
    ) {
        assert!(self.channels == if one.is_some() { 1 } else { channels });
        assert!(one.unwrap_or(0) < channels && samples.len().is_multiple_of(channels));
        level.run(PushInt16 { buffer: self, samples, channels, one });
    }

    /// All channels, one after the other.
    pub(crate) fn into_samples(mut self) -> Vec<f32> {
        let Self { channels, room, frames, .. } = self;
        let places = self.memory.spare_capacity_mut();
        // In place, because there may be no memory for as many once more; each moves down, onto room or a channel
        // that has moved already.
        for channel in 1..channels {
            places.copy_within(channel * room..channel * room + frames, channel * frames);
        }
        let len = channels * frames;
        assert!(frames <= room && len <= self.memory.capacity());
        // SAFETY: the first `frames` places of each channel are written, and stand one after the other now: they are
        // the first `len` places.
        unsafe { self.memory.set_len(len) };
        self.memory
    }

    /// The next `count` places of a channel.
    #[inline(always)]
    fn places(&mut self, channel: usize, count: usize) -> &mut [MaybeUninit<f32>] {
        assert!(count <= self.room - self.frames, "no room for {count} more frames");
        let begin = channel * self.room + self.frames;
        &mut self.memory.spare_capacity_mut()[begin..begin + count]
    }
}

struct PushInt16<'a> {
    buffer: &'a mut ChannelBuffer,
    samples: &'a [[u8; 2]],
    channels: usize,
    one: Option<usize>,
}

impl Kernel for PushInt16<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { buffer, samples, channels, one } = self;
        match (channels, one) {
            (1, _) => buffer.push(samples.len(), |_| samples.iter().map(|&sample| scaled(sample))),
            (2, None) => spread::<2>(buffer, samples),
            (4, None) => spread::<4>(buffer, samples),
            (8, None) => {
                let done = eights::<V>(buffer, samples);
                spread::<8>(buffer, &samples[8 * done..]);
            }
            (8, Some(channel)) => {
                let done = one_of_eight::<V>(buffer, samples, channel);
                let (frames, _) = samples[8 * done..].as_chunks::<8>();
                buffer.push(frames.len(), |_| frames.iter().map(|frame| scaled(frame[channel])));
            }
            _ => buffer.push(samples.len() / channels, |index| {
                let channel = one.unwrap_or(index);
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
fn spread<const CHANNELS: usize>(buffer: &mut ChannelBuffer, samples: &[[u8; 2]]) {
    let (frames, _) = samples.as_chunks::<CHANNELS>();
    buffer.push(frames.len(), |channel| frames.iter().map(move |frame| scaled(frame[channel])));
}

/// As many frames of eight channels as fill vectors; returns their number.
#[inline(always)]
fn eights<V: Vector>(buffer: &mut ChannelBuffer, samples: &[[u8; 2]]) -> usize {
    let frames = whole_frames::<V>(samples);
    let (room, begin) = (buffer.room, buffer.frames);
    assert!(frames.len() <= room - begin, "no room for {} more frames", frames.len());
    let places = &mut buffer.memory.spare_capacity_mut()[..8 * room];
    for (index, frames) in frames.chunks_exact(V::LANES).enumerate() {
        for (channel, values) in V::int16_eights(frames).into_iter().enumerate() {
            let at = channel * room + begin + index * V::LANES;
            (values * V::splat(INT16)).store_fresh(&mut places[at..]);
        }
    }
    buffer.frames += frames.len();
    frames.len()
}

/// One channel of as many frames of eight as fill vectors; returns their number.
#[inline(always)]
fn one_of_eight<V: Vector>(buffer: &mut ChannelBuffer, samples: &[[u8; 2]], channel: usize) -> usize {
    let frames = whole_frames::<V>(samples);
    let places = buffer.places(0, frames.len());
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
    buffer.frames += frames.len();
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
    fn channels_grow_and_keep_what_they_hold() {
        let mut buffer = ChannelBuffer::new(3);
        let mut expected = vec![Vec::new(); 3];
        for (step, count) in [0, 1, 5, 17, 100].into_iter().enumerate() {
            buffer.reserve(buffer.frames() + count + (step + 1) % 2).unwrap();
            let value = |channel: usize, i: usize| (1000 * step + 300 * channel + i) as f32;
            buffer.push(count, |channel| (0..count).map(move |i| value(channel, i)));
            for (channel, expected) in expected.iter_mut().enumerate() {
                expected.extend((0..count).map(|i| value(channel, i)));
                assert_eq!(buffer.channel(channel, 0), expected);
            }
        }
        assert!(buffer.room() > buffer.frames());
        let place = buffer.channel(0, 0).as_ptr();
        let samples = buffer.into_samples();
        assert_eq!(samples, expected.concat());
        assert_eq!(samples.as_ptr(), place, "joined in place");
    }

    #[test]
    fn zeros_are_kept_only_if_the_work_on_them_succeeds() {
        let mut buffer = ChannelBuffer::new(2);
        buffer.reserve(5).unwrap();
        buffer.push(1, |channel| std::iter::once(7.0 + channel as f32));
        let work = |failing: bool| {
            move |channel: usize, zeros: &mut [f32]| {
                assert_eq!(zeros, [0.0; 2]);
                zeros[0] = 1.0 + channel as f32;
                if failing && channel == 1 { Err("no") } else { Ok(()) }
            }
        };
        assert_eq!(buffer.push_zeros(2, work(true)), Err("no"));
        assert_eq!(buffer.frames(), 1);
        assert_eq!(buffer.push_zeros(2, work(false)), Ok(()));
        assert_eq!(buffer.into_samples(), [7.0, 1.0, 0.0, 8.0, 2.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "3 values in place of 4")]
    fn too_few_values_are_no_uninitialised_memory() {
        let mut buffer = ChannelBuffer::new(1);
        buffer.reserve(4).unwrap();
        buffer.push(4, |_| [0.0; 3].into_iter());
    }

    #[test]
    #[should_panic(expected = "no room")]
    fn more_than_there_is_room_for_is_refused() {
        let mut buffer = ChannelBuffer::new(8);
        buffer.reserve(63).unwrap();
        buffer.push_int16(SimdLevel::best(), &[[0; 2]; 8 * 64], 8, None);
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
            for level in SimdLevel::all() {
                let mut buffer = ChannelBuffer::new(if one.is_some() { 1 } else { channels });
                buffer.reserve(frames).unwrap();
                let (first, second) = samples[..frames * channels].split_at(cut * channels);
                buffer.push_int16(level, first, channels, one);
                buffer.push_int16(level, second, channels, one);
                prop_assert_eq!(buffer.into_samples(), expected.clone());
            }
        }
    }
}
