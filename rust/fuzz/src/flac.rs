//! A FLAC stream (RFC 9639) from a fuzzer's choices, with checksums that fit, and what it must be read as.
//!
//! Nothing here is sensible as an encoder is: residuals, coefficients and parameters are what the choices say, so
//! that many streams leave the range of their samples. Those must be refused.

use super::Choices;

/// A stream and its samples; `None` where it must be refused.
pub struct Stream {
    /// The file.
    pub bytes: Vec<u8>,
    /// `(channels, frames)`.
    pub channels: Option<Vec<Vec<i64>>>,
    /// Bits of a sample.
    pub bits: u32,
    /// Whether something in a frame was changed before its checksum was written, so that nothing is expected.
    pub changed: bool,
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    free: u32,
}

impl Writer {
    fn put(&mut self, value: i64, mut count: u32) {
        while count > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = count.min(self.free);
            (self.free, count) = (self.free - taken, count - taken);
            let bits = value >> count & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (bits as u8) << self.free;
            }
        }
    }
}

/// A stream of up to three frames.
pub fn stream(choices: &mut Choices<'_>) -> Stream {
    let bits = 4 + choices.below(29);
    let count = 1 + choices.below(8) as usize;
    let variable = choices.below(2) == 1;
    let (mut frames, mut changed) = (Vec::new(), false);
    let mut channels = Some(vec![Vec::new(); count]);
    let mut done = 0;
    let (code, same) = block(choices);
    for number in 0..1 + choices.below(3) as usize {
        let (code, size) = if variable { block(choices) } else { (code, same) };
        let header = header(choices, code, size, count, bits, variable, if variable { done } else { number });
        let (mut frame, samples) = body(choices, header, size, count, bits);
        if choices.below(16) == 15 {
            let at = choices.below(65_536) as usize % frame.len();
            frame[at] ^= choices.byte();
            changed = true;
        }
        frame.extend(crc16(&frame).to_be_bytes());
        frames.extend(frame);
        channels = channels.zip(samples).map(|(mut channels, samples)| {
            channels.iter_mut().zip(samples).for_each(|(all, now)| all.extend(now));
            channels
        });
        done += size;
    }
    let mut out = Writer { bytes: b"fLaC\x80\0\0\x22".to_vec(), free: 0 };
    for (value, count) in [(16, 16), (65_535, 16), (0, 48), (16_000, 20), (count as i64 - 1, 3)] {
        out.put(value, count);
    }
    out.put(i64::from(bits) - 1, 5);
    out.put(if choices.below(4) == 3 { 0 } else { done as i64 }, 36);
    out.bytes.extend([0; 16]);
    Stream { bytes: [out.bytes, frames].concat(), channels, bits, changed }
}

/// The code of a frame's size and the samples that it stands for, seldom many.
fn block(choices: &mut Choices<'_>) -> (u32, usize) {
    let code = if choices.below(8) == 7 { 1 + choices.below(15) } else { 6 };
    let size = match code {
        1 => 192,
        2..=5 => 144 << code,
        6 => 1 + choices.below(256) as usize,
        7 => 1 + (choices.below(65_536) >> choices.below(16)) as usize,
        code => 1 << code,
    };
    (code, size)
}

fn header(
    choices: &mut Choices<'_>,
    code: u32,
    size: usize,
    channels: usize,
    bits: u32,
    variable: bool,
    number: usize,
) -> (Writer, u32) {
    let stereo = if channels == 2 { choices.below(4) } else { 0 };
    let mut out = Writer { bytes: vec![0xff, 0xf8 | u8::from(variable)], free: 0 };
    let rate = choices.below(3) as usize;
    out.put(i64::from(code), 4);
    out.put([0, 5, 13][rate], 4);
    out.put(if stereo == 0 { channels as i64 - 1 } else { 7 + i64::from(stereo) }, 4);
    let known = [8, 12, 0, 16, 20, 24, 32].iter().position(|&known| known == bits).map_or(0, |i| i + 1);
    out.put(if choices.below(2) == 0 { 0 } else { known as i64 }, 3);
    out.put(0, 1);
    match char::from_u32(number as u32).filter(|_| number < 0xd800) {
        Some(char) => out.bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
        // As UTF-8 would be without the code points that are none.
        None => out.bytes.extend([
            0xf0 | (number >> 18) as u8,
            0x80 | (number >> 12 & 0x3f) as u8,
            0x80 | (number >> 6 & 0x3f) as u8,
            0x80 | (number & 0x3f) as u8,
        ]),
    }
    match code {
        6 => out.put(size as i64 - 1, 8),
        7 => out.put(size as i64 - 1, 16),
        _ => {}
    }
    if rate == 2 {
        out.put(16_000, 16);
    }
    out.put(i64::from(crc8(&out.bytes)), 8);
    (out, stereo)
}

