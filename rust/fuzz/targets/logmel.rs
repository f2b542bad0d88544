//! Log-Mel spectrograms of any settings and samples, at every level, against their definition in float64.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offkey_core::MAX_SAMPLE;
use offkey_core::mel::{
    Floor, LogMel, MelNorm, MelScale, PadMode, Samples, Settings, Spectrum, StatisticsPlan, Window,
    statistics,
};
use offkey_core::par::Cancel;
use offkey_core::simd::SimdLevel;
use offkey_fuzz::Choices;
use std::f64::consts::TAU;
use std::num::NonZeroUsize;

/// As the documentation promises, from the clip's maximum down to [`RANGE_DB`] below it.
const TOLERANCE_DB: f64 = 1e-3;
const RANGE_DB: f64 = 80.0;
/// Of frames: powers of two, and others.
const LENGTHS: [usize; 15] = [16, 32, 64, 128, 256, 18, 20, 30, 50, 54, 72, 160, 162, 240, 250];

fuzz_target!(|bytes: &[u8]| {
    let choices = &mut Choices(bytes);
    let settings = settings(choices);
    let Ok(plan) = LogMel::new(settings.clone()) else { return };
    let clip = clip(choices);
    let Ok(frames) = plan.frames(clip.len()) else { return };
    let unsound = clip.iter().position(|sample| sample.is_nan() || sample.abs() > MAX_SAMPLE);
    let definition = unsound.is_none().then(|| definition(&plan, &clip));
    for level in SimdLevel::all() {
        let plan = LogMel::with_level(settings.clone(), level).expect("settings that were good before");
        let mut out = vec![f32::NAN; plan.n_mels() * frames];
        let outcome =
            plan.process_into(&mut plan.scratch(), Samples::F32(&clip), &mut out, &Cancel::default());
        let Some(definition) = &definition else {
            let error = outcome.expect_err("a sample that is not sound is refused").to_string();
            let position = unsound.unwrap_or_default();
            assert!(error.contains(&format!("at position {position};")), "{error} {position}");
            continue;
        };
        outcome.expect("sound samples are accepted");
        let greatest = definition.iter().copied().fold(f64::MIN, f64::max);
        for (at, (&got, &expected)) in out.iter().zip(definition).enumerate() {
            assert!(got.is_finite(), "{level:?} {got} at {at}");
            let error = (f64::from(got) - expected).abs();
            let counts = expected > greatest - RANGE_DB;
            assert!(!counts || error <= TOLERANCE_DB, "{level:?} {at}: {got} for {expected}, {settings:?}");
        }
    }
    let one = NonZeroUsize::new(1);
    let rhythm = f64::from(settings.sample_rate) / settings.hop_length as f64 > 1.0; // frames a second
    let all = StatisticsPlan::new(&plan, vec![&plan, &plan], rhythm).expect("one sample rate");
    let outcome = statistics(&all, &[Samples::F32(&clip)], one, &Cancel::default());
    assert_eq!(outcome.is_ok(), unsound.is_none());
    let Ok(statistics) = outcome else { return };
    assert!(statistics.fine_mean.iter().chain(&statistics.rhythm).all(|x| x.is_finite()), "{settings:?}");
});

