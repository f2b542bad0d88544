//! Streams of an encoder that chooses at random among all that the format allows, against their samples; and what
//! becomes of them when they are cut or changed.

use super::crc::{crc8, crc16};
use super::*;
use crate::decode::{Clip, Limits, ReadBuffer, Reader};
use crate::par::Cancel;
use crate::simd::ChannelBuffer;
use proptest::prelude::*;
use std::path::Path;
use symphonia::core::io::Monitor;

/// Choices without end from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    free: u32,
}

impl Writer {
    fn put(&mut self, value: i64, count: u32) {
        for bit in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << self.free;
        }
    }

    fn rice(&mut self, value: i64, low: u32) {
        let code = value << 1 ^ value >> 63;
        (0..code >> low).for_each(|_| self.put(0, 1));
        self.put(1, 1);
        self.put(code, low);
    }

    fn residuals(&mut self, dice: &mut Dice, residuals: &[i64], order: usize) {
        let block = residuals.len() + order;
        let fits = |&split: &u32| block.is_multiple_of(1 << split) && block >> split >= order;
        let split = (0..=dice.roll(5) as u32).rev().find(fits).unwrap();
        let great = residuals.iter().any(|x| x.unsigned_abs() >= 1 << 18);
        let wide = if great { 1 } else { dice.roll(2) as u32 };
        self.put(i64::from(wide), 2);
        self.put(i64::from(split), 4);
        let mut rest = residuals;
        for part in 0..1 << split {
            let size = (block >> split) - if part == 0 { order } else { 0 };
            let (values, others) = rest.split_at(size);
            rest = others;
            let need = values.iter().map(|x| 65 - (x ^ x >> 63).leading_zeros()).max().unwrap_or(0);
            if need < 32 && dice.roll(4) == 0 {
                self.put(-1, 4 + wide);
                let raw = if values.iter().all(|&x| x == 0) { 0 } else { need };
                self.put(i64::from(raw), 5);
                values.iter().for_each(|&x| self.put(x, raw));
            } else {
                let low = need.saturating_sub(dice.roll(6) as u32).min(if wide == 1 { 30 } else { 14 });
                self.put(i64::from(low), 4 + wide);
                values.iter().for_each(|&x| self.rice(x, low));
            }
        }
    }

    fn subframe(&mut self, dice: &mut Dice, samples: &[i64], bits: u32) {
        let shared = samples.iter().fold(0, |all, x| all | x).trailing_zeros().min(bits - 1);
        let wasted = if dice.roll(2) == 0 { 0 } else { shared };
        let samples: Vec<i64> = samples.iter().map(|x| x >> wasted).collect();
        let left = bits - wasted;
        let constant = samples.iter().all(|x| *x == samples[0]);
        let orders = [5, 33][dice.roll(2) as usize];
        let order = (dice.roll(orders) as usize).min(samples.len());
        let shift = dice.roll(8) as u32;
        let precision = 2 + dice.roll(14) as u32;
        let mut coefficients = vec![0; order];
        if let Some(first) = coefficients.first_mut() {
            *first = 1i64 << shift.min(precision - 2); // near the sample before
        }
        coefficients.iter_mut().skip(1).for_each(|c| *c = dice.roll(3) as i64 - 1);
        let fixed: &[i64] = [&[] as &[i64], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]][order.min(4)];
        let (kind, used, shift) = match dice.roll(4) {
            0 if constant => (0, None, 0),
            0 | 1 if order > 0 => (31 + order, Some(coefficients), shift),
            2 => (8 + fixed.len(), Some(fixed.to_vec()), 0),
            _ => (1, None, 0),
        };
        let residuals = used.as_ref().map(|used| predicted(&samples, used, shift));
        // What does not fit is written as it is.
        let fits = |all: &Vec<i64>| {
            all.iter().all(|x| x.unsigned_abs() < 1 << 20 || left > 24 && i32::try_from(*x).is_ok())
        };
        let kind = if residuals.as_ref().is_none_or(fits) { kind } else { 1 };
        self.put(0, 1);
        self.put(kind as i64, 6);
        self.put(i64::from(wasted > 0), 1);
        if wasted > 0 {
            self.put(1, wasted);
        }
        match (kind, used, residuals) {
            (0, ..) => self.put(samples[0], left),
            (1, ..) | (_, None, _) | (_, _, None) => samples.iter().for_each(|&x| self.put(x, left)),
            (_, Some(used), Some(residuals)) => {
                samples[..used.len()].iter().for_each(|&x| self.put(x, left));
                if kind >= 32 {
                    self.put(i64::from(precision) - 1, 4);
                    self.put(i64::from(shift), 5);
                    used.iter().for_each(|&c| self.put(c, precision));
                }
                self.residuals(dice, &residuals, used.len());
            }
        }
    }
}

