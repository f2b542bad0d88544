//! Streams in which all is chosen at random that the format allows, against their samples; and what becomes of them
//! when they are cut or changed.

use super::*;
use crate::decode::output::nearest;
use crate::decode::{Clip, Limits, ReadBuffer, Reader};
use crate::par::Cancel;
use crate::rng::RandomStream;
use crate::simd::ChannelBuffer;
use offkey_flac_streams::{Choices, Stream, Writer, any, good};
use proptest::prelude::*;
use std::path::Path;
use symphonia::core::io::Monitor;

/// A stream and its samples.
struct Example {
    bytes: Vec<u8>,
    channels: Vec<Vec<i64>>,
    bits: u32,
}

/// Bytes before the first frame of an example.
const METADATA: usize = 8 + 34 + 7;

fn random_bytes(seed: u64) -> Vec<u8> {
    let mut stream = RandomStream::new(&[seed]);
    (0..500).flat_map(|_| stream.next_u64().to_le_bytes()).collect()
}

/// A stream without fault of up to three frames, with the sum of its samples and a block of padding.
fn example(seed: u64) -> Example {
    let Stream { mut bytes, channels, bits, .. } = good(Choices(&random_bytes(seed)));
    let channels = channels.expect("a stream without fault");
    let mut md5 = Md5::default();
    for at in 0..channels[0].len() {
        let sample = |channel: &Vec<i64>| channel[at].to_le_bytes();
        channels.iter().map(sample).for_each(|x| md5.process_buf_bytes(&x[..bits.div_ceil(8) as usize]));
    }
    bytes[26..42].copy_from_slice(&md5.md5());
    bytes[4] = 0; // not the last block of metadata
    bytes.splice(42..42, *b"\x81\0\0\x03abc");
    Example { bytes, channels, bits }
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
        prop_assume!(example.bytes.len() <= MAX_FRAME_BYTES); // unary codes of large residuals can be longer than any frame
        if let Some(size) = tag {
            example.bytes.extend([b"TAG".as_slice(), &vec![0; size]].concat());
        }
        prop_assert_eq!(read(&example.bytes, ChannelChoice::All).unwrap(), example.all());
        let one = pick % example.channels.len();
        let read_one = read(&example.bytes, ChannelChoice::One(one)).unwrap();
        prop_assert_eq!(read_one, example.channel(one));
        let mean = read(&example.bytes, ChannelChoice::Mean).unwrap();
        let sum = |at| (0..example.channels.len()).map(|c| f64::from(example.channel(c)[at])).sum::<f64>();
        prop_assert_eq!(f64::from(mean[0]), f64::from(nearest(sum(0) / example.channels.len() as f64)));
    }

    #[test]
    fn what_leaves_its_range_is_refused(seed: u64) {
        let Stream { bytes, channels, bits, changed } = any(Choices(&random_bytes(seed)));
        prop_assume!(!changed && bytes.len() <= MAX_FRAME_BYTES);
        let expected = channels.map(|channels| Example { bytes: vec![], channels, bits }.all());
        prop_assert_eq!(read(&bytes, ChannelChoice::All).ok(), expected);
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
        let frame = &example.bytes[METADATA..];
        let header = Header::read(frame).unwrap();
        let decoded = SimdLevel::all().into_iter().map(|level| {
            let mut channels = Channels::new(level, example.bits);
            channels.decode(frame, &header, ChannelChoice::All).unwrap();
            let mut out = ChannelBuffer::new(example.channels.len());
            out.reserve(header.block).unwrap();
            channels.push(ChannelChoice::All, &mut out);
            (0..out.channels()).flat_map(|channel| out.channel(channel, 0).to_vec()).collect::<Vec<f32>>()
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
    let layout = i64::from(stream[20] >> 1 & 7);
    let mut frame = Writer::behind(&[0xff, 0xf8]);
    for (value, count) in [(7, 4), (0, 4), (layout, 4), (0, 4), (0, 8), (0, 16)] {
        frame.put(value, count);
    }
    frame.put_crc8();
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
    assert!(tagged(65).unwrap_err().to_string().contains("no sound behind the first 64 tags"));
}
