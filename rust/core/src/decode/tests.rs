//! Whatever bytes a file holds, reading it ends with a clip or an error, and both say what they should.

use crate::Error;
use crate::decode::{self, ChannelChoice, Clip, Limits, OnError, ReadBuffer, Reader};
use crate::par::Cancel;
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that is gone when the test is over.
struct Temporary(PathBuf);

impl Temporary {
    fn new(content: &[u8]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("offkey-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).expect("the temporary folder can be written to");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A WAV file of 16-bit samples.
fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(8000u32.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend((2 * channels).to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(u32::try_from(data.len()).expect("a small file").to_le_bytes());
    bytes.extend(data);
    bytes
}

fn reader(choice: ChannelChoice, target_rate: Option<u32>) -> Reader {
    Reader::new(choice, target_rate, Limits::default()).expect("good parameters")
}

fn read(path: &Path, choice: ChannelChoice, target_rate: Option<u32>) -> crate::Result<Clip> {
    reader(choice, target_rate).read(path, &mut ReadBuffer::default(), &Cancel::default())
}

/// Clips in memory of their own.
fn read_batch(
    reader: &Reader,
    paths: &[PathBuf],
    on_error: OnError,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
) -> crate::Result<Vec<crate::Result<Clip>>> {
    let places = paths.iter().map(|_| Default::default()).collect();
    let clips = reader.read_batch(paths, places, false, on_error, threads, cancel)?;
    Ok(clips.into_iter().map(|clip| clip.map(|placed| placed.clip)).collect())
}

fn read_all(path: &Path) -> crate::Result<Clip> {
    read(path, ChannelChoice::All, None)
}

/// A clip that is one, or an error of a kind that bytes can cause.
fn check(content: &[u8]) {
    let file = Temporary::new(content);
    match read_all(&file.0) {
        Ok(clip) => {
            assert!(clip.channels > 0 && clip.sample_rate > 0 && !clip.samples.is_empty());
            assert_eq!(clip.samples.len() % clip.channels, 0);
            assert!(clip.samples.iter().all(|sample| sample.is_finite()));
            let info =
                decode::info(&file.0, &mut ReadBuffer::default()).expect("what can be read has a header");
            assert_eq!((info.channels, info.sample_rate), (clip.channels, clip.sample_rate));
        }
        Err(Error::Decode { path, .. } | Error::Unsupported { path, .. }) => assert_eq!(path, file.0),
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn random_bytes(head in 0usize..9, body in prop::collection::vec(any::<u8>(), 0..400)) {
        const HEADS: [&[u8]; 9] = [
            b"", b"RIFF\0\0\0\0WAVE", b"RIFX\0\0\0\0WAVE", b"RF64\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF",
            b"FORM\0\0\0\0AIFC", b"fLaC\0\0\0\x22", b"OggS\0", b"\xff\xfb\x90\x44",
        ];
        check(&[HEADS[head], body.as_slice()].concat());
    }

    #[test]
    fn wav_with_changed_bytes(
        channels in 1u16..5,
        changes in prop::collection::vec((0usize..60, any::<u8>()), 1..6),
        cut in 0usize..200,
    ) {
        let mut bytes = wav(channels, &[77; 60]);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(100)));
        check(&bytes);
    }

    #[test]
    fn samples_come_back(channels in 1u16..9, samples in prop::collection::vec(any::<i16>(), 9..600)) {
        let frames = samples.len() / usize::from(channels);
        let samples = &samples[..frames * usize::from(channels)];
        let file = Temporary::new(&wav(channels, samples));
        let clip = read_all(&file.0).expect("a good file");
        for (channel, plane) in clip.samples.chunks_exact(frames).enumerate() {
            let one = read(&file.0, ChannelChoice::One(channel), None).expect("a good file");
            prop_assert_eq!(&one.samples[..], plane);
            for (frame, &sample) in plane.iter().enumerate() {
                let expected = samples[frame * usize::from(channels) + channel];
                prop_assert_eq!(sample, f32::from(expected) / 32768.0);
            }
        }
    }
}

#[test]
fn errors_of_a_batch_stand_in_their_place_or_stop_it() {
    let (good, bad) = (Temporary::new(&wav(1, &[1, 2, 3])), Temporary::new(b"no sound"));
    let paths = vec![good.0.clone(), bad.0.clone(), good.0.clone()];
    let cancel = Cancel::default();
    for threads in [1, 3] {
        let threads = NonZeroUsize::new(threads);
        let batch =
            |on_error| read_batch(&reader(ChannelChoice::One(0), None), &paths, on_error, threads, &cancel);
        let kept = batch(OnError::Keep).expect("errors are kept");
        assert_eq!(kept.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(matches!(batch(OnError::Stop), Err(Error::Decode { path, .. }) if path == bad.0));
    }
    cancel.cancel();
    let stopped = read_batch(&reader(ChannelChoice::Mean, None), &paths, OnError::Keep, None, &cancel);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn a_clip_is_read_at_the_rate_that_was_asked_for() {
    let file = Temporary::new(&wav(2, &[1000; 2000]));
    let clip = read(&file.0, ChannelChoice::Mean, Some(12_000)).expect("a good file");
    assert_eq!((clip.sample_rate, clip.samples.len()), (12_000, 1500));
    let refused = Reader::new(ChannelChoice::Mean, Some(0), Limits::default());
    assert!(matches!(refused, Err(Error::Parameter { parameter: "sample_rate", .. })));
}

#[test]
fn a_file_longer_than_the_limits_is_refused() {
    let file = Temporary::new(&wav(1, &[1000; 8000])); // a second
    let read = |limits, rate| {
        let reader = Reader::new(ChannelChoice::One(0), rate, limits).expect("good parameters");
        reader.read(&file.0, &mut ReadBuffer::default(), &Cancel::default())
    };
    let limits = Limits::default();
    assert!(read(Limits { max_seconds: 1.0, ..limits }, None).is_ok());
    let long = read(Limits { max_seconds: 0.999, ..limits }, None).unwrap_err();
    assert!(matches!(&long, Error::Decode { .. }));
    assert!(long.to_string().contains("longer than 0.999 s"), "{long}");
    assert!(read(Limits { max_bytes: 32_000, ..limits }, None).is_ok());
    assert!(matches!(read(Limits { max_bytes: 31_999, ..limits }, None), Err(Error::Memory { .. })));
    // What counts is what comes out.
    assert!(read(Limits { max_bytes: 64_000, ..limits }, Some(16_000)).is_ok());
    assert!(matches!(read(Limits { max_bytes: 63_999, ..limits }, Some(16_000)), Err(Error::Memory { .. })));
    for max_seconds in [0.0, -1.0, f64::NAN] {
        let refused = Reader::new(ChannelChoice::All, None, Limits { max_seconds, ..limits });
        assert!(matches!(refused, Err(Error::Parameter { parameter: "max_seconds", .. })));
    }
}

#[test]
fn the_first_files_that_fit_into_the_memory_of_a_call_are_read_whatever_the_threads_do() {
    let sizes = [300, 900, 200, 100, 5000, 90, 800];
    let files: Vec<Temporary> = sizes.iter().map(|&size| Temporary::new(&wav(1, &vec![1; size]))).collect();
    let paths: Vec<PathBuf> = files.iter().map(|file| file.0.clone()).collect();
    let limits = Limits { max_bytes: 4 * 1500, ..Limits::default() };
    for threads in [1, 2, 5] {
        for _ in 0..20 {
            let reader = Reader::new(ChannelChoice::One(0), None, limits).expect("good parameters");
            let threads = NonZeroUsize::new(threads);
            let clips =
                read_batch(&reader, &paths, OnError::Keep, threads, &Cancel::default()).expect("kept");
            let read: Vec<_> =
                clips.iter().map(|clip| clip.as_ref().map_or(0, |clip| clip.samples.len())).collect();
            assert_eq!(read, [300, 900, 200, 100, 0, 0, 0]);
            assert!(matches!(&clips[5], Err(Error::Memory { .. })));
            drop(clips);
            let again =
                read_batch(&reader, &paths[4..], OnError::Keep, threads, &Cancel::default()).expect("kept");
            assert_eq!(again.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
            let stopped = read_batch(&reader, &paths, OnError::Stop, threads, &Cancel::default());
            assert!(matches!(stopped, Err(Error::Memory { .. })));
        }
    }
}

#[test]
fn files_of_many_rates_are_resampled_by_few_plans() {
    let mut content = wav(1, &[1000; 500]);
    let reader = reader(ChannelChoice::One(0), Some(8000));
    for rate in (7000..7100_u32).chain(7000..7003) {
        content[24..28].copy_from_slice(&rate.to_le_bytes());
        let file = Temporary::new(&content);
        let clip = reader.read(&file.0, &mut ReadBuffer::default(), &Cancel::default()).expect("a good file");
        assert_eq!(
            (clip.source_rate, clip.samples.len()),
            (rate, (500 * 8000_usize).div_ceil(rate as usize))
        );
    }
    assert!(format!("{reader:?}").matches("Resampler {").count() <= 16);
}

#[test]
fn clips_lie_in_the_places_that_their_headers_ask_for() {
    let files = [wav(1, &[1; 700]), wav(2, &[-2; 3000]), b"no sound".to_vec(), wav(1, &[3; 400])];
    let files = files.map(|content| Temporary::new(&content));
    let paths: Vec<PathBuf> = files.iter().map(|file| file.0.clone()).collect();
    let cancel = Cancel::default();
    for (choice, rate) in [
        (ChannelChoice::One(0), None),
        (ChannelChoice::Mean, Some(16_000)),
        (ChannelChoice::Mean, Some(3000)),
        (ChannelChoice::All, None),
    ] {
        let reader = reader(choice, rate);
        let lengths = reader.expected_lengths(&paths, None, &cancel).unwrap();
        let mut memory: Vec<Vec<f32>> = lengths.iter().map(|&length| vec![9.0; length]).collect();
        let places = memory.iter_mut().map(Vec::as_mut_slice).collect();
        let clips = reader.read_batch(&paths, places, false, OnError::Keep, None, &cancel).unwrap();
        for ((path, clip), memory) in paths.iter().zip(&clips).zip(&memory) {
            let Ok(clip) = clip else {
                assert_eq!((path, memory.len()), (&paths[2], 0));
                continue;
            };
            assert_eq!(clip.placed, Some(memory.len()));
            assert_eq!(clip.samples(memory), read(path, choice, rate).unwrap().samples);
        }
    }
}

#[test]
fn a_place_that_is_too_small_or_has_to_be_filled_is_told_apart() {
    let file = Temporary::new(&wav(1, &[1; 700]));
    let paths = vec![file.0.clone()];
    let reader = reader(ChannelChoice::One(0), None);
    for (room, filled) in [(0, false), (699, false), (701, false), (700, true), (699, true), (701, true)] {
        let mut memory = vec![0.0; room];
        let places = vec![memory.as_mut_slice()];
        let clips = reader.read_batch(&paths, places, filled, OnError::Stop, None, &Cancel::default());
        match clips {
            Ok(clips) => {
                let clip = clips[0].as_ref().unwrap();
                assert!(!filled || room == 700);
                assert_eq!(clip.placed, (room >= 700).then_some(700));
                assert_eq!(clip.samples(&memory), [1.0 / 32768.0; 700]);
            }
            Err(error) => {
                assert!(filled && room != 700);
                let text = format!("700 samples at 8000 Hz; expected {room} as a row of `out` has");
                assert!(error.to_string().ends_with(&text), "{error}");
            }
        }
    }
}

#[test]
fn no_more_is_expected_than_a_call_may_take() {
    let files = [700, 300, 200].map(|count| Temporary::new(&wav(1, &vec![1; count])));
    let paths: Vec<PathBuf> = files.iter().map(|file| file.0.clone()).collect();
    for (max_bytes, expected) in [(4800, [700, 300, 200]), (4799, [700, 300, 0]), (3999, [700, 0, 0])] {
        let limits = Limits { max_bytes, ..Limits::default() };
        let reader = Reader::new(ChannelChoice::One(0), None, limits).unwrap();
        assert_eq!(reader.expected_lengths(&paths, None, &Cancel::default()).unwrap(), expected);
    }
    // Nor what a header alone promises.
    let mut lying = wav(1, &[1; 700]);
    lying[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    let (file, reader) = (Temporary::new(&lying), reader(ChannelChoice::One(0), None));
    let lengths = reader.expected_lengths(std::slice::from_ref(&file.0), None, &Cancel::default()).unwrap();
    assert!(lengths[0] <= 700, "{lengths:?}");
}

#[test]
fn clips_of_any_length_are_worked_on_in_the_same_memory() {
    let files =
        [wav(1, &[5; 900]), wav(1, &[6; 100]), wav(2, &[7; 3000]), b"no sound".to_vec(), wav(1, &[8; 900])];
    let files = files.map(|content| Temporary::new(&content));
    let reader = reader(ChannelChoice::Mean, Some(12_000));
    let (mut memory, cancel) = (decode::ClipMemory::default(), Cancel::default());
    let mut begins = Vec::new();
    for file in &files {
        let result = reader.with_clip(&file.0, &mut memory, &cancel, |clip| {
            begins.push(clip.as_ptr());
            Ok(clip.to_vec())
        });
        match result {
            Ok(clip) => assert_eq!(clip, read(&file.0, ChannelChoice::Mean, Some(12_000)).unwrap().samples),
            Err(_) => assert_eq!(file.0, files[3].0),
        }
    }
    assert_eq!(begins[0], begins[1]);
    assert_eq!(begins[2], begins[3]);
}
