//! The resampler by itself: lengths, sines, one plan for many clips, and stopping.

use crate::Error;
use crate::par::Cancel;
use crate::resample::{MAX_RATE, ResampleScratch, Resampler, StreamResampler};
use crate::simd::SimdLevel;
use proptest::prelude::*;
use std::sync::Arc;

fn resample(from: u32, to: u32, samples: &[f32]) -> Vec<f32> {
    let resampler = Resampler::new(from, to).expect("good rates");
    resampler.process_channels(samples, 1, &Cancel::default()).expect("nobody stops it")
}

/// The same with the clip cut into parts.
fn streamed(from: u32, to: u32, clip: &[f32], parts: impl IntoIterator<Item = usize>) -> Vec<f32> {
    let (mut stream, mut out) =
        (StreamResampler::new(Arc::new(Resampler::new(from, to).expect("good rates"))), vec![]);
    let mut drain = |stream: &mut StreamResampler| {
        while stream.advance(&Cancel::default()).expect("nobody stops it") > 0 {
            out.extend_from_slice(stream.outputs());
        }
    };
    let mut rest = clip;
    for part in parts {
        let (samples, others) = rest.split_at(part.min(rest.len()));
        stream.feed(samples).expect("memory");
        rest = others;
        drain(&mut stream);
    }
    stream.feed(rest).expect("memory");
    stream.end();
    drain(&mut stream);
    out
}

/// Rates that meet each other: simple ratios, long periods, halvings, tables with and without all phases.
fn rates() -> impl Strategy<Value = (u32, u32)> {
    let usual = prop::sample::select(vec![8000, 11_025, 16_000, 16_001, 22_050, 44_100, 48_000, 96_000]);
    (usual.clone(), usual)
}

/// Samples of many kinds: full scale, denormals, silence.
fn samples() -> impl Strategy<Value = Vec<f32>> {
    let sample = prop_oneof![
        8 => -1.0_f32..=1.0,
        1 => prop::sample::select(vec![1.0, -1.0, f32::MIN_POSITIVE, 1e-40, -1e-45, -0.0]),
    ];
    // Sizes around one lane, one vector of them and a chunk.
    let count = prop_oneof![1_usize..70, 500_usize..560, 2000_usize..9000];
    count.prop_flat_map(move |count| prop::collection::vec(sample.clone(), count))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn every_level_agrees_with_the_portable_one((from, to) in rates(), clip in samples(), scale in -20..20) {
        let scale = f32::powi(10.0, scale);
        let clip: Vec<f32> = clip.into_iter().map(|sample| sample * scale).collect();
        let run = |level| {
            let resampler = Resampler::with_level(from, to, level).expect("good rates");
            resampler.process_channels(&clip, 1, &Cancel::default()).expect("nobody stops it")
        };
        let levels = SimdLevel::all();
        let twin = run(levels[0]);
        let peak = clip.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        for &level in &levels[1..] {
            for (index, (a, b)) in run(level).iter().zip(&twin).enumerate() {
                prop_assert!((a - b).abs() <= 1e-6 * peak + 1e-44, "{level:?}, {index}: {a} for {b}");
            }
        }
    }

    #[test]
    fn an_output_does_not_depend_on_its_lane((from, to) in rates(), clip in samples(), more in 0_usize..3000) {
        let short = resample(from, to, &clip);
        let mut longer = clip.clone();
        longer.resize(clip.len() + more, 0.0);
        prop_assert_eq!(&resample(from, to, &longer)[..short.len()], &short[..]);
    }

    #[test]
    fn any_room_is_filled_with_the_start_of_the_result(
        (from, to) in rates(),
        clip in samples(),
        room in 0_usize..12_000,
    ) {
        let resampler = Resampler::new(from, to).expect("good rates");
        let mut out = vec![f32::NAN; room];
        let mut scratch = ResampleScratch::default();
        // Memory that another conversion has used.
        resampler.process_into(&[1.0; 999], &mut [0.0; 777], &mut scratch, &Cancel::default()).expect("not stopped");
        resampler.process_into(&clip, &mut out, &mut scratch, &Cancel::default()).expect("not stopped");
        let whole = resample(from, to, &clip);
        let shared = room.min(whole.len());
        prop_assert_eq!(&out[..shared], &whole[..shared]);
        // Behind it the filters ring out, and then there is silence.
        prop_assert!(out.iter().all(|sample| sample.abs() < 4.0));
        let silent = whole.len() + 400 * 384_000 / to.min(from) as usize;
        prop_assert!(out.iter().skip(silent).all(|&sample| sample == 0.0));
    }

    #[test]
    fn in_parts_it_is_the_same_to_the_bit(
        (from, to) in rates(),
        clip in samples(),
        parts in prop::collection::vec(0_usize..3000, 0..6),
    ) {
        prop_assert_eq!(streamed(from, to, &clip, parts), resample(from, to, &clip));
    }

    #[test]
    fn as_long_as_promised(from in 1u32..=MAX_RATE, to in 1u32..=MAX_RATE, count in 1usize..2000) {
        let count = count.min((4_000_000 * u64::from(from) / u64::from(to)).max(1) as usize);
        let samples = vec![1.0; count];
        let out = resample(from, to, &samples);
        let expected = (count as u64 * u64::from(to)).div_ceil(u64::from(from));
        prop_assert_eq!(out.len() as u64, expected);
        prop_assert!(out.iter().all(|sample| sample.is_finite() && sample.abs() < 2.0));
    }
}

