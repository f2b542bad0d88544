//! The whole kernel against its definition.

use super::*;
use crate::par::Cancel;
use crate::rng::RandomStream;
use crate::simd::SimdLevel;
use crate::{Error, MAX_SAMPLE};
use proptest::prelude::*;
use std::f64::consts::TAU;

fn plan(settings: &Settings, level: SimdLevel) -> LogMel {
    LogMel::with_level(settings.clone(), level).unwrap()
}

fn logmel(plan: &LogMel, clip: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; plan.n_mels() * plan.frames(clip.len()).unwrap()];
    plan.process_into(&mut plan.scratch(), Samples::F32(clip), &mut out, &Cancel::default()).unwrap();
    out
}

type Complex = [f64; 2];

/// The discrete Fourier transform, by the least prime factor of the length.
fn fft(x: &[Complex]) -> Vec<Complex> {
    let Some(factor) = (2..=x.len()).find(|&factor| x.len().is_multiple_of(factor)) else {
        return x.to_vec();
    };
    let part = |first: usize| fft(&x.iter().copied().skip(first).step_by(factor).collect::<Vec<_>>());
    let parts: Vec<Vec<Complex>> = (0..factor).map(part).collect();
    let sum = |k: usize| {
        let turn = |j: usize| -TAU * (j * k % x.len()) as f64 / x.len() as f64;
        let terms = parts.iter().enumerate().map(|(j, part)| (turn(j).sin_cos(), part[k % part.len()]));
        terms.fold([0.0, 0.0], |sum, ((sin, cos), [re, im])| {
            [sum[0] + re * cos - im * sin, sum[1] + re * sin + im * cos]
        })
    };
    (0..x.len()).map(sum).collect()
}

/// The definition in float64, nothing shared with the kernel but the filters.
fn reference(plan: &LogMel, clip: &[f32]) -> Vec<f64> {
    let s = plan.settings();
    let pad = if s.pad_mode == PadMode::None { 0 } else { s.n_fft / 2 } as i64;
    let count = clip.len() as i64;
    let sample = |at: i64| match s.pad_mode {
        _ if (0..count).contains(&at) => f64::from(clip[at as usize]),
        PadMode::Reflect if at < 0 => f64::from(clip[-at as usize]),
        PadMode::Reflect => f64::from(clip[(2 * count - 2 - at) as usize]),
        _ => 0.0,
    };
    let length = s.win_length.unwrap_or(s.n_fft);
    let (before, weights) = ((s.n_fft - length) / 2, s.window.periodic(length));
    let weight = |i: usize| i.checked_sub(before).and_then(|i| weights.get(i)).copied().unwrap_or(0.0);
    let (filters, bins) = (plan.filters(), s.n_fft / 2 + 1);
    let frames = plan.frames(clip.len()).unwrap();
    let mut out = vec![0.0; s.n_mels * frames];
    for frame in 0..frames {
        let start = (frame * s.hop_length) as i64 - pad;
        let windowed = |i: usize| sample(start + i as i64) * weight(i);
        let windowed: Vec<Complex> = (0..s.n_fft).map(|i| [windowed(i), 0.0]).collect();
        let power: Vec<f64> = fft(&windowed)[..bins].iter().map(|[re, im]| re * re + im * im).collect();
        for mel in 0..s.n_mels {
            let row = filters[mel * bins..][..bins].iter().map(|&w| f64::from(w)).zip(&power);
            let (scale, sum) = match s.spectrum {
                Spectrum::Power => (10.0, row.map(|(w, p)| w * p).sum::<f64>()),
                Spectrum::Magnitude => (20.0, row.map(|(w, p)| w * p.sqrt()).sum()),
            };
            let value = match s.floor {
                Floor::Max => sum.max(s.floor_value),
                Floor::Add => sum + s.floor_value,
            };
            out[mel * frames + frame] = scale * value.log10();
        }
    }
    out
}

/// The greatest error in dB down to 80 dB below the clip's maximum.
fn worst(got: &[f32], expected: &[f64]) -> f64 {
    let greatest = expected.iter().copied().fold(f64::MIN, f64::max);
    let counts = got.iter().zip(expected).filter(|(_, e)| **e > greatest - 80.0);
    counts.map(|(g, e)| (f64::from(*g) - e).abs()).fold(0.0, f64::max)
}

