//! The kernels of offkey-core on fixed inputs that are made here, each as a closure that does its work once.
//!
//! One thread each. The environment variable `OFFKEY_SIMD` limits the vectors that they use.

mod gaussian;
mod inputs;

use inputs::{RATE_HZ, file, flac, hum, hums, logmel_of, tone, wav};
use offkey_core::augment::near::{self, Kind};
use offkey_core::augment::{self, Axis, Shape};
use offkey_core::decode::{self, ChannelChoice, Limits, Reader};
use offkey_core::mel::{self, LogMel, Samples, Settings, StatisticsPlan};
use offkey_core::par::Cancel;
use offkey_core::resample::{ResampleScratch, Resampler};
use offkey_core::rng::RandomStream;
use offkey_core::statistics::{self, Rhythm};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::Range;

/// Clips of a call that works on several.
const CLIPS: usize = 8;

/// A kernel with its input, ready to run any number of times.
pub type Kernel = Box<dyn FnMut()>;

/// Makes a kernel with its input.
pub type Make = fn() -> Kernel;

/// Names, and what makes the kernels: inputs are made for those that run only.
pub const KERNELS: &[(&str, Make)] = &[
    ("decode_wav_mono", || read_all("mono.wav", &wav(&[hum()]))),
    ("decode_wav_8_channels", || read_all("eight.wav", &wav(&hums()))),
    ("decode_wav_1_of_8_channels", || read_one("one-of-eight.wav", &wav(&hums()))),
    ("decode_flac_mono", || read_all("mono.flac", &flac(&[hum()]))),
    ("decode_flac_8_channels", || read_all("eight.flac", &flac(&hums()))),
    ("resample_44100_to_16000", || resampled(44_100, 16_000)),
    ("resample_8000_to_16000", || resampled(8_000, 16_000)),
    ("resample_48000_to_16000", || resampled(48_000, 16_000)),
    ("logmel_float32", || logmel_of_frames(1024)),
    ("logmel_offset", || {
        let clip: Vec<f32> = hum().iter().map(|x| x + 20.0).collect();
        logmel(Settings::default(), move |work| work(Samples::F32(&clip)))
    }),
    ("logmel_tone", || {
        let clip: Vec<f32> = hum().iter().zip(tone()).map(|(x, y)| x + 80.0 * y).collect();
        logmel(Settings::default(), move |work| work(Samples::F32(&clip)))
    }),
    ("logmel_n_fft_400", || logmel_of_frames(400)),
    ("logmel_n_fft_480", || logmel_of_frames(480)),
    ("logmel_n_fft_512", || logmel_of_frames(512)),
    ("logmel_int16", || {
        let clip: Vec<i16> = hum().iter().map(|x| (x * 32_767.0) as i16).collect();
        logmel(Settings::default(), move |work| work(Samples::I16(&clip)))
    }),
    ("statistics", clip_statistics),
    ("statistics_all", all_statistics),
    ("rhythm", rhythm),
    ("time_stretch_1.1", || stretched(1.1)),
    ("time_stretch_0.5", || stretched(0.5)),
    ("pitch_shift_2", || pitched(2.0)),
    ("pitch_shift_-7", || pitched(-7.0)),
    ("white_noise", || {
        effect(|clip, out| {
            augment::white_noise(clip, 20.0, &mut RandomStream::new(&[1]), out, &Cancel::default())
        })
    }),
    ("time_shift", || effect(|clip, out| augment::time_shift(clip, 12_345, out, &Cancel::default()))),
    ("fade_linear", || faded(Shape::Linear)),
    ("fade_half_sine", || faded(Shape::HalfSine)),
    ("fade_linear_in_place", fade_in_place),
    ("time_mask", || masked(Axis::Time, 100..140)),
    ("frequency_mask", || masked(Axis::Frequency, 30..50)),
    ("near_anomalies", near_anomalies),
    ("mahalanobis_1_id", || gaussian::distances(1)),
    ("mahalanobis_4_ids", || gaussian::distances(4)),
    ("float64_form_64", gaussian::triangular_form),
    ("float64_forms_64", || gaussian::dense_forms(64, 4)),
    ("float64_forms_128", || gaussian::dense_forms(128, 4)),
    ("float64_forms_256", || gaussian::dense_forms(256, 7)),
    ("float64_forms_384", || gaussian::dense_forms(384, 7)),
    ("fit_ledoit_wolf", gaussian::fit),
    ("whitening", gaussian::whitening),
    ("ranking", gaussian::ranking),
];

fn read_all(name: &str, bytes: &[u8]) -> Kernel {
    read(name, bytes, ChannelChoice::All)
}

fn read_one(name: &str, bytes: &[u8]) -> Kernel {
    read(name, bytes, ChannelChoice::One(0))
}

fn read(name: &str, bytes: &[u8], choice: ChannelChoice) -> Kernel {
    let (path, mut buffer, cancel) = (file(name, bytes), decode::ReadBuffer::default(), Cancel::default());
    let reader = Reader::new(choice, None, Limits::default()).expect("no rate to be wrong");
    Box::new(move || {
        black_box(reader.read(&path, &mut buffer, &cancel).expect("a sound file"));
    })
}

fn resampled(from: u32, to: u32) -> Kernel {
    let (clip, resampler) = (hum(), Resampler::new(from, to).expect("rates in range"));
    let mut out = vec![0.0; resampler.len(clip.len() as u64) as usize];
    let (mut scratch, cancel) = (ResampleScratch::default(), Cancel::default());
    Box::new(move || {
        resampler.process_into(&clip, &mut out, &mut scratch, &cancel).expect("nobody cancels");
        black_box(&mut out);
    })
}

