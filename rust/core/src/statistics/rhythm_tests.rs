//! The rhythm against its definition.

use super::*;
use crate::rng::RandomStream;
use proptest::prelude::*;

const PAPER: Rhythm = Rhythm { frame_rate_hz: 31.25, bands: 32, rates: 4, lowest_hz: 0.4 };

fn of(rhythm: &Rhythm, logmel: &[f32], n_mels: usize) -> Vec<f32> {
    clip(rhythm, logmel, n_mels, &mut RhythmScratch::new(SimdLevel::best()), &Cancel::default()).unwrap()
}

/// The definition, in float64, frequency by frequency: each number, and how far off it may be.
fn definition(rhythm: &Rhythm, logmel: &[f32], n_mels: usize) -> Vec<[f64; 2]> {
    let frames = logmel.len() / n_mels;
    let window = hann(frames);
    let hz = |line: usize| line as f64 * rhythm.frame_rate_hz / frames as f64;
    let span = rhythm.frame_rate_hz / 2.0 / rhythm.lowest_hz;
    let edge = |i: f64| rhythm.lowest_hz * span.powf(i / rhythm.rates as f64);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut bands = Vec::new();
    for band in 0..rhythm.bands {
        let mels = band * n_mels / rhythm.bands..((band + 1) * n_mels).div_ceil(rhythm.bands);
        let value = |t: usize| {
            let values: Vec<f64> = mels.clone().map(|mel| f64::from(logmel[mel * frames + t])).collect();
            mean(&values)
        };
        let values: Vec<f64> = (0..frames).map(value).collect();
        let center = mean(&values);
        let sum = |line: usize, f: fn(f64) -> f64| -> f64 {
            let angle = |t: usize| TAU * ((line * t) % frames) as f64 / frames as f64;
            (0..frames).map(|t| (values[t] - center) * window[t] * f(angle(t))).sum()
        };
        let power = |k: usize| (sum(k, f64::cos).powi(2) + sum(k, f64::sin).powi(2)) / frames as f64;
        bands.push((0..=frames / 2).map(power).collect::<Vec<_>>());
    }
    let mut out = Vec::new();
    for rate in 0..rhythm.rates {
        let (low, high) = (edge(rate as f64), edge(rate as f64 + 1.0));
        let below = |k: usize| if rate + 1 == rhythm.rates { 2 * k < frames } else { hz(k) < high * ON_EDGE };
        let mut lines: Vec<usize> =
            (0..=frames / 2).filter(|&k| hz(k) >= low * ON_EDGE && below(k)).collect();
        if lines.is_empty() {
            let middle = edge(rate as f64 + 0.5);
            let far = |k: &usize| (hz(*k) - middle).abs();
            lines = (0..=frames / 2).min_by(|a, b| far(a).total_cmp(&far(b))).into_iter().collect();
        }
        for powers in &bands {
            let power = lines.iter().map(|&k| powers[k]).sum::<f64>() / lines.len() as f64 + POWER_FLOOR;
            out.push([power.ln(), 1e-5 + 2e-6 * (mean(powers) / power).sqrt()]);
        }
    }
    out
}

fn check(rhythm: &Rhythm, logmel: &[f32], n_mels: usize) {
    let frames = logmel.len() / n_mels;
    let expected = definition(rhythm, logmel, n_mels);
    for level in SimdLevel::all() {
        // Memory is kept from a longer clip, as a worker keeps it.
        let scratch = &mut RhythmScratch::new(level);
        clip(rhythm, &[1.0; 700], 1, scratch, &Cancel::default()).unwrap();
        let got = clip(rhythm, logmel, n_mels, scratch, &Cancel::default()).unwrap();
        assert_eq!(got.len(), expected.len());
        for (i, (&got, &[expected, tolerance])) in got.iter().zip(&expected).enumerate() {
            let close = (f64::from(got) - expected).abs() <= tolerance;
            assert!(close, "{level:?}, {n_mels} Mels, {frames} frames, number {i}: {got} for {expected}");
        }
    }
}

fn random(frames: usize, n_mels: usize) -> Vec<f32> {
    let mut stream = RandomStream::new(&[frames as u64, n_mels as u64]);
    (0..frames * n_mels).map(|_| stream.uniform_in(-100.0, 40.0) as f32).collect()
}

#[test]
fn every_level_agrees_with_the_definition_at_any_size() {
    for frames in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 63, 100, 157, 313, 626] {
        check(&PAPER, &random(frames, 128), 128);
    }
    for n_mels in [1, 2, 31, 32, 33, 40, 64, 100] {
        check(&PAPER, &random(40, n_mels), n_mels);
    }
}

#[test]
fn other_bands_and_rates() {
    for (bands, rates) in [(1, 1), (5, 7), (16, 8), (17, 3), (33, 2), (128, 40)] {
        check(&Rhythm::new(62.5, bands, rates, 0.1).unwrap(), &random(130, 64), 64);
    }
}