fn noise(key: u64, count: usize, scale: f64) -> Vec<f32> {
    let mut stream = RandomStream::new(&[key]);
    (0..count).map(|_| (scale * stream.uniform_in(-1.0, 1.0)) as f32).collect()
}

fn small() -> Settings {
    Settings { n_fft: 128, hop_length: 40, n_mels: 20, ..Settings::default() }
}

#[test]
fn the_reference_transform_is_the_definition() {
    let x: Vec<Complex> = noise(1, 240, 1.0).chunks(2).map(|x| [x[0].into(), x[1].into()]).collect();
    for (k, got) in fft(&x).iter().enumerate() {
        let turn = |i: usize| -TAU * (i * k % 120) as f64 / 120.0;
        let terms = x.iter().enumerate().map(|(i, [re, im])| (turn(i).sin_cos(), re, im));
        let sum = terms.fold([0.0, 0.0], |sum, ((sin, cos), re, im)| {
            [sum[0] + re * cos - im * sin, sum[1] + re * sin + im * cos]
        });
        assert!((got[0] - sum[0]).abs() < 1e-12 && (got[1] - sum[1]).abs() < 1e-12, "{k}: {got:?} {sum:?}");
    }
}

#[test]
fn every_length_of_frame_up_to_the_longest_is_within_the_tolerance() {
    let others = [18, 400, 480, 486, 500, 1250, 6000, 33_750, 60_750];
    for n_fft in (4..=16).map(|exponent| 1 << exponent).chain(others) {
        let n_mels = if n_fft > 256 { 128 } else { 8 };
        let settings = Settings { n_fft, hop_length: n_fft / 2, n_mels, ..Settings::default() };
        let noise = noise(n_fft as u64, 2 * n_fft, 0.5);
        let tones = noise.iter().enumerate().map(|(i, x)| {
            let time = i as f64 / 16_000.0;
            2e-5 * x + (0.5 * (TAU * 700.3 * time).sin() + 0.4 * (TAU * 3100.7 * time).sin()) as f32
        });
        for clip in [noise.clone(), tones.collect()] {
            let expected = reference(&plan(&settings, SimdLevel::best()), &clip);
            for level in SimdLevel::all() {
                let error = worst(&logmel(&plan(&settings, level), &clip), &expected);
                assert!(error < 1e-3, "{level:?}, n_fft {n_fft}: {error:e} dB");
            }
        }
    }
}

#[test]
fn a_raised_flag_stops_a_clip() {
    let (plan, cancel) = (plan(&small(), SimdLevel::best()), Cancel::default());
    cancel.cancel();
    let got = plan.process_into(&mut plan.scratch(), Samples::F32(&[0.5; 40]), &mut [0.0; 40], &cancel);
    assert!(matches!(got, Err(Error::Interrupted)));
}

#[test]
fn every_number_of_frames_around_the_width_of_a_group() {
    for level in SimdLevel::all() {
        let plan = plan(&small(), level);
        for frames in 1..=35 {
            let clip = noise(frames as u64, (frames - 1) * 40 + 1, 0.5);
            let error = worst(&logmel(&plan, &clip), &reference(&plan, &clip));
            assert!(error < 1e-4, "{level:?}, {frames} frames: {error:e} dB");
        }
    }
}

#[test]
fn loud_tones_beside_faint_noise_stay_within_the_tolerance() {
    for (spectrum, n_fft) in [(Spectrum::Power, 1024), (Spectrum::Magnitude, 512)] {
        for level in SimdLevel::all() {
            let settings = Settings { n_fft, n_mels: 40, spectrum, ..Settings::default() };
            let plan = plan(&settings, level);
            for (key, faint) in [(1, 3e-6), (2, 1e-5), (3, 3e-5), (4, 1e-4), (5, 1e-3)] {
                let mut clip = noise(key, 4000, faint);
                for (i, x) in clip.iter_mut().enumerate() {
                    let time = i as f64 / 16_000.0;
                    *x += (0.5 * (TAU * 700.3 * time).sin() + 0.5 * (TAU * 3100.7 * time).sin()) as f32;
                }
                let error = worst(&logmel(&plan, &clip), &reference(&plan, &clip));
                assert!(error < 1e-3, "{level:?}, {spectrum:?}, noise {faint}: {error:e} dB");
            }
        }
    }
}