fn predicted(samples: &[i64], coefficients: &[i64], shift: u32) -> Vec<i64> {
    let foretell = |at: usize| -> i64 {
        let sum: i64 = coefficients.iter().enumerate().map(|(age, c)| c * samples[at - 1 - age]).sum();
        sum >> shift
    };
    (coefficients.len()..samples.len()).map(|at| samples[at] - foretell(at)).collect()
}

struct Example {
    bytes: Vec<u8>,
    channels: Vec<Vec<i64>>,
    bits: u32,
}

/// A stream of up to three frames.
fn example(seed: u64) -> Example {
    let mut dice = Dice(seed);
    let count = 1 + dice.roll(8) as usize;
    let bits = 4 + dice.roll(29) as u32;
    let variable = dice.roll(2) == 1;
    let block = 1 + dice.roll(100) as usize;
    let mut channels = vec![Vec::new(); count];
    let mut frames = Vec::new();
    for number in 0..1 + dice.roll(3) {
        let size = if variable { 1 + dice.roll(100) as usize } else { block };
        let done = channels[0].len();
        let step = 1u64 << dice.roll(u64::from(bits));
        for channel in &mut channels {
            let (least, most) = (-1i64 << (bits - 1), (1i64 << (bits - 1)) - 1);
            let mut x = [0, least, most, dice.roll(9) as i64][dice.roll(4) as usize].clamp(least, most);
            for _ in 0..size {
                channel.push(x);
                x = (x + dice.roll(2 * step) as i64 - step as i64).clamp(least, most);
            }
        }
        let now: Vec<&[i64]> = channels.iter().map(|channel| &channel[done..]).collect();
        frames.extend(frame(&mut dice, &now, bits, variable, if variable { done as u64 } else { number }));
    }
    let mut md5 = Md5::default();
    for at in 0..channels[0].len() {
        channels
            .iter()
            .for_each(|c| md5.process_buf_bytes(&c[at].to_le_bytes()[..bits.div_ceil(8) as usize]));
    }
    let mut header = Writer { bytes: b"fLaC\0\0\0\x22".to_vec(), free: 0 };
    let total = if dice.roll(2) == 0 { 0 } else { channels[0].len() as i64 };
    for (value, count) in [(16, 16), (65_535, 16), (0, 48), (16_000, 20), (count as i64 - 1, 3)] {
        header.put(value, count);
    }
    header.put(i64::from(bits) - 1, 5);
    header.put(total, 36);
    header.bytes.extend(if total == 0 || dice.roll(2) == 0 { md5.md5() } else { [0; 16] });
    header.bytes.extend(b"\x81\0\0\x03abc"); // padding
    Example { bytes: [header.bytes, frames].concat(), channels, bits }
}

