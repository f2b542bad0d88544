//! Streams whose every part is chosen: nothing here is sensible as an encoder is.

use crate::writer::{FrameHeader, Writer, finished, stream_header};

/// Choices from bytes: zeros without end behind them.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// A number below `limit`, which is 65536 at most.
    pub fn below(&mut self, limit: u32) -> u32 {
        let low = u32::from(self.byte());
        let value = if limit > 256 { low << 8 | u32::from(self.byte()) } else { low };
        value % limit
    }

    /// A number in two's complement of 1 to 63 bits, the first of which are chosen byte by byte.
    pub fn signed(&mut self, bits: u32) -> i64 {
        let value = (0..bits.div_ceil(8)).fold(0i64, |value, _| value << 8 | i64::from(self.byte()));
        value << (64 - bits) >> (64 - bits)
    }

    /// Whether the bytes are used up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A stream of up to three frames, and its samples.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The file.
    pub bytes: Vec<u8>,
    /// `(channels, frames)`; `None` where it must be refused.
    pub channels: Option<Vec<Vec<i64>>>,
    /// Bits of a sample.
    pub bits: u32,
    /// Whether something in a frame was changed before its checksum was written, so that nothing is expected.
    pub changed: bool,
}

/// A stream without fault.
#[must_use]
pub fn good(mut choices: Choices<'_>) -> Stream {
    stream(&mut choices, true)
}

/// A stream with good checksums. Residuals, coefficients and parameters are what the choices say: many streams leave
/// the range of their samples, or have a code that is forbidden.
#[must_use]
pub fn any(mut choices: Choices<'_>) -> Stream {
    stream(&mut choices, false)
}

fn stream(choices: &mut Choices<'_>, good: bool) -> Stream {
    let bits = 4 + choices.below(29);
    let count = 1 + choices.below(8) as usize;
    let variable = choices.below(2) == 1;
    let (mut frames, mut changed) = (Vec::new(), false);
    let mut channels = Some(vec![Vec::new(); count]);
    let mut done = 0;
    let (code, same) = block(choices);
    for index in 0..1 + choices.below(3) as usize {
        let (size_code, size) = if variable { block(choices) } else { (code, same) };
        let stereo = if count == 2 { choices.below(4) } else { 0 };
        let layout = if stereo == 0 { count as i64 - 1 } else { 7 + i64::from(stereo) };
        let number = if variable { done } else { index };
        let rate_code = [0, 5, 13][choices.below(3) as usize];
        let bits_code = if choices.below(2) == 0 { 0 } else { bits_code(bits) };
        let header = FrameHeader { variable, number, size_code, size, rate_code, layout, bits_code };
        let mut frame = Frame { out: header.written(), choices, good, size };
        let samples = frame.channels(stereo, count, bits);
        let mut bytes = frame.out.bytes;
        if !good && choices.below(16) == 15 {
            let at = choices.below(65_536) as usize % bytes.len();
            bytes[at] ^= choices.byte();
            changed = true;
        }
        frames.extend(finished(bytes));
        channels = channels.zip(samples).map(|(mut channels, samples)| {
            channels.iter_mut().zip(samples).for_each(|(all, now)| all.extend(now));
            channels
        });
        done += size;
    }
    let total = if choices.below(4) == 3 { 0 } else { done };
    let bytes = [stream_header(16_000, count, bits, total), frames].concat();
    Stream { bytes, channels, bits, changed }
}

/// The code of a frame's size and the samples that it stands for, rarely many.
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

fn bits_code(bits: u32) -> i64 {
    [8, 12, 0, 16, 20, 24, 32].iter().position(|&known| known == bits).map_or(0, |i| i as i64 + 1)
}

fn fits(x: i64, bits: u32) -> bool {
    x >> (bits - 1) == 0 || x >> (bits - 1) == -1
}