#[test]
fn a_sine_stays_a_sine_without_delay() {
    for (from, to) in [(44_100, 16_000), (8000, 16_000), (16_000, 16_001), (192_000, 16_000)] {
        let value = |rate: u32, index: usize| (1234.5 * index as f64 / f64::from(rate)).sin();
        let samples: Vec<f32> = (0..from as usize / 4).map(|index| value(from, index) as f32).collect();
        let out = resample(from, to, &samples);
        let third = out.len() / 3;
        let errors = (third..2 * third).map(|index| (f64::from(out[index]) - value(to, index)).abs());
        let worst = errors.fold(0.0, f64::max);
        assert!(worst < 3e-6, "{from} to {to}: {worst}");
    }
}

#[test]
fn equals_the_definition() {
    // A filter of its own: the sum over a Kaiser-windowed sinc in float64 at the true places.
    let bessel = |x: f64| {
        let terms = (1..60).scan(1.0, |term, k| {
            *term *= x * x / f64::from(4 * k * k);
            Some(*term)
        });
        1.0 + terms.sum::<f64>()
    };
    for (from, to) in [(22_050_u32, 16_000_u32), (16_000, 16_001), (16_000, 22_050), (3, 2), (2, 3)] {
        let edge = 0.5 * (f64::from(to) / f64::from(from)).min(1.0);
        let half = (((130.0 - 7.95) / (2.285 * std::f64::consts::TAU * 0.087 * edge) + 1.0) / 2.0).ceil();
        let tap = |t: f64| {
            let x = std::f64::consts::PI * 1.913 * edge * t;
            let window = bessel(0.1102 * 121.3 * (1.0 - (t / half).powi(2)).max(0.0).sqrt());
            if t.abs() >= half { 0.0 } else { window * if x == 0.0 { 1.0 } else { x.sin() / x } }
        };
        let clip: Vec<f32> = (0..900u32).map(|i| (i * i % 641) as f32 / 320.0 - 1.0).collect();
        let out = resample(from, to, &clip);
        for index in (0..out.len()).step_by(7) {
            let place = index as f64 * f64::from(from) / f64::from(to);
            let first = (place - half) as i64 - 1;
            let taps = (first..first + 2 * half as i64 + 3).map(|i| (i, tap(i as f64 - place)));
            let (mut sum, mut weight) = (0.0, 0.0);
            for (i, tap) in taps {
                weight += tap;
                sum += tap * usize::try_from(i).map_or(0.0, |i| clip.get(i).copied().map_or(0.0, f64::from));
            }
            let error = (f64::from(out[index]) - sum / weight).abs();
            assert!(error < 1e-6, "{from} to {to}, output {index}: {error:e}");
        }
    }
}

