//! Memory for the channels of a recording that is written once: nobody zeroes it first.

use super::{Kernel, SimdLevel, Vector};
use std::collections::TryReserveError;
use std::mem::MaybeUninit;

/// Channels of equal length, one after the other, that grow by some frames at a time.
#[derive(Debug, Default)]
pub(crate) struct ChannelBuffer<'a> {
    memory: Memory<'a>,
    channels: usize,
    /// Places of each channel.
    room: usize,
    /// Places of each channel that are written, from its beginning on: by `push`, `push_zeros` and `push_int16` alone.
    frames: usize,
}

/// Where the channels lie.
#[derive(Debug)]
enum Memory<'a> {
    /// Of length 0: what is written lies in its spare capacity.
    Own(Vec<f32>),
    /// The caller's, until it is too small.
    Lent(&'a mut [f32]),
}

impl Default for Memory<'_> {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Memory<'_> {
    fn as_ptr(&self) -> *const f32 {
        match self {
            Self::Own(memory) => memory.as_ptr(),
            Self::Lent(memory) => memory.as_ptr(),
        }
    }

    /// All places, written or not.
    #[inline(always)]
    fn places(&mut self) -> &mut [MaybeUninit<f32>] {
        match self {
            Self::Own(memory) => memory.spare_capacity_mut(),
            // SAFETY: the same places, exclusively borrowed; this module only ever writes numbers there.
            Self::Lent(memory) => unsafe { &mut *(std::ptr::from_mut(*memory) as *mut [MaybeUninit<f32>]) },
        }
    }
}

/// Where the samples are in the end.
#[derive(Debug)]
pub(crate) enum Written {
    /// In memory of their own.
    Own(Vec<f32>),
    /// In the first so many places of the caller's.
    Lent(usize),
}

impl<'a> ChannelBuffer<'a> {
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels, ..Self::default() }
    }

    /// In memory that was used before.
    pub(crate) fn reusing(mut memory: Vec<f32>, channels: usize) -> Self {
        memory.clear();
        let room = memory.capacity() / channels;
        Self { memory: Memory::Own(memory), channels, room, frames: 0 }
    }

    /// In memory of the caller's, for as long as there is room.
    pub(crate) fn lent(memory: &'a mut [f32], channels: usize) -> Self {
        let room = memory.len() / channels;
        Self { memory: Memory::Lent(memory), channels, room, frames: 0 }
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.channels
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
        let mut grown =
            Self { memory: Memory::Own(memory), channels: self.channels, room: frames, frames: 0 };
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

    /// Write the means of frames of `channels` interleaved little-endian 16-bit integers, scaled by 1/32768: each the
    /// float32 that is nearest.
    pub(crate) fn push_int16_means(&mut self, level: SimdLevel, samples: &[[u8; 2]], channels: usize) {
        assert!(self.channels == 1 && samples.len().is_multiple_of(channels));
        level.run(PushInt16Means { buffer: self, samples, channels });
    }

    /// All channels, one after the other.
    pub(crate) fn into_samples(mut self) -> Written {
        let Self { channels, room, frames, .. } = self;
        let places = self.memory.places();
        // In place, because there may be no memory for as many once more; each moves down, onto room or a channel
        // that has moved already.
        for channel in 1..channels {
            places.copy_within(channel * room..channel * room + frames, channel * frames);
        }
        let len = channels * frames;
        assert!(frames <= room && len <= places.len());
        match self.memory {
            Memory::Own(mut memory) => {
                // SAFETY: the first `frames` places of each channel are written, and stand one after the other now:
                // they are the first `len` places.
                unsafe { memory.set_len(len) };
                Written::Own(memory)
            }
            Memory::Lent(_) => Written::Lent(len),
        }
    }

    /// The memory alone, for other channels.
    pub(crate) fn into_memory(self) -> Vec<f32> {
        match self.memory {
            Memory::Own(memory) => memory,
            Memory::Lent(_) => Vec::new(),
        }
    }

    /// The next `count` places of a channel.
    #[inline(always)]
    fn places(&mut self, channel: usize, count: usize) -> &mut [MaybeUninit<f32>] {
        assert!(count <= self.room - self.frames, "no room for {count} more frames");
        let begin = channel * self.room + self.frames;
        &mut self.memory.places()[begin..begin + count]
    }
}

struct PushInt16<'a, 'b> {
    buffer: &'a mut ChannelBuffer<'b>,
    samples: &'a [[u8; 2]],
    channels: usize,
    one: Option<usize>,
}

impl Kernel for PushInt16<'_, '_> {
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

struct PushInt16Means<'a, 'b> {
    buffer: &'a mut ChannelBuffer<'b>,
    samples: &'a [[u8; 2]],
    channels: usize,
}

impl Kernel for PushInt16Means<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { buffer, samples, channels } = self;
        match channels {
            1 => buffer.push(samples.len(), |_| samples.iter().map(|&sample| scaled(sample))),
            2 => {
                let (frames, _) = samples.as_flattened().as_chunks::<4>();
                buffer.push(frames.len(), |_| frames.iter().map(|&frame| mean_of_two(frame)));
            }
            8 => {
                let done = means_of_eight::<V>(buffer, samples);
                means(buffer, &samples[8 * done..], 8);
            }
            _ => means(buffer, samples, channels),
        }
    }
}

/// The halves of a 32-bit integer: no shuffle is needed to add them.
#[inline(always)]
fn mean_of_two(frame: [u8; 4]) -> f32 {
    let both = i32::from_le_bytes(frame);
    (((both << 16) >> 16) + (both >> 16)) as f32 * (INT16 / 2.0)
}

#[inline(always)]
fn means(buffer: &mut ChannelBuffer<'_>, samples: &[[u8; 2]], channels: usize) {
    let mean = |frame: &[[u8; 2]]| {
        let sum: i32 = frame.iter().map(|&sample| i32::from(i16::from_le_bytes(sample))).sum();
        (f64::from(sum) * f64::from(INT16) / channels as f64) as f32
    };
    buffer.push(samples.len() / channels, |_| samples.chunks_exact(channels).map(mean));
}

/// The means of as many frames of eight channels as fill vectors; returns their number. Sums of eight 16-bit integers are
/// exact in float32.
#[inline(always)]
fn means_of_eight<V: Vector>(buffer: &mut ChannelBuffer<'_>, samples: &[[u8; 2]]) -> usize {
    let frames = whole_frames::<V>(samples);
    let places = buffer.places(0, frames.len());
    for (frames, places) in frames.chunks_exact(V::LANES).zip(places.chunks_exact_mut(V::LANES)) {
        let [a, b, c, d, e, f, g, h] = V::int16_eights(frames);
        let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
        (sum * V::splat(INT16 / 8.0)).store_fresh(places);
    }
    buffer.frames += frames.len();
    frames.len()
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
    let places = &mut buffer.memory.places()[..8 * room];
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
#[path = "channel_buffer_tests.rs"]
mod tests;