#[test]
fn every_level_agrees_with_the_definition_on_odd_values() {
    let row = |f: &dyn Fn(usize) -> f32| (0..313).map(f).collect::<Vec<_>>();
    let rows = [
        row(&|t| t as f32 * 0.1),
        row(&|t| if t == 0 { 40.0 } else { -100.0 + 1e-3 * (t % 2) as f32 }),
        row(&|t| if t % 30 == 0 { -20.0 } else { -100.0 }),
        row(&|t| if t < 150 { 0.0 } else { -100.0 }),
        row(&|t| -100.0 + 7.6e-6 * (t % 7) as f32),
        row(&|t| f32::from_bits(t as u32) * if t % 3 == 0 { -1.0 } else { 1.0 }),
        row(&|t| if t % 2 == 0 { 1e30 } else { -3e38 }),
        row(&|t| if t % 2 == 0 { 0.0 } else { -0.0 }),
    ];
    for row in &rows {
        check(&PAPER, row, 1);
    }
    // Side by side the loud ones take nothing from the quiet.
    check(&PAPER, &rows.concat(), rows.len());
}

#[test]
fn what_does_not_vary_is_at_the_floor() {
    for frames in [1, 2, 3, 313] {
        let got = of(&PAPER, &vec![-33.3; 128 * frames], 128);
        assert!(got.iter().all(|&x| x == 1e-6_f64.ln() as f32), "{frames} frames: {got:?}");
    }
}

#[test]
fn a_swing_shows_at_its_rate_and_in_its_band_alone() {
    let frames = 313;
    for (rate, hz) in [0.6, 1.5, 4.0, 10.0].into_iter().enumerate() {
        let mut logmel = vec![-60.0; 128 * frames];
        for (t, value) in logmel[40 * frames..41 * frames].iter_mut().enumerate() {
            *value += (TAU * hz * t as f64 / 31.25).sin() as f32;
        }
        let got = of(&PAPER, &logmel, 128);
        let loudest = (0..128).max_by(|&a, &b| got[a].total_cmp(&got[b])).unwrap();
        assert_eq!(loudest, rate * 32 + 10, "{hz} Hz");
        let silent = (0..128).filter(|i| i % 32 != 10).all(|i| got[i] < -13.8);
        assert!(silent, "{hz} Hz: {got:?}");
    }
}

#[test]
fn lines_follow_the_edges() {
    // 0.4 Hz is line 8 of 625; half the frame rate, line 313 of 626, belongs to no rate.
    let lines = PAPER.lines(625);
    assert_eq!(PAPER.lines(626)[3].end, 313);
    assert_eq!(lines, [8..20, 20..50, 50..125, 125..313]);
    // At 30 frames lines are 1.04 Hz apart: no line from 0.4 to 1 Hz, the nearest to 0.63 Hz is the first.
    assert_eq!(PAPER.lines(30)[0], 1..2);
    assert_eq!(PAPER.lines(1), [0..1, 0..1, 0..1, 0..1]);
}

#[test]
fn bad_frames_are_named() {
    let refused = |logmel: &[f32], n_mels| {
        let scratch = &mut RhythmScratch::new(SimdLevel::best());
        clip(&PAPER, logmel, n_mels, scratch, &Cancel::default()).unwrap_err().to_string()
    };
    assert!(refused(&[], 3).starts_with("logmels: no frames;"));
    let text = refused(&[0.0, 1.0, 2.0, f32::NAN, 3.0, 4.0], 2);
    assert_eq!(text, "logmels: NaN at frame 0 of Mel band 1; expected finite decibels");
    for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        for frame in 0..40 {
            let mut logmel = [0.0; 40 * 5];
            logmel[2 * 40 + frame] = bad;
            let text = refused(&logmel, 5);
            assert!(text.starts_with(&format!("logmels: {bad} at frame {frame} of Mel band 2;")), "{text}");
        }
    }
}

#[test]
fn parameters_are_checked() {
    let refused =
        |rate, bands, rates, lowest| Rhythm::new(rate, bands, rates, lowest).unwrap_err().to_string();
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(rate, 32, 4, 0.4).starts_with("frame_rate_hz = "));
    }
    assert_eq!(refused(31.25, 0, 4, 0.4), "bands = 0: expected 1 to 8192");
    assert_eq!(refused(31.25, 32, 8193, 0.4), "rates = 8193: expected 1 to 8192");
    for lowest in [0.0, -1.0, f64::NAN, 15.625] {
        let text = refused(31.25, 32, 4, lowest);
        assert!(text.ends_with("expected above 0 and below half the frame rate, 15.625 Hz"), "{text}");
    }
}

#[test]
fn a_raised_flag_stops_it() {
    let cancel = Cancel::default();
    cancel.cancel();
    let got = clip(&PAPER, &[0.0; 40], 4, &mut RhythmScratch::new(SimdLevel::best()), &cancel);
    assert!(matches!(got, Err(Error::Interrupted)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn agrees_with_the_definition(
        (n_mels, logmel) in (1_usize..40, 1_usize..50).prop_flat_map(|(n_mels, frames)| {
            (Just(n_mels), prop::collection::vec(-100.0_f32..40.0, n_mels * frames))
        }),
        frame_rate_hz in 5.0..200.0,
    ) {
        check(&Rhythm::new(frame_rate_hz, 32, 4, 0.4).unwrap(), &logmel, n_mels);
    }
}

#[test]
fn the_plan_of_another_rhythm_length_or_level_is_not_taken() {
    let logmel: Vec<f32> = (0..8 * 40).map(|i| (0.7 * f64::from(i)).sin() as f32).collect();
    let other = Rhythm { rates: 3, ..PAPER };
    let in_turn = || [of(&PAPER, &logmel, 8), of(&other, &logmel, 8), of(&PAPER, &logmel[..8 * 30], 8)];
    let before = in_turn();
    check(&other, &logmel, 8);
    assert_eq!(in_turn(), before);
    for _ in 0..2 {
        check(&PAPER, &logmel, 8);
    }
}