#[test]
fn one_plan_serves_many_clips() {
    let resampler = Resampler::new(44_100, 16_000).expect("good rates");
    let clip: Vec<f32> = (0..5000u16).map(|i| f32::from(i % 17) / 17.0).collect();
    let first = resampler.process_channels(&clip, 1, &Cancel::default()).expect("nobody stops it");
    let other = resampler.process_channels(&clip[..100], 1, &Cancel::default()).expect("nobody stops it");
    assert_eq!(other.len(), 37);
    assert_eq!(resampler.process_channels(&clip, 1, &Cancel::default()).expect("nobody stops it"), first);
}

#[test]
fn long_clips_in_parts_are_the_same_to_the_bit() {
    // More than is computed at once, through one stage or several, with and without whole periods in every lane.
    for (from, to, count) in [
        (44_100, 16_000, 1_000_000),
        (16_000, 8000, 700_000),
        (8000, 16_000, 400_000),
        (192_000, 11_025, 1_500_000),
        (16_000, 16_001, 600_000),
        (384_000, 1, 3_000_000),
        (5, 384_000, 30),
    ] {
        let clip: Vec<f32> =
            (0..count).map(|i: u32| (i.wrapping_mul(i) % 641) as f32 / 320.0 - 1.0).collect();
        let whole = resample(from, to, &clip);
        assert!(streamed(from, to, &clip, [700_001, 1, 65_536]) == whole, "{from} to {to}");
        assert!(streamed(from, to, &clip, std::iter::repeat_n(4096, 100)) == whole, "{from} to {to}");
    }
}

#[test]
fn stops_when_asked() {
    let cancel = Cancel::default();
    cancel.cancel();
    let stopped = Resampler::new(3, 2).expect("good rates").process_channels(&[0.0; 100], 1, &cancel);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn refuses_what_it_cannot_hold() {
    for (from, to, name) in [(0, 1, "from_rate"), (1, 0, "to_rate"), (MAX_RATE + 1, 1, "from_rate")] {
        let refused = Resampler::new(from, to);
        assert!(matches!(refused, Err(Error::Parameter { parameter, .. }) if parameter == name));
    }
    let long = Resampler::new(1, MAX_RATE).expect("good rates").process_channels(
        &[0.0; 20_000],
        1,
        &Cancel::default(),
    );
    assert!(matches!(long, Err(Error::Array { .. })));
}

#[test]
fn where_the_rate_is_halved_first_tones_are_kept_or_stopped() {
    // A tone in the band that is kept comes through all stages, one above it does not.
    for (from, to) in
        [(48_000_u32, 16_000_u32), (44_100, 16_000), (96_000, 16_000), (192_000, 11_025), (41, 16)]
    {
        for (part, kept) in
            [(0.01, true), (0.5, true), (0.91, true), (1.01, false), (1.3, false), (1.99, false)]
        {
            let turn = std::f64::consts::PI * part * f64::from(to.min(from)) / f64::from(from);
            let clip: Vec<f32> = (0..40_000).map(|i| (turn * f64::from(i)).sin() as f32).collect();
            for level in SimdLevel::all() {
                let resampler = Resampler::with_level(from, to, level).expect("good rates");
                let out = resampler.process_channels(&clip, 1, &Cancel::default()).expect("nobody stops it");
                let step = turn * f64::from(from) / f64::from(to);
                for index in out.len() / 3..2 * out.len() / 3 {
                    let expected = if kept { (step * index as f64).sin() } else { 0.0 };
                    let error = (f64::from(out[index]) - expected).abs();
                    assert!(error < 2e-6, "{level:?}, {from} to {to}, {part}: {error:e}");
                }
            }
        }
    }
}