/// A frame that is being written.
struct Frame<'c, 'b> {
    out: Writer,
    choices: &'c mut Choices<'b>,
    /// Whether it must be without fault.
    good: bool,
    /// Samples of each channel.
    size: usize,
}

impl Frame<'_, '_> {
    /// All subframes, up to the checksum, and the channels.
    fn channels(&mut self, stereo: u32, channels: usize, bits: u32) -> Option<Vec<Vec<i64>>> {
        // Of this range what is made of two subframes is no channel's overflow.
        let range = if self.good && stereo != 0 { bits - 1 } else { bits + 1 };
        let mut parts = Vec::new();
        for index in 0..channels {
            let side = u32::from(stereo != 0 && index == usize::from(stereo != 2));
            parts.push(self.subframe_in_range(bits + side, range.min(bits + side)));
        }
        let parts: Vec<Vec<i64>> = parts.into_iter().collect::<Option<_>>()?;
        let pair = |f: fn(i64, i64) -> (i64, i64)| -> Vec<Vec<i64>> {
            let (left, right) = parts[0].iter().zip(&parts[1]).map(|(&a, &b)| f(a, b)).unzip();
            vec![left, right]
        };
        let channels = match stereo {
            1 => pair(|left, side| (left, left - side)),
            2 => pair(|side, right| (right + side, right)),
            3 => pair(|mid, side| {
                let sum = 2 * mid + (side & 1);
                ((sum + side) >> 1, (sum - side) >> 1)
            }),
            _ => parts,
        };
        channels.iter().flatten().all(|&x| fits(x, bits)).then_some(channels)
    }

    /// One subframe and its samples, which have no more bits than `range`: where that fails and must not, they are
    /// written as they are.
    fn subframe_in_range(&mut self, bits: u32, range: u32) -> Option<Vec<i64>> {
        let before = self.out.clone();
        let samples = self.subframe(bits, range);
        if !self.good || samples.as_ref().is_some_and(|samples| samples.iter().all(|&x| fits(x, range))) {
            return samples;
        }
        self.out = before;
        self.out.put(1 << 1, 8);
        Some((0..self.size).map(|_| self.sample(bits, range)).collect())
    }

    /// A sample as it is.
    fn sample(&mut self, bits: u32, range: u32) -> i64 {
        let value = self.choices.signed(range);
        self.out.put(value, bits);
        value
    }

    fn subframe(&mut self, bits: u32, range: u32) -> Option<Vec<i64>> {
        let wasted = if self.choices.below(4) == 3 { self.choices.below(bits + 1) } else { 0 };
        let kind = match self.choices.below(8) {
            0 => 0,
            1 => 1,
            2 | 3 => 8 + self.choices.below(5),
            4..=6 => 32 + self.choices.below(32),
            _ => self.choices.below(64),
        };
        self.out.put(0, 1);
        self.out.put(i64::from(kind), 6);
        self.out.put(i64::from(wasted > 0), 1);
        if wasted > 0 {
            self.out.put(1, wasted);
        }
        if wasted >= range {
            return None;
        }
        let (left, range) = (bits - wasted, range - wasted);
        let count = match kind {
            0 => 1,
            1 => self.size,
            8..=12 => kind as usize - 8,
            32.. => kind as usize - 31,
            _ => return None,
        };
        let mut samples: Vec<i64> = (0..count.min(self.size)).map(|_| self.sample(left, range)).collect();
        match kind {
            0 => samples.resize(self.size, samples[0]),
            1 => {}
            _ => {
                let (coefficients, shift) =
                    if kind < 32 { (FIXED[count].to_vec(), 0) } else { self.coefficients(count)? };
                if count > self.size {
                    return None;
                }
                self.residuals(&mut samples, range, &coefficients, shift)?;
            }
        }
        samples.iter_mut().for_each(|sample| *sample <<= wasted);
        Some(samples)
    }