fn frame(dice: &mut Dice, channels: &[&[i64]], bits: u32, variable: bool, number: u64) -> Vec<u8> {
    let size = channels[0].len();
    let stereo = if channels.len() == 2 { dice.roll(4) } else { 0 };
    let mut out = Writer { bytes: vec![0xff, 0xf8 | u8::from(variable)], free: 0 };
    let rate = dice.roll(3);
    out.put(7, 4);
    out.put([0, 5, 13][rate as usize], 4);
    out.put(if stereo == 0 { channels.len() as i64 - 1 } else { 7 + stereo as i64 }, 4);
    let code = [8, 12, 0, 16, 20, 24, 32].iter().position(|&known| known == bits).map_or(0, |i| i + 1);
    out.put(code as i64, 3);
    out.put(0, 1);
    assert!(number < 0x800);
    if number < 0x80 {
        out.put(number as i64, 8)
    } else {
        out.put((0xc080 | number << 2 & 0x1f00 | number & 0x3f) as i64, 16)
    }
    out.put(size as i64 - 1, 16);
    if rate == 2 {
        out.put(16_000, 16);
    }
    out.put(i64::from(crc8(&out.bytes)), 8);
    let side = |shift: u32, f: fn(i64, i64) -> i64| -> Vec<i64> {
        (0..size).map(|i| f(channels[0][i], channels[1][i]) >> shift).collect()
    };
    let difference: fn(i64, i64) -> i64 = |l, r| l - r;
    match stereo {
        1 => {
            out.subframe(dice, channels[0], bits);
            out.subframe(dice, &side(0, difference), bits + 1);
        }
        2 => {
            out.subframe(dice, &side(0, difference), bits + 1);
            out.subframe(dice, channels[1], bits);
        }
        3 => {
            out.subframe(dice, &side(1, |l, r| l + r), bits);
            out.subframe(dice, &side(0, difference), bits + 1);
        }
        _ => channels.iter().for_each(|channel| out.subframe(dice, channel, bits)),
    }
    let crc = crc16(&out.bytes);
    out.bytes.extend(crc.to_be_bytes());
    out.bytes
}

