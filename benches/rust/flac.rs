//! A FLAC encoder that suffices for inputs: second differences, Rice-coded in one partition.

use crate::inputs::integers;

/// Samples of a frame.
const BLOCK: usize = 4096;

/// The channels as a FLAC file of 16 bits.
pub(crate) fn encode(channels: &[Vec<f32>], rate_hz: u32) -> Vec<u8> {
    let channels: Vec<Vec<i16>> = channels.iter().map(|channel| integers(channel)).collect();
    let samples = channels[0].len();
    let mut info = Bits::default();
    info.put(16, BLOCK as u64);
    info.put(16, BLOCK as u64);
    info.put(48, 0); // sizes of frames: unknown
    info.put(20, u64::from(rate_hz));
    info.put(3, channels.len() as u64 - 1);
    info.put(5, 15);
    info.put(36, samples as u64);
    let mut out = b"fLaC\x80\0\0\x22".to_vec();
    out.extend(info.bytes);
    out.extend([0; 16]); // checksum of the samples: unknown
    for (number, start) in (0..samples).step_by(BLOCK).enumerate() {
        let end = samples.min(start + BLOCK);
        let parts: Vec<&[i16]> = channels.iter().map(|channel| &channel[start..end]).collect();
        out.extend(frame(number, &parts));
    }
    out
}

fn frame(number: usize, channels: &[&[i16]]) -> Vec<u8> {
    assert!(number < 128, "the coded number of a frame is kept to one byte");
    let mut bits = Bits::default();
    bits.put(16, 0xfff8);
    bits.put(8, 0x70); // the block's size follows in 16 bits, the rate stands in the file's header
    bits.put(4, channels.len() as u64 - 1);
    bits.put(4, 0b1000); // 16 bits a sample
    bits.put(8, number as u64);
    bits.put(16, channels[0].len() as u64 - 1);
    let header = checksum(&bits.bytes, 8, 0x07);
    bits.put(8, header);
    channels.iter().for_each(|channel| subframe(&mut bits, channel));
    bits.align();
    let whole = checksum(&bits.bytes, 16, 0x8005);
    bits.put(16, whole);
    bits.bytes
}

fn subframe(bits: &mut Bits, samples: &[i16]) {
    bits.put(8, 0b0001_0100); // fixed predictor of order 2
    let warm_up = samples.len().min(2);
    samples[..warm_up].iter().for_each(|&x| bits.put(16, u64::from(x as u16)));
    let wide = |i: usize| i64::from(samples[i]);
    let folded = |rest: i64| ((rest << 1) ^ (rest >> 63)) as u64;
    let rests: Vec<u64> =
        (warm_up..samples.len()).map(|i| folded(wide(i) - 2 * wide(i - 1) + wide(i - 2))).collect();
    let mean = rests.iter().sum::<u64>() / rests.len().max(1) as u64;
    let low = u64::from(mean.max(1).ilog2().min(14));
    bits.put(6, 0); // Rice codes with parameters of 4 bits, one partition
    bits.put(4, low);
    for rest in rests {
        (0..rest >> low).for_each(|_| bits.put(1, 0));
        bits.put(1, 1);
        bits.put(low as u32, rest & ((1 << low) - 1));
    }
}

fn checksum(bytes: &[u8], width: u32, polynomial: u64) -> u64 {
    let (top, mask) = (1 << (width - 1), (1 << width) - 1);
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u64::from(byte) << (width - 8)), |crc, _| {
            ((crc << 1) ^ if crc & top == 0 { 0 } else { polynomial }) & mask
        })
    })
}

/// Bits, the highest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    free: u32,
}

impl Bits {
    fn put(&mut self, count: u32, value: u64) {
        for place in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((value >> place) & 1) as u8) << self.free;
            }
        }
    }

    fn align(&mut self) {
        self.free = 0;
    }
}