    /// The coefficients of a predictor and its shift; `None` where they must be refused.
    fn coefficients(&mut self, order: usize) -> Option<(Vec<i64>, u32)> {
        let precision = if self.good { 2 + self.choices.below(14) } else { 1 + self.choices.below(16) };
        let shift = self.choices.below(32);
        self.out.put(i64::from(precision) - 1, 4);
        self.out.put(i64::from(shift), 5);
        let mut coefficients: Vec<i64> = (0..order).map(|_| self.choices.signed(precision)).collect();
        if self.good {
            // Not far from the sample before.
            coefficients.iter_mut().for_each(|c| *c = (*c).clamp(-1, 1));
            coefficients[0] = 1 << shift.min(precision - 2);
        }
        coefficients.iter().for_each(|&c| self.out.put(c, precision));
        (precision < 16 && shift <= 15).then_some((coefficients, shift))
    }

    /// Residuals in partitions, and the samples that they make; `None` where they must be refused.
    fn residuals(
        &mut self,
        samples: &mut Vec<i64>,
        range: u32,
        coefficients: &[i64],
        shift: u32,
    ) -> Option<()> {
        let coding = if self.choices.below(32) == 31 { 2 } else { self.choices.below(2) };
        let most = self.size.trailing_zeros();
        let split = match self.choices.below(32) {
            31 => self.choices.below(16),
            _ => self.choices.below(most.min(15) + 1),
        };
        self.out.put(i64::from(coding), 2);
        self.out.put(i64::from(split), 4);
        let each = self.size >> split;
        if coding == 2 || each << split != self.size || each < coefficients.len() {
            return None;
        }
        let escape = if coding == 1 { 31 } else { 15 };
        let mut inside = true;
        for part in 0..1usize << split {
            let mut parameter = self.choices.below(escape + 1);
            if self.good && parameter != escape {
                // Near the range, so that any residual which keeps a sample in it is short.
                parameter = range.saturating_sub(parameter % 8).min(escape - 1);
            }
            self.out.put(i64::from(parameter), 4 + coding);
            let raw = (parameter == escape).then(|| self.choices.below(32));
            if let Some(raw) = raw {
                self.out.put(i64::from(raw), 5);
            }
            for _ in if part == 0 { coefficients.len() } else { 0 }..each {
                let past = samples.iter().rev().zip(coefficients);
                let prediction = past.map(|(sample, coefficient)| sample * coefficient).sum::<i64>() >> shift;
                let residual = match raw {
                    Some(raw) => self.raw(raw),
                    None => self.rice(parameter, prediction, range)?,
                };
                inside &= fits(prediction + residual, range);
                // What leaves the range is written to its end, but no longer followed.
                samples.push(if inside { prediction + residual } else { 0 });
            }
        }
        inside.then_some(())
    }

    fn raw(&mut self, bits: u32) -> i64 {
        let value = if bits == 0 { 0 } else { self.choices.signed(bits) };
        self.out.put(value, bits);
        value
    }

    /// A Rice-coded residual; `None` where it must be refused, or is too long for a good stream.
    fn rice(&mut self, parameter: u32, prediction: i64, range: u32) -> Option<i64> {
        let zeros = match self.choices.byte() {
            few @ ..250 => u32::from(few % 8),
            _ => self.choices.below(600),
        };
        let low = self.choices.signed(parameter + 1) & ((1 << parameter) - 1);
        let code = i64::from(zeros) << parameter | low;
        let mut residual = (code >> 1) ^ -(code & 1);
        if self.good {
            let (least, greatest) = (-1 << (range - 1), (1 << (range - 1)) - 1);
            residual = (prediction + residual).clamp(least, greatest) - prediction;
            if residual.unsigned_abs() >> parameter > 1000 {
                return None;
            }
        }
        self.out.rice(residual, parameter);
        i32::try_from(residual).is_ok().then_some(residual)
    }
}

/// The differences of an order from 0 to 4.
const FIXED: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