fn settings(choices: &mut Choices<'_>) -> Settings {
    let pick = |choices: &mut Choices<'_>, count| choices.below(count) as usize;
    let sample_rate = [16_000, 44_100, 8000, 1, 22_050, 10_000_000][pick(choices, 6)];
    let nyquist = f64::from(sample_rate) / 2.0;
    let n_fft = LENGTHS[pick(choices, LENGTHS.len() as u32)];
    let win_length = (choices.byte() > 127).then(|| 1 + pick(choices, n_fft as u32));
    let [f_min, f_max] = [0, 255].map(|usual| (choices.byte() ^ usual) as f64 / 255.0);
    let least = match choices.byte() {
        small @ ..200 => -10 - i32::from(small % 3),
        any => i32::from(any % 75) - 37,
    };
    Settings {
        sample_rate,
        n_fft,
        hop_length: 1 + choices.below(2 * n_fft as u32) as usize,
        win_length,
        window: Window::NAMES[pick(choices, Window::NAMES.len() as u32)].1,
        n_mels: 1 + pick(choices, 40),
        f_min_hz: f_min * nyquist,
        f_max_hz: f_max * nyquist,
        mel_scale: [MelScale::Slaney, MelScale::Htk][pick(choices, 2)],
        mel_norm: [MelNorm::Slaney, MelNorm::None][pick(choices, 2)],
        pad_mode: [PadMode::Constant, PadMode::Reflect, PadMode::None][pick(choices, 3)],
        spectrum: [Spectrum::Power, Spectrum::Magnitude][pick(choices, 2)],
        floor: [Floor::Max, Floor::Add][pick(choices, 2)],
        floor_value: 10_f64.powi(least),
    }
}

/// Up to some hundreds of samples: noise of the fuzzer's, a tone, or both; now and then any float32 at all.
fn clip(choices: &mut Choices<'_>) -> Vec<f32> {
    let scale = 10_f32.powi(match choices.byte() {
        usual @ ..128 => -i32::from(usual % 8),
        any => i32::from(any % 64) - 48,
    });
    let (tone, turn) =
        ([0.0, 1.0, 1e3, 1e6][choices.below(4) as usize], choices.below(65_536) as f32 / 65_536.0);
    let count = 1 + choices.below(700) as usize;
    let raw = choices.below(64) == 63;
    let sample = |at: usize| {
        let noise = if choices.is_empty() { 0.0 } else { choices.signed(16) as f32 / 32768.0 };
        match noise {
            0.5.. if raw => f32::from_bits(choices.signed(32) as u32),
            _ => scale * (noise + tone * (std::f32::consts::TAU * (turn * at as f32).fract()).sin()),
        }
    };
    (0..count).map(sample).collect()
}

/// Nothing is shared with the kernel but the filters.
fn definition(plan: &LogMel, clip: &[f32]) -> Vec<f64> {
    let s = plan.settings();
    let (filters, bins) = (plan.filters(), s.n_fft / 2 + 1);
    let frames = plan.frames(clip.len()).expect("asked before");
    let turns: Vec<(f64, f64)> = (0..s.n_fft).map(|i| (TAU * i as f64 / s.n_fft as f64).sin_cos()).collect();
    let length = s.win_length.unwrap_or(s.n_fft);
    let (before, weights) = ((s.n_fft - length) / 2, s.window.periodic(length));
    let weight = |i: usize| i.checked_sub(before).and_then(|i| weights.get(i)).copied().unwrap_or(0.0);
    let mut out = vec![0.0; s.n_mels * frames];
    for frame in 0..frames {
        let windowed: Vec<f64> =
            (0..s.n_fft).map(|i| padded(s, clip, frame * s.hop_length + i) * weight(i)).collect();
        let power = |k: usize| {
            let (re, im) = windowed.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, x)| {
                let (sin, cos) = turns[k * i % s.n_fft];
                (re + x * cos, im + x * sin)
            });
            re * re + im * im
        };
        let power: Vec<f64> = (0..bins).map(power).collect();
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

/// A sample of the padded clip.
fn padded(settings: &Settings, clip: &[f32], at: usize) -> f64 {
    let (pad, count) = (settings.n_fft as i64 / 2, clip.len() as i64);
    let at = if settings.pad_mode == PadMode::None { at as i64 } else { at as i64 - pad };
    let at = match settings.pad_mode {
        PadMode::Reflect if at < 0 => -at,
        PadMode::Reflect if at >= count => 2 * count - 2 - at,
        _ => at,
    };
    usize::try_from(at).ok().and_then(|at| clip.get(at)).map_or(0.0, |&sample| f64::from(sample))
}
