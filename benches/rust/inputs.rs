//! Inputs made in code: the same on every machine.

use offkey_core::mel::{LogMel, Samples, Settings};
use offkey_core::par::Cancel;
use offkey_core::rng::RandomStream;
use std::f64::consts::TAU;
use std::path::PathBuf;

/// Samples a second of every clip.
pub(crate) const RATE_HZ: u32 = 16_000;
/// Of recordings with several.
const CHANNELS: usize = 8;
/// Ten seconds.
const SAMPLES: usize = 160_000;

/// Ten seconds of a machine's hum over noise.
pub(crate) fn hum() -> Vec<f32> {
    let mut noise = RandomStream::new(&[1]);
    // Partials turn by a complex factor a sample: under callgrind, sines would take longer than the kernels.
    let mut partials: Vec<Partial> =
        (1..8).map(|k| Partial::new(77.7 * f64::from(k), 0.05 / f64::from(k))).collect();
    (0..SAMPLES)
        .map(|_| {
            let tones: f64 = partials.iter_mut().map(Partial::next).sum();
            (tones + 0.02 * (noise.uniform() + noise.uniform() - 1.0)) as f32
        })
        .collect()
}

/// As long, a tone alone.
pub(crate) fn tone() -> Vec<f32> {
    let mut tone = Partial::new(50.3, 0.05);
    (0..SAMPLES).map(|_| tone.next() as f32).collect()
}

/// Channels that hum like one another, at other times.
pub(crate) fn hums() -> Vec<Vec<f32>> {
    let mut channel = hum();
    (0..CHANNELS)
        .map(|_| {
            channel.rotate_left(997);
            channel.clone()
        })
        .collect()
}

struct Partial {
    now: [f64; 2],
    turn: [f64; 2],
}

impl Partial {
    fn new(hz: f64, amplitude: f64) -> Self {
        let angle = TAU * hz / f64::from(RATE_HZ);
        Self { now: [amplitude, 0.0], turn: [angle.cos(), angle.sin()] }
    }

    fn next(&mut self) -> f64 {
        let ([re, im], [cos, sin]) = (self.now, self.turn);
        self.now = [re * cos - im * sin, re * sin + im * cos];
        im
    }
}

/// Numbers between -1 and 1.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut stream = RandomStream::new(&[seed]);
    (0..count).map(|_| stream.uniform_in(-1.0, 1.0)).collect()
}

/// The log-Mel of a clip.
pub(crate) fn logmel_of(clip: &[f32]) -> Vec<f32> {
    let plan = LogMel::new(Settings::default()).expect("the defaults are in range");
    let mut out = vec![0.0; plan.n_mels() * plan.frames(clip.len()).expect("a clip of ten seconds")];
    plan.process_into(&mut plan.scratch(), Samples::F32(clip), &mut out, &Cancel::default())
        .expect("finite samples");
    out
}

/// Samples as 16-bit integers.
fn integers(channel: &[f32]) -> Vec<i16> {
    channel.iter().map(|x| (x * 32_767.0).round() as i16).collect()
}

/// A PCM16 WAV file of these channels.
pub(crate) fn wav(channels: &[Vec<f32>]) -> Vec<u8> {
    let count = channels.len();
    let bytes = 2 * count * channels[0].len();
    let mut out = Vec::with_capacity(44 + bytes);
    out.extend(b"RIFF");
    out.extend((36 + bytes as u32).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    out.extend((count as u16).to_le_bytes());
    out.extend(RATE_HZ.to_le_bytes());
    out.extend((RATE_HZ * 2 * count as u32).to_le_bytes());
    out.extend((2 * count as u16).to_le_bytes());
    out.extend(b"\x10\0data");
    out.extend((bytes as u32).to_le_bytes());
    let channels: Vec<Vec<i16>> = channels.iter().map(|channel| integers(channel)).collect();
    for i in 0..channels[0].len() {
        channels.iter().for_each(|channel| out.extend(channel[i].to_le_bytes()));
    }
    out
}

/// The same as a FLAC file.
pub(crate) fn flac(channels: &[Vec<f32>]) -> Vec<u8> {
    let channels: Vec<Vec<i16>> = channels.iter().map(|channel| integers(channel)).collect();
    offkey_flac_streams::encode(&channels, RATE_HZ)
}

/// Write a file into the system's folder for temporary ones.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("offkey-benches-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("room for a sound file");
    path
}
