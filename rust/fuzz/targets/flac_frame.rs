//! FLAC frames with good checksums and any contents: what is read is what they stand for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offkey_core::decode::ChannelChoice;
use offkey_flac_streams::{Choices, Stream, any};
use offkey_fuzz::{read, with_file};

fuzz_target!(|bytes: &[u8]| {
    let Stream { bytes, channels, bits, changed } = any(Choices(bytes));
    with_file(&bytes, |path| {
        let all = read(path, ChannelChoice::All);
        let scale = (1u64 << (bits - 1)) as f32;
        let Some(expected) = channels.filter(|_| !changed) else {
            assert!(changed || all.is_err(), "read, though it leaves the range of its samples");
            return;
        };
        let all = all.expect("a stream without fault is read");
        let expected: Vec<Vec<f32>> =
            expected.iter().map(|channel| channel.iter().map(|&x| x as f32 / scale).collect()).collect();
        assert_eq!(all.samples, expected.concat());
        for (index, channel) in expected.iter().enumerate() {
            let one = read(path, ChannelChoice::One(index)).expect("a channel of it is read");
            assert_eq!(one.samples, *channel);
        }
    });
});
