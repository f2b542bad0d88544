//! Files of any bytes: read or refused, and the same by every way of reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offkey_core::decode::{Blocks, ChannelChoice, Clip, Info, ReadBuffer, info};
use offkey_core::par::Cancel;
use offkey_fuzz::{read, reader, with_file};
use std::path::Path;

/// Longer clips are not resampled: that would take most of the time.
const MAX_RESAMPLED: usize = 1 << 16;

fuzz_target!(init: tolerate_codecs(), |bytes: &[u8]| with_file(bytes, check));

fn check(path: &Path) {
    let header = info(path, &mut ReadBuffer::default());
    let Ok(clip) = read(path, ChannelChoice::All) else {
        for choice in [ChannelChoice::One(0), ChannelChoice::Mean] {
            // Of FLAC a channel that nobody asked for is only passed over, and its samples are not checked.
            let _ = read(path, choice);
        }
        return;
    };
    let Clip { sample_rate, channels, samples, .. } = &clip;
    let header = header.expect("the header of a file that can be read");
    let Info { sample_rate: rate, channels: count, frames, .. } = header;
    assert_eq!((rate, count), (*sample_rate, *channels));
    let length = samples.len() / channels;
    assert!(length > 0 && length * channels == samples.len());
    assert!(frames.is_none_or(|frames| frames == length as u64), "{frames:?} {length}");
    assert!(samples.iter().all(|sample| sample.is_finite()));
    let planes: Vec<&[f32]> = samples.chunks_exact(length).collect();
    for channel in [0, channels - 1] {
        let mono = read(path, ChannelChoice::One(channel)).expect("one channel of it");
        assert!(mono.samples == planes[channel] && mono.sample_rate == *sample_rate);
    }
    // The mean of finite samples may leave float32 only where the samples are near its end.
    let mean = read(path, ChannelChoice::Mean).expect("the mean of its channels");
    for (at, &mean) in mean.samples.iter().enumerate() {
        let sum: f64 = planes.iter().map(|plane| f64::from(plane[at])).sum();
        assert_eq!(mean, (sum / *channels as f64) as f32);
    }
    let short = reader(ChannelChoice::All, None).read_if_short(path, &mut ReadBuffer::default());
    if let Some(short) = short.expect("it is read anyway") {
        assert!(short.samples == clip.samples);
    }
    assert!(blocks(path, None) == planes[0]);
    if length <= MAX_RESAMPLED && (1000..=384_000).contains(sample_rate) {
        let resampled = reader(ChannelChoice::One(0), Some(16_000));
        let resampled = resampled.read(path, &mut ReadBuffer::default(), &Cancel::default());
        let resampled = resampled.expect("a clip that is read is resampled").samples;
        assert!(blocks(path, Some(16_000)) == resampled);
        assert!(resampled.iter().all(|sample| sample.is_finite()));
        let expected = length as f64 * 16_000.0 / f64::from(*sample_rate);
        assert!((resampled.len() as f64 - expected).abs() <= 1.0, "{} {expected}", resampled.len());
    }
}

/// The first channel, joined from blocks of an odd size.
fn blocks(path: &Path, rate: Option<u32>) -> Vec<f32> {
    let cancel = Cancel::default();
    let mut blocks = Blocks::open(path, ChannelChoice::One(0), rate, &cancel).expect("it is read anyway");
    let next = || blocks.next(4321, &cancel).expect("it is read anyway");
    std::iter::from_fn(next).flatten().collect()
}

/// A panic is a finding, except in a codec that others wrote: what it costs is one file, as the kernel promises.
fn tolerate_codecs() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("symphonia")) {
            abort(panic);
        }
    }));
}