/// The log-Mel of frames of so many samples.
fn logmel_of_frames(n_fft: usize) -> Kernel {
    let clip = hum();
    logmel(Settings { n_fft, ..Settings::default() }, move |work| work(Samples::F32(&clip)))
}

/// `with` hands its samples to what it is given.
fn logmel(settings: Settings, with: impl Fn(&mut dyn FnMut(Samples<'_>)) + 'static) -> Kernel {
    let plan = LogMel::new(settings).expect("in range");
    let (mut scratch, mut out, cancel) = (plan.scratch(), logmel_of(&hum()), Cancel::default());
    Box::new(move || {
        with(&mut |samples| {
            plan.process_into(&mut scratch, samples, &mut out, &cancel).expect("finite samples")
        });
        black_box(&mut out);
    })
}

fn clip_statistics() -> Kernel {
    let (logmel, cancel) = (logmel_of(&hum()), Cancel::default());
    let n_mels = Settings::default().n_mels;
    Box::new(move || {
        let frames = logmel.len() / n_mels;
        black_box(statistics::given(&logmel, n_mels, frames, None, &cancel).expect("finite decibels"));
    })
}

/// The statistics, the means of 256 Mels and the rhythm of a few clips: what is made once for each worker weighs little.
fn all_statistics() -> Kernel {
    let fine = Settings { n_fft: 2048, n_mels: 256, ..Settings::default() };
    let plans = [Settings::default(), fine].map(|settings| LogMel::new(settings).expect("in range"));
    let (clip, cancel) = (hum(), Cancel::default());
    Box::new(move || {
        let plan = StatisticsPlan::new(&plans[0], vec![&plans[1]], true).expect("one sample rate");
        let clips = [Samples::F32(&clip); CLIPS];
        black_box(mel::statistics(&plan, &clips, NonZeroUsize::new(1), &cancel).expect("finite samples"));
    })
}

/// The rhythm of as many.
fn rhythm() -> Kernel {
    let (logmels, cancel) = (logmel_of(&hum()).repeat(CLIPS), Cancel::default());
    let n_mels = Settings::default().n_mels;
    let rhythm = Rhythm::new(31.25, Rhythm::BANDS, Rhythm::RATES, Rhythm::LOWEST_HZ).expect("in range");
    Box::new(move || {
        let frames = logmels.len() / n_mels / CLIPS;
        let threads = NonZeroUsize::new(1);
        let rhythms = statistics::rhythms(&logmels, n_mels, frames, &rhythm, threads, &cancel);
        black_box(rhythms.expect("finite decibels"));
    })
}

/// An effect from one array into another.
fn effect(apply: impl Fn(&[f32], &mut [f32]) -> offkey_core::Result<()> + 'static) -> Kernel {
    effect_of_length(hum().len(), apply)
}

fn effect_of_length(
    length: usize,
    apply: impl Fn(&[f32], &mut [f32]) -> offkey_core::Result<()> + 'static,
) -> Kernel {
    let (clip, mut out) = (hum(), vec![0.0; length]);
    Box::new(move || {
        apply(&clip, &mut out).expect("parameters in range");
        black_box(&mut out);
    })
}

fn stretched(rate: f64) -> Kernel {
    let (cancel, length) =
        (Cancel::default(), augment::stretched_length(hum().len(), rate).expect("a rate in range"));
    effect_of_length(length, move |clip, out| augment::time_stretch(clip, rate, RATE_HZ, out, &cancel))
}

fn pitched(semitones: f64) -> Kernel {
    let cancel = Cancel::default();
    effect(move |clip, out| augment::pitch_shift(clip, semitones, RATE_HZ, out, &cancel))
}

fn faded(shape: Shape) -> Kernel {
    effect(move |clip, out| augment::fade(Some(clip), out, 8_000, 8_000, shape, &Cancel::default()))
}

fn fade_in_place() -> Kernel {
    // Zeros stay what they are however often they fade; the arithmetic is the same.
    let mut clip = vec![0.0; hum().len()];
    Box::new(move || {
        augment::fade(None, &mut clip, 8_000, 8_000, Shape::Linear, &Cancel::default())
            .expect("fades within the clip");
        black_box(&mut clip);
    })
}

fn masked(axis: Axis, bins: Range<usize>) -> Kernel {
    let logmel = logmel_of(&hum());
    let (frames, mut out) = (logmel.len() / Settings::default().n_mels, vec![0.0; logmel.len()]);
    Box::new(move || {
        let masked =
            augment::mask(Some(&logmel), &mut out, frames, axis, bins.clone(), None, &Cancel::default());
        masked.expect("a mask within the log-Mel");
        black_box(&mut out);
    })
}

/// One clip with each kind.
fn near_anomalies() -> Kernel {
    let (logmel, n_mels, cancel) = (logmel_of(&hum()), Settings::default().n_mels, Cancel::default());
    let (size, deviation_db) = ([n_mels, logmel.len() / n_mels], vec![1.0; n_mels]);
    let parameters = Kind::ALL.map(|kind| near::draw(kind, size[0], size[1], 1));
    let mut out = vec![0.0; logmel.len()];
    Box::new(move || {
        for (kind, parameters) in Kind::ALL.into_iter().zip(&parameters) {
            near::near_anomaly(kind, parameters, &logmel, size, &deviation_db, 1, &mut out, &cancel)
                .expect("parameters in range");
            black_box(&mut out);
        }
    })
}
