use super::*;
use proptest::prelude::*;

fn joined(buffer: ChannelBuffer<'_>) -> Vec<f32> {
    match buffer.into_samples() {
        Written::Own(samples) => samples,
        Written::Lent(count) => panic!("{count} samples in memory that nobody lent"),
    }
}

#[test]
fn what_was_lent_is_used_until_it_is_too_small() {
    let values = |channel: usize| (0..3).map(move |i| (10 * channel + i) as f32);
    for (lent, fits) in [(9, true), (6, true), (5, false), (0, false)] {
        let mut memory = vec![-1.0; lent];
        let mut buffer = ChannelBuffer::lent(&mut memory, 2);
        buffer.reserve(3).unwrap();
        buffer.push(3, values);
        let expected = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        match buffer.into_samples() {
            Written::Lent(count) => assert_eq!((&memory[..count], fits), (&expected[..], true)),
            Written::Own(samples) => assert_eq!((&samples[..], fits), (&expected[..], false)),
        }
    }
}

#[test]
fn memory_is_used_again() {
    let mut buffer = ChannelBuffer::new(1);
    buffer.reserve(8).unwrap();
    buffer.push(8, |_| [7.0; 8].into_iter());
    let place = buffer.channel(0, 0).as_ptr();
    let mut buffer = ChannelBuffer::reusing(buffer.into_memory(), 4);
    assert!(buffer.room >= 2);
    buffer.reserve(2).unwrap();
    buffer.push(2, |channel| [channel as f32; 2].into_iter());
    assert_eq!(buffer.channel(0, 0).as_ptr(), place);
    assert_eq!(joined(buffer), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn channels_grow_and_keep_what_they_hold() {
    let mut buffer = ChannelBuffer::new(3);
    let mut expected = vec![Vec::new(); 3];
    for (step, count) in [0, 1, 5, 17, 100].into_iter().enumerate() {
        buffer.reserve(buffer.frames() + count + (step + 1) % 2).unwrap();
        let value = |channel: usize, i: usize| (1000 * step + 300 * channel + i) as f32;
        buffer.push(count, |channel| (0..count).map(move |i| value(channel, i)));
        for (channel, expected) in expected.iter_mut().enumerate() {
            expected.extend((0..count).map(|i| value(channel, i)));
            assert_eq!(buffer.channel(channel, 0), expected);
        }
    }
    assert!(buffer.room > buffer.frames());
    let place = buffer.channel(0, 0).as_ptr();
    let samples = joined(buffer);
    assert_eq!(samples, expected.concat());
    assert_eq!(samples.as_ptr(), place, "joined in place");
}

#[test]
fn zeros_are_kept_only_if_the_work_on_them_succeeds() {
    let mut buffer = ChannelBuffer::new(2);
    buffer.reserve(5).unwrap();
    buffer.push(1, |channel| std::iter::once(7.0 + channel as f32));
    let work = |failing: bool| {
        move |channel: usize, zeros: &mut [f32]| {
            assert_eq!(zeros, [0.0; 2]);
            zeros[0] = 1.0 + channel as f32;
            if failing && channel == 1 { Err("no") } else { Ok(()) }
        }
    };
    assert_eq!(buffer.push_zeros(2, work(true)), Err("no"));
    assert_eq!(buffer.frames(), 1);
    assert_eq!(buffer.push_zeros(2, work(false)), Ok(()));
    assert_eq!(joined(buffer), [7.0, 1.0, 0.0, 8.0, 2.0, 0.0]);
}

#[test]
#[should_panic(expected = "3 values in place of 4")]
fn too_few_values_are_no_uninitialised_memory() {
    let mut buffer = ChannelBuffer::new(1);
    buffer.reserve(4).unwrap();
    buffer.push(4, |_| [0.0; 3].into_iter());
}

#[test]
#[should_panic(expected = "no room")]
fn more_than_there_is_room_for_is_refused() {
    let mut buffer = ChannelBuffer::new(8);
    buffer.reserve(63).unwrap();
    buffer.push_int16(SimdLevel::best(), &[[0; 2]; 8 * 64], 8, None);
}

proptest! {
    #[test]
    fn every_level_converts_integers_as_plain_code_does(
        values in prop::collection::vec(any::<i16>(), 1..800),
        channels in 1usize..10,
        chosen in prop::option::of(0usize..10),
        cut in 0usize..50,
    ) {
        let one = chosen.filter(|&channel| channel < channels);
        let samples: Vec<[u8; 2]> = values.iter().map(|x| x.to_le_bytes()).collect();
        let frames = samples.len() / channels;
        let cut = cut.min(frames);
        let plain = |channel: usize| {
            values.chunks_exact(channels).map(move |frame| f32::from(frame[channel]) / 32768.0)
        };
        let expected: Vec<f32> = match one {
            Some(channel) => plain(channel).collect(),
            None => (0..channels).flat_map(plain).collect(),
        };
        for level in SimdLevel::all() {
            let mut buffer = ChannelBuffer::new(if one.is_some() { 1 } else { channels });
            buffer.reserve(frames).unwrap();
            let (first, second) = samples[..frames * channels].split_at(cut * channels);
            buffer.push_int16(level, first, channels, one);
            buffer.push_int16(level, second, channels, one);
            prop_assert_eq!(joined(buffer), expected.clone());
        }
    }

    #[test]
    fn every_level_takes_the_means_that_float64_has(
        values in prop::collection::vec(any::<i16>(), 1..800),
        channels in 1usize..10,
        cut in 0usize..50,
    ) {
        let samples: Vec<[u8; 2]> = values.iter().map(|x| x.to_le_bytes()).collect();
        let frames = samples.len() / channels;
        let mean = |frame: &[i16]| {
            let sum: f64 = frame.iter().map(|&x| f64::from(x) / 32768.0).sum();
            (sum / channels as f64) as f32
        };
        let expected: Vec<f32> = values.chunks_exact(channels).map(mean).collect();
        for level in SimdLevel::all() {
            let mut buffer = ChannelBuffer::new(1);
            buffer.reserve(frames).unwrap();
            let (first, second) = samples[..frames * channels].split_at(cut.min(frames) * channels);
            buffer.push_int16_means(level, first, channels);
            buffer.push_int16_means(level, second, channels);
            prop_assert_eq!(joined(buffer), expected.clone());
        }
    }
}