#[test]
fn only_frames_of_great_range_are_done_again() {
    let plan = plan(&small(), SimdLevel::best());
    logmel(&plan, &noise(1, 4000, 1.0));
    assert!(plan.great_range.get().is_none());
    let tone: Vec<f32> = (0..4000).map(|i| (0.3 * f64::from(i)).sin() as f32).collect();
    logmel(&plan, &tone);
    assert!(plan.great_range.get().is_some());
}

#[test]
fn an_offset_needs_no_float64_whatever_the_window() {
    let (mut cases, mut taken_away) = (0, 0);
    for (name, window) in Window::NAMES {
        for (n_fft, win_length, spectrum) in
            [(128, None, Spectrum::Power), (240, Some(75), Spectrum::Magnitude)]
        {
            let pad_mode = PadMode::None;
            let settings = Settings { n_fft, win_length, window, spectrum, pad_mode, n_mels: 6, ..small() };
            for (faint, drift) in [(2e-3, 0.0), (2e-3, 1e-7), (1e-2, 0.0)] {
                let noise = noise(n_fft as u64, 3000, faint);
                let clip: Vec<f32> =
                    noise.iter().zip(0_u16..).map(|(x, i)| x + 0.7 + drift * f32::from(i)).collect();
                for level in SimdLevel::all() {
                    let plan = plan(&settings, level);
                    let (mut scratch, mut out) = (plan.scratch(), vec![0.0; 6 * plan.frames(3000).unwrap()]);
                    plan.process_into(&mut scratch, Samples::F32(&clip), &mut out, &Cancel::default())
                        .unwrap();
                    let error = worst(&out, &reference(&plan, &clip));
                    assert!(error < 5e-4, "{level:?}, {name}, n_fft {n_fft}, noise {faint}: {error:e} dB");
                    assert!(!scratch.needs_float64(), "{level:?}, {name}, n_fft {n_fft}, noise {faint}");
                    (cases, taken_away) =
                        (cases + 1, taken_away + u32::from(plan.great_range.get().is_some()));
                }
            }
        }
    }
    // The side lobes of some windows leave no band deep.
    assert!(2 * taken_away > cases, "{taken_away} of {cases}");
}

#[test]
fn the_end_of_a_clip_behind_its_last_frame_does_not_count() {
    let settings = Settings {
        sample_rate: 8000,
        n_fft: 32,
        hop_length: 154,
        window: Window::Nuttall,
        n_mels: 1,
        f_min_hz: 801.5,
        f_max_hz: 1225.0,
        pad_mode: PadMode::None,
        spectrum: Spectrum::Magnitude,
        ..Settings::default()
    };
    let hum = |i: u16| 0.011_393 * (TAU * 0.240_095_260_359 * f64::from(i)).sin();
    let noise = noise(1_137_543_971_552_810_209, 470, 2.8e-5);
    let clip: Vec<f32> = noise.iter().zip(0..).map(|(x, i)| x + (hum(i) - 0.323_719_55) as f32).collect();
    for level in SimdLevel::all() {
        let plan = plan(&settings, level);
        let error = worst(&logmel(&plan, &clip), &reference(&plan, &clip));
        assert!(error < 1e-3, "{level:?}: {error:e} dB");
    }
}

#[test]
fn offsets_that_come_and_go_stay_within_the_tolerance() {
    for level in SimdLevel::all() {
        let plan = plan(&Settings { n_mels: 40, ..Settings::default() }, level);
        for faint in [1e-5, 1e-3] {
            let mut clip: Vec<f32> = noise(7, 40_000, faint).iter().map(|x| x + 0.25).collect();
            assert!(worst(&logmel(&plan, &clip), &reference(&plan, &clip)) < 1e-3);
            clip[9000..].iter_mut().for_each(|x| *x -= 0.24);
            assert!(worst(&logmel(&plan, &clip), &reference(&plan, &clip)) < 1e-3);
            clip[20_000..].fill(0.0);
            assert!(worst(&logmel(&plan, &clip), &reference(&plan, &clip)) < 1e-3);
        }
    }
}

