//! Others beside offkey: rubato's resampler by Fourier transforms, with its own choice of filter and chunks.

use offkey_benches::{Kernel, Make};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler};
use std::hint::black_box;

/// Names, and what makes the kernels.
pub(crate) const PEERS: &[(&str, Make)] = &[
    ("resample_44100_to_16000_by_rubato", || resampled(44_100, 16_000)),
    ("resample_48000_to_16000_by_rubato", || resampled(48_000, 16_000)),
    ("resample_8000_to_16000_by_rubato", || resampled(8_000, 16_000)),
];

/// As many samples as the clip has that offkey resamples.
const SAMPLES: usize = 160_000;
/// Of a call: blocks of 1024 samples, the upper end of what rubato's manual advises, as its filter's edge is the steeper
/// the longer they are.
const CHUNK: usize = 1024;

fn resampled(from: usize, to: usize) -> Kernel {
    let clip: Vec<f32> = (0..SAMPLES).map(|i| 0.1 * (0.1 * i as f32).sin()).collect();
    let window = rubato::WindowFunction::BlackmanHarris2;
    let mut resampler =
        Fft::<f32>::new_custom(from, to, CHUNK, 1, 1, window, FixedSync::Input).expect("rates");
    let mut out = vec![0.0; resampler.process_all_needed_output_len(SAMPLES)];
    let room = out.len();
    Box::new(move || {
        let input = SequentialSlice::new(&clip, 1, SAMPLES).expect("as long as it is");
        let mut output = SequentialSlice::new_mut(&mut out, 1, room).expect("as long as it is");
        resampler.reset();
        let done = resampler.process_all_into_buffer(&input, &mut output, SAMPLES, None);
        black_box(done.expect("enough room"));
    })
}