/// The subframes behind a header, up to the checksum, and the channels.
fn body(
    choices: &mut Choices<'_>,
    (mut out, stereo): (Writer, u32),
    size: usize,
    channels: usize,
    bits: u32,
) -> (Vec<u8>, Option<Vec<Vec<i64>>>) {
    let mut parts = Vec::new();
    for index in 0..channels {
        let side = u32::from(stereo != 0 && index == usize::from(stereo != 2));
        parts.push(subframe(&mut out, choices, size, bits + side));
    }
    let parts: Option<Vec<Vec<i64>>> = parts.into_iter().collect();
    let channels = parts.map(|parts| {
        let pair = |f: fn(i64, i64) -> (i64, i64)| -> Vec<Vec<i64>> {
            let (left, right) = parts[0].iter().zip(&parts[1]).map(|(&a, &b)| f(a, b)).unzip();
            vec![left, right]
        };
        match stereo {
            1 => pair(|left, side| (left, left - side)),
            2 => pair(|side, right| (right + side, right)),
            3 => pair(|mid, side| {
                let sum = 2 * mid + (side & 1);
                ((sum + side) >> 1, (sum - side) >> 1)
            }),
            _ => parts,
        }
    });
    let inside = |channels: &Vec<Vec<i64>>| channels.iter().flatten().all(|&x| fits(x, bits));
    (out.bytes, channels.filter(inside))
}

fn fits(x: i64, bits: u32) -> bool {
    x >> (bits - 1) == 0 || x >> (bits - 1) == -1
}

/// One subframe and its samples.
fn subframe(out: &mut Writer, choices: &mut Choices<'_>, size: usize, bits: u32) -> Option<Vec<i64>> {
    let wasted = if choices.below(4) == 3 { choices.below(bits + 1) } else { 0 };
    let kind = match choices.below(8) {
        0 => 0,
        1 => 1,
        2 | 3 => 8 + choices.below(5),
        4..=6 => 32 + choices.below(32),
        _ => choices.below(64),
    };
    out.put(0, 1);
    out.put(i64::from(kind), 6);
    out.put(i64::from(wasted > 0), 1);
    if wasted > 0 {
        out.put(1, wasted);
    }
    if wasted >= bits {
        return None;
    }
    let left = bits - wasted;
    let mut samples = Vec::with_capacity(size);
    let put = |out: &mut Writer, choices: &mut Choices<'_>, samples: &mut Vec<i64>| {
        let value = choices.signed(left);
        out.put(value, left);
        samples.push(value);
    };
    let (coefficients, shift) = match kind {
        0 => {
            put(out, choices, &mut samples);
            samples.resize(size, samples[0]);
            (vec![], 0)
        }
        1 => {
            (0..size).for_each(|_| put(out, choices, &mut samples));
            (vec![], 0)
        }
        8..=12 => {
            let order = kind as usize - 8;
            (0..order.min(size)).for_each(|_| put(out, choices, &mut samples));
            let fixed: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
            (fixed[order].to_vec(), 0)
        }
        32.. => {
            let order = kind as usize - 31;
            (0..order.min(size)).for_each(|_| put(out, choices, &mut samples));
            let precision = 1 + choices.below(16);
            let shift = choices.below(32);
            out.put(i64::from(precision) - 1, 4);
            out.put(i64::from(shift), 5);
            let coefficients = (0..order).map(|_| choices.signed(precision)).collect::<Vec<_>>();
            coefficients.iter().for_each(|&c| out.put(c, precision));
            if precision == 16 || shift > 15 {
                return None;
            }
            (coefficients, shift)
        }
        _ => return None,
    };
    if coefficients.len() > size {
        return None;
    }
    if kind >= 8 {
        let residuals = residuals(out, choices, size, coefficients.len())?;
        for residual in residuals {
            let past = samples.iter().rev().zip(&coefficients);
            let sum: i64 = past.map(|(sample, coefficient)| sample * coefficient).sum();
            let sample = residual + (sum >> shift);
            if !fits(sample, left) {
                return None;
            }
            samples.push(sample);
        }
    }
    samples.iter_mut().for_each(|sample| *sample <<= wasted);
    Some(samples)
}

/// Residuals in partitions; `None` where they must be refused.
fn residuals(out: &mut Writer, choices: &mut Choices<'_>, size: usize, order: usize) -> Option<Vec<i64>> {
    let coding = if choices.below(32) == 31 { 2 } else { choices.below(2) };
    let most = size.trailing_zeros();
    let split = if choices.below(32) == 31 { choices.below(16) } else { choices.below(most.min(15) + 1) };
    out.put(i64::from(coding), 2);
    out.put(i64::from(split), 4);
    let each = size >> split;
    if coding == 2 || each << split != size || each < order {
        return None;
    }
    let (mut values, mut good) = (Vec::new(), true);
    let escape = if coding == 1 { 31 } else { 15 };
    for part in 0..1usize << split {
        let count = each - if part == 0 { order } else { 0 };
        let parameter = choices.below(escape + 1);
        out.put(i64::from(parameter), 4 + coding);
        if parameter == escape {
            let raw = choices.below(32);
            out.put(i64::from(raw), 5);
            for _ in 0..count {
                let value = if raw == 0 { 0 } else { choices.signed(raw) };
                out.put(value, raw);
                values.push(value);
            }
        } else {
            for _ in 0..count {
                let zeros = match choices.byte() {
                    few @ ..250 => u32::from(few % 8),
                    _ => choices.below(600),
                };
                let low = choices.signed(parameter + 1) & ((1 << parameter) - 1);
                (0..zeros).for_each(|_| out.put(0, 1));
                out.put(1, 1);
                out.put(low, parameter);
                let code = i64::from(zeros) << parameter | low;
                good &= code >> 32 == 0;
                values.push((code >> 1) ^ -(code & 1));
            }
        }
    }
    good.then_some(values)
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(
            crc ^ u16::from(byte) << 8,
            |crc, _| {
                if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 }
            },
        )
    })
}
