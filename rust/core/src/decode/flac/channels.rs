//! A frame's subframes, made the channels that they stand for.

use super::Fault;
use super::bits::Bits;
use super::crc::crc16;
use super::frame::{Header, Stereo};
use super::predict::{OUTSIDE, Sample};
use super::subframe::Subframe;
use crate::decode::ChannelChoice;
use crate::decode::output::mean;
use crate::simd::{ChannelBuffer, SimdLevel};
use symphonia::core::checksum::Md5;
use symphonia::core::io::Monitor;

/// The difference of two samples has one bit more; from here on it is held, and summed, in 64.
const WIDE_BITS: u32 = 25;

/// The channels of one frame, in memory that is kept from frame to frame.
pub(super) struct Channels {
    level: SimdLevel,
    bits: u32,
    /// Samples of each channel.
    block: usize,
    /// The channels one after the other.
    samples: Vec<i32>,
    side: Vec<i32>,
    wide_side: Vec<i64>,
}

impl Channels {
    pub(super) fn new(level: SimdLevel, bits: u32) -> Self {
        Self { level, bits, block: 0, samples: vec![], side: vec![], wide_side: vec![] }
    }

    /// Decode what is wanted of a frame that begins with the bytes; returns how many it has.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        header: &Header,
        wanted: ChannelChoice,
    ) -> Result<usize, Fault> {
        self.block = header.block;
        self.samples.resize(header.channels * header.block, 0);
        let mut bits = Bits::new(bytes.get(header.bytes..).unwrap_or_default());
        for index in 0..header.channels {
            let skip = matches!(wanted, ChannelChoice::One(channel) if channel != index);
            self.subframe(&mut bits, header.stereo, index, skip)?;
        }
        let size = header.bytes + bits.byte_position()? + 2;
        let frame = bytes.get(..size).ok_or(Fault::End)?;
        // The last two bytes are the checksum of all before them.
        if crc16(frame) != 0 {
            return Err(Fault::Damaged("a frame fails its checksum"));
        }
        match header.stereo {
            Stereo::Independent => {}
            _ if self.bits < WIDE_BITS => {
                decorrelate(header.stereo, self.bits, &mut self.samples, &self.side)?
            }
            _ => decorrelate(header.stereo, self.bits, &mut self.samples, &self.wide_side)?,
        }
        Ok(size)
    }

    fn subframe(
        &mut self,
        bits: &mut Bits<'_>,
        stereo: Stereo,
        index: usize,
        skip: bool,
    ) -> Result<(), Fault> {
        let Self { level, bits: sample_bits, block, .. } = *self;
        let independent = stereo == Stereo::Independent;
        let difference = !independent && index == usize::from(stereo != Stereo::SideRight);
        // Where channels are coded as differences, each is needed for the other.
        let skip = skip && independent;
        if difference && sample_bits < WIDE_BITS {
            self.side.resize(block, 0);
            level.run(Subframe { bits, sample_bits: sample_bits + 1, samples: &mut self.side, skip })
        } else if difference {
            self.wide_side.resize(block, 0);
            level.run(Subframe { bits, sample_bits: sample_bits + 1, samples: &mut self.wide_side, skip })
        } else {
            let samples = &mut self.samples[index * block..][..block];
            level.run(Subframe { bits, sample_bits, samples, skip })
        }
    }

    /// Add what was chosen to the clip.
    pub(super) fn push(&self, choice: ChannelChoice, out: &mut ChannelBuffer) {
        let scale = 1.0 / (1u32 << (self.bits - 1)) as f32;
        let value = move |&sample: &i32| sample as f32 * scale;
        match choice {
            ChannelChoice::All => out.push(self.block, |index| self.channel(index).iter().map(value)),
            ChannelChoice::One(index) => {
                out.push(self.block, |_| self.channel(index).iter().map(value));
            }
            ChannelChoice::Mean => {
                let count = self.samples.len() / self.block;
                out.push(self.block, |_| {
                    (0..self.block).map(|at| mean((0..count).map(|i| value(&self.channel(i)[at]))))
                });
            }
        }
    }

    /// Add the samples of all channels to their checksum: interleaved, in as few bytes as hold them.
    pub(super) fn add_to(&self, md5: &mut Md5) {
        let bytes = self.bits.div_ceil(8) as usize;
        let mut buffer = Vec::with_capacity(bytes * self.samples.len());
        for at in 0..self.block {
            for sample in self.samples[at..].iter().step_by(self.block) {
                buffer.extend_from_slice(&sample.to_le_bytes()[..bytes]);
            }
        }
        md5.process_buf_bytes(&buffer);
    }

    fn channel(&self, index: usize) -> &[i32] {
        &self.samples[index * self.block..][..self.block]
    }
}

/// The left and the right channel from one of them or their mean, which is there, and their difference.
fn decorrelate<S: Sample>(stereo: Stereo, bits: u32, samples: &mut [i32], side: &[S]) -> Result<(), Fault> {
    let (left, right) = samples.split_at_mut(side.len());
    let mut outside = 0;
    let mut set = |pair: fn(i64, i64, i64) -> (i64, i64)| {
        for ((left, right), side) in left.iter_mut().zip(right.iter_mut()).zip(side) {
            let (l, r) = pair(left.wide(), right.wide(), side.wide());
            (*left, *right) = (i32::narrowed(l), i32::narrowed(r));
            // All bits from the sign on are the same, unless the sample has too many.
            outside |= (l ^ l >> 63 | r ^ r >> 63) >> (bits - 1);
        }
    };
    match stereo {
        Stereo::Independent => {}
        Stereo::LeftSide => set(|left, _, side| (left, left - side)),
        Stereo::SideRight => set(|_, right, side| (right + side, right)),
        Stereo::MidSide => set(|mid, _, side| {
            // The sum of the two is even where their difference is.
            let sum = (2 * mid) | (side & 1);
            ((sum + side) >> 1, (sum - side) >> 1)
        }),
    }
    if outside == 0 { Ok(()) } else { Err(OUTSIDE) }
}
