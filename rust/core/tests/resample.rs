//! The resampler by itself: lengths, sines, one plan for many clips, and stopping.

use offkey_core::Error;
use offkey_core::par::Cancel;
use offkey_core::resample::{MAX_RATE, Resampler};
use proptest::prelude::*;

fn resample(from: u32, to: u32, samples: &[f32]) -> Vec<f32> {
    let resampler = Resampler::new(from, to).expect("good rates");
    resampler.process(samples, &Cancel::default()).expect("nobody stops it")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

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
fn one_plan_serves_many_clips() {
    let resampler = Resampler::new(44_100, 16_000).expect("good rates");
    let clip: Vec<f32> = (0..5000u16).map(|i| f32::from(i % 17) / 17.0).collect();
    let first = resampler.process(&clip, &Cancel::default()).expect("nobody stops it");
    let other = resampler.process(&clip[..100], &Cancel::default()).expect("nobody stops it");
    assert_eq!(other.len(), 37);
    assert_eq!(resampler.process(&clip, &Cancel::default()).expect("nobody stops it"), first);
}

#[test]
fn stops_when_asked() {
    let cancel = Cancel::default();
    cancel.cancel();
    let stopped = Resampler::new(3, 2).expect("good rates").process(&[0.0; 100], &cancel);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn refuses_what_it_cannot_hold() {
    for (from, to, name) in [(0, 1, "from_rate"), (1, 0, "to_rate"), (MAX_RATE + 1, 1, "from_rate")] {
        let refused = Resampler::new(from, to);
        assert!(matches!(refused, Err(Error::Parameter { parameter, .. }) if parameter == name));
    }
    let long = Resampler::new(1, MAX_RATE).expect("good rates").process(&[0.0; 20_000], &Cancel::default());
    assert!(matches!(long, Err(Error::Array { .. })));
}