#[test]
fn a_hum_needs_no_float64() {
    for level in SimdLevel::all() {
        for (n_fft, spectrum) in [(1024, Spectrum::Power), (480, Spectrum::Magnitude)] {
            let plan = plan(&Settings { n_fft, n_mels: 40, spectrum, ..Settings::default() }, level);
            // Louder where it is low, as machines are.
            let mut slow = 0.0;
            let mut clip = noise(5, 20_000, 1e-3);
            for (i, x) in clip.iter_mut().enumerate() {
                slow = 0.9 * slow + *x;
                *x = slow + 0.3 * (TAU * 50.3 / 16_000.0 * i as f64).sin() as f32;
            }
            let (mut scratch, mut out) = (plan.scratch(), vec![0.0; 40 * plan.frames(20_000).unwrap()]);
            plan.process_into(&mut scratch, Samples::F32(&clip), &mut out, &Cancel::default()).unwrap();
            let error = worst(&out, &reference(&plan, &clip));
            assert!(error < 5e-4, "{level:?}, n_fft {n_fft}: {error:e} dB");
            assert!(plan.great_range.get().is_some() && !scratch.needs_float64(), "{level:?}, n_fft {n_fft}");
        }
    }
}

#[test]
fn a_frame_does_not_depend_on_its_neighbours() {
    let tone = |hz: f64, scale: f64| move |i: usize| (scale * (TAU * hz / 16_000.0 * i as f64).sin()) as f32;
    let (hum, whine, none) = (tone(50.3, 0.3), tone(3000.7, 0.3), tone(0.0, 0.0));
    let parts = [
        (1e-3, 0.0, &none as &dyn Fn(usize) -> f32),
        (1e-3, 0.5, &none),
        (1e-4, 0.0, &hum),
        (1e-5, 0.0, &whine),
        (1e-2, 0.0, &none),
        (3e-3, 0.0, &hum),
        (1e-4, -0.3, &hum),
        (1e-6, 0.1, &whine),
    ];
    for (seed, settings) in [(1, small()), (2, Settings { n_mels: 40, ..Settings::default() })] {
        let settings = Settings { pad_mode: PadMode::None, ..settings };
        let mut stream = RandomStream::new(&[seed]);
        // Parts of any length in any order.
        let mut clip = Vec::new();
        for part in 0..40 {
            let (faint, offset, tone) = parts[(stream.uniform() * 8.0) as usize];
            let length = (stream.uniform() * 4.0 * settings.n_fft as f64) as usize;
            clip.extend(noise(part, length, faint).iter().zip(0..).map(|(x, i)| x + offset + tone(i)));
        }
        for level in SimdLevel::all() {
            let plan = plan(&settings, level);
            let (whole, frames) = (logmel(&plan, &clip), plan.frames(clip.len()).unwrap());
            for frame in 0..frames {
                let alone = logmel(&plan, &clip[frame * settings.hop_length..][..settings.n_fft]);
                let column = whole.iter().copied().skip(frame).step_by(frames);
                assert!(column.eq(alone), "{level:?}, n_fft {}, frame {frame}", settings.n_fft);
            }
        }
    }
}

#[test]
fn integers_are_their_floats() {
    let integers: Vec<i16> = noise(3, 3000, 32_767.0).iter().map(|x| *x as i16).collect();
    let floats: Vec<f32> = integers.iter().map(|&x| f32::from(x) / 32_768.0).collect();
    let plan = plan(&small(), SimdLevel::best());
    let mut out = vec![0.0; 20 * plan.frames(3000).unwrap()];
    plan.process_into(&mut plan.scratch(), Samples::I16(&integers), &mut out, &Cancel::default()).unwrap();
    assert_eq!(out, logmel(&plan, &floats));
}

#[test]
fn silence_and_full_scale() {
    for level in SimdLevel::all() {
        let plan = plan(&small(), level);
        for quiet in [0.0, -0.0, 1e-45, f32::MIN_POSITIVE] {
            assert!(logmel(&plan, &[quiet; 500]).iter().all(|&db| db == -100.0));
        }
        for scale in [1.0, f64::from(MAX_SAMPLE)] {
            let clip = noise(9, 500, scale);
            let error = worst(&logmel(&plan, &clip), &reference(&plan, &clip));
            assert!(error < 1e-4, "{level:?}, scale {scale:e}: {error:e} dB");
        }
    }
}