/// A file of these bytes for as long as the work takes.
fn with_file<T>(bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("offkey-flac-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    let result = work(&path);
    std::fs::remove_file(&path).unwrap();
    result
}

/// What a file of these bytes is read as.
fn read(bytes: &[u8], choice: ChannelChoice) -> Result<Vec<f32>> {
    let reader = Reader::new(choice, None, Limits::default()).unwrap();
    with_file(bytes, |path| reader.read(path, &mut ReadBuffer::default(), &Cancel::default()))
        .map(|Clip { samples, .. }| samples)
}

impl Example {
    fn channel(&self, index: usize) -> Vec<f32> {
        let value = |&x: &i64| x as f32 / (1u64 << (self.bits - 1)) as f32;
        self.channels[index].iter().map(value).collect()
    }

    fn all(&self) -> Vec<f32> {
        (0..self.channels.len()).flat_map(|index| self.channel(index)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn whatever_the_encoder_chooses_comes_back(seed: u64, pick: usize, tag in prop::option::of(0usize..200)) {
        let mut example = example(seed);
        if let Some(size) = tag {
            example.bytes.extend([b"TAG".as_slice(), &vec![0; size]].concat());
        }
        prop_assert_eq!(read(&example.bytes, ChannelChoice::All).unwrap(), example.all());
        let one = pick % example.channels.len();
        let read_one = read(&example.bytes, ChannelChoice::One(one)).unwrap();
        prop_assert_eq!(read_one, example.channel(one));
        let mean = read(&example.bytes, ChannelChoice::Mean).unwrap();
        let sum = |at| (0..example.channels.len()).map(|c| f64::from(example.channel(c)[at])).sum::<f64>();
        prop_assert_eq!(f64::from(mean[0]), f64::from((sum(0) / example.channels.len() as f64) as f32));
    }

    #[test]
    fn cut_or_changed_it_is_an_error_or_the_same(
        seed: u64,
        cut in 1usize..400,
        changes in prop::collection::vec((0usize..10_000, 0u32..8), 0..3),
    ) {
        let example = example(seed);
        let mut bytes = example.bytes.clone();
        match changes.as_slice() {
            [] => bytes.truncate(bytes.len().saturating_sub(cut)),
            _ => for (at, bit) in changes {
                let at = at % bytes.len();
                bytes[at] ^= 1 << bit;
            },
        }
        match read(&bytes, ChannelChoice::All) {
            // The header of the stream has no checksum: how many bits or which rate may be changed without notice.
            Ok(samples) => prop_assert!(bytes[..42] != example.bytes[..42] || samples == example.all()),
            Err(Error::Decode { .. } | Error::Unsupported { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn all_levels_give_the_same_bits() {
    for seed in 0..500 {
        let example = example(seed);
        let begin = 8 + 34 + 7;
        let header = Header::read(&example.bytes[begin..]).unwrap();
        let decoded = SimdLevel::all().into_iter().map(|level| {
            let mut channels = Channels::new(level, example.bits);
            channels.decode(&example.bytes[begin..], &header, ChannelChoice::All).unwrap();
            let mut out = ChannelBuffer::new(example.channels.len());
            out.reserve(header.block).unwrap();
            channels.push(ChannelChoice::All, &mut out);
            out.into_samples()
        });
        let expected: Vec<f32> =
            (0..example.channels.len()).flat_map(|c| example.channel(c)[..header.block].to_vec()).collect();
        decoded.for_each(|samples| assert_eq!(samples, expected));
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_truncated() {
    for seed in 0..20 {
        let Example { bytes, .. } = example(seed);
        let (metadata, frames) = bytes.split_at(8 + 34);
        let frames = &frames[7..];
        // More padding than the buffer holds, so that nothing of the frames is read yet.
        let padding = [&[0x81, 1, 0, 0], [0; 1 << 16].as_slice()].concat();
        let held = Header::read(frames).unwrap().bytes + 1;
        let error = with_file(&[metadata, &padding, frames].concat(), |path| {
            let mut buffer = ReadBuffer::default();
            let mut source = Source::open(path, &mut buffer).unwrap();
            source.peek(1).unwrap();
            let mut stream = Flac::open(source).unwrap();
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len((metadata.len() + padding.len() + held) as u64).unwrap();
            let mut out = Output::new(&path.into(), ChannelChoice::All, stream.channels);
            stream.decode(&mut out).unwrap_err().to_string()
        });
        assert!(error.contains("truncated: the file ends inside a frame, after 0 samples"), "{error}");
    }
}

#[test]
fn a_frame_of_more_bytes_than_its_samples_is_damaged() {
    let mut stream = example(0).bytes[..8 + 34].to_vec();
    stream[4] = 0x80; // no other metadata
    let channels = usize::from(stream[20] >> 1 & 7) + 1;
    let mut frame = Writer { bytes: vec![0xff, 0xf8], free: 0 };
    for (value, count) in [(7, 4), (0, 4), (channels as i64 - 1, 4), (0, 4), (0, 8), (0, 16)] {
        frame.put(value, count);
    }
    frame.put(i64::from(crc8(&frame.bytes)), 8);
    // A fixed predictor of no order, whose only residual has zeros without end.
    for (value, count) in [(8 << 1, 8), (0, 2), (0, 4), (0, 4)] {
        frame.put(value, count);
    }
    for size in [MAX_FRAME_BYTES + 1000, 3 * MAX_FRAME_BYTES] {
        let error = read(&[&stream, &frame.bytes, vec![0; size].as_slice()].concat(), ChannelChoice::All)
            .unwrap_err();
        assert!(error.to_string().contains("more bytes than its samples"), "{error}");
    }
}

#[test]
fn it_may_stand_behind_some_tags_but_not_any_number() {
    let example = example(0);
    let tagged = |count| {
        read(&[b"ID3\x04\0\0\0\0\0\0".repeat(count), example.bytes.clone()].concat(), ChannelChoice::All)
    };
    assert_eq!(tagged(64).unwrap(), example.all());
    assert!(tagged(65).unwrap_err().to_string().contains("no sound behind the first 64 ID3 tags"));
}
