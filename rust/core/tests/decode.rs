//! Whatever bytes a file holds, reading it ends with a clip or an error, and both say what they should.

use offkey_core::Error;
use offkey_core::decode::{self, ChannelChoice, OnError, Scratch};
use offkey_core::par::Cancel;
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
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn read_all(path: &Path) -> offkey_core::Result<decode::Clip> {
    decode::read(path, None, &mut Scratch::default(), &Cancel::default())
}

/// A clip that is one, or an error of a kind that bytes can cause.
fn check(content: &[u8]) {
    let file = Temporary::new(content);
    match read_all(&file.0) {
        Ok(clip) => {
            assert!(clip.channels > 0 && clip.sample_rate > 0 && !clip.samples.is_empty());
            assert_eq!(clip.samples.len() % clip.channels, 0);
            assert!(clip.samples.iter().all(|sample| sample.is_finite()));
            let info = decode::info(&file.0, &mut Scratch::default()).expect("what can be read has a header");
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
            let one = decode::read_mono(&file.0, ChannelChoice::One(channel), None).expect("a good file");
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
        let batch = |on_error| {
            decode::read_batch(paths.clone(), ChannelChoice::One(0), None, on_error, threads, &cancel)
        };
        let kept = batch(OnError::Keep).expect("errors are kept");
        assert_eq!(kept.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(matches!(batch(OnError::Stop), Err(Error::Decode { path, .. }) if path == bad.0));
    }
    cancel.cancel();
    let stopped = decode::read_batch(paths, ChannelChoice::Mean, None, OnError::Keep, None, &cancel);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn a_clip_is_read_at_the_rate_that_was_asked_for() {
    let file = Temporary::new(&wav(2, &[1000; 2000]));
    let clip = decode::read_mono(&file.0, ChannelChoice::Mean, Some(12_000)).expect("a good file");
    assert_eq!((clip.sample_rate, clip.samples.len()), (12_000, 1500));
    let refused = decode::read_mono(&file.0, ChannelChoice::Mean, Some(0));
    assert!(matches!(refused, Err(Error::Parameter { parameter: "sample_rate", .. })));
}