#[test]
fn bad_clips_are_refused() {
    let plan = plan(&small(), SimdLevel::best());
    let mut scratch = plan.scratch();
    let mut of = |clip: &[f32], size| {
        plan.process_into(&mut scratch, Samples::F32(clip), &mut vec![0.0; size], &Cancel::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(of(&[], 0), "samples: 0 samples; expected at least 1 samples");
    assert_eq!(of(&[0.0; 10], 3), "out: 3 values; expected 20 values");
    for at in [0, 1, 39, 63, 64, 499, 500, 511, 512, 998, 999] {
        let mut clip = noise(1, 1000, 1.0);
        clip[at] = f32::NAN;
        assert!(of(&clip, 20 * 26).starts_with(&format!("samples: NaN at position {at};")));
    }
}

#[test]
fn a_bad_sample_between_frames_is_refused_too() {
    let settings = Settings { hop_length: 300, pad_mode: PadMode::None, ..small() };
    let plan = plan(&settings, SimdLevel::best());
    for at in [200, 427, 428, 999] {
        let mut clip = noise(1, 1000, 1.0);
        clip[at] = f32::INFINITY;
        let mut out = vec![0.0; 20 * 3];
        let error = plan
            .process_into(&mut plan.scratch(), Samples::F32(&clip), &mut out, &Cancel::default())
            .unwrap_err();
        assert!(error.to_string().starts_with(&format!("samples: inf at position {at};")), "{error}");
    }
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let pads = prop_oneof![Just(PadMode::Constant), Just(PadMode::Reflect), Just(PadMode::None)];
    let kinds = (
        prop_oneof![Just(MelScale::Slaney), Just(MelScale::Htk)],
        prop_oneof![Just(MelNorm::Slaney), Just(MelNorm::None)],
        prop_oneof![Just(Spectrum::Power), Just(Spectrum::Magnitude)],
        prop_oneof![Just(Floor::Max), Just(Floor::Add)],
    );
    let lengths: Vec<usize> = (16..=256).filter(|&length| crate::fft::is_length(length)).collect();
    let frames = (prop::sample::select(lengths), 0.0..1.2_f64, prop::sample::select(Window::NAMES.to_vec()));
    (frames, 1_usize..200, 1_usize..24, 0.0..900.0, 1000.0..4000.0, pads, kinds).prop_map(
        |((n_fft, part, (_, window)), hop_length, n_mels, f_min_hz, f_max_hz, pad_mode, kinds)| Settings {
            sample_rate: 8000,
            n_fft,
            win_length: (part < 1.0).then_some((part * n_fft as f64).ceil().max(1.0) as usize),
            window,
            hop_length,
            n_mels,
            f_min_hz,
            f_max_hz,
            mel_scale: kinds.0,
            mel_norm: kinds.1,
            pad_mode,
            spectrum: kinds.2,
            floor: kinds.3,
            floor_value: 1e-10,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_settings_agree_with_the_definition(
        settings in any_settings(), count in 257_usize..900, key: u64, log_scale in -6.0..1.0_f64,
    ) {
        // A band without any frequency is refused, which other tests show.
        prop_assume!(LogMel::new(settings.clone()).is_ok());
        let clip = noise(key, count, log_scale.exp());
        for level in SimdLevel::all() {
            let plan = plan(&settings, level);
            let error = worst(&logmel(&plan, &clip), &reference(&plan, &clip));
            prop_assert!(error < 5e-4, "{level:?}: {error:e} dB");
        }
    }

    #[test]
    fn an_offset_and_a_hum_beside_noise_stay_within_the_tolerance(
        settings in any_settings(),
        count in 257_usize..1500,
        key: u64,
        (log_noise, log_hum, frequency) in (-12.0..-2.0_f64, -8.0..0.0_f64, 0.0..0.5_f64),
        (offset, drift) in prop_oneof![
            Just((0.0, 0.0)),
            (-1.0..1.0_f64, Just(0.0)),
            (-1.0..1.0_f64, -1e-3..1e-3_f64),
        ],
    ) {
        prop_assume!(LogMel::new(settings.clone()).is_ok());
        let mut clip = noise(key, count, log_noise.exp());
        for (x, i) in clip.iter_mut().zip(0_u16..) {
            let time = f64::from(i);
            *x += (offset + drift * time + log_hum.exp() * (TAU * frequency * time).sin()) as f32;
        }
        for level in SimdLevel::all() {
            let plan = plan(&settings, level);
            let error = worst(&logmel(&plan, &clip), &reference(&plan, &clip));
            prop_assert!(error < 1e-3, "{level:?}: {error:e} dB");
        }
    }
}
