use super::{Kernel, MAX_LANES, SimdLevel, Vector};

/// The greatest magnitude of some samples; 0 without any.
fn peak(level: SimdLevel, samples: &[f32]) -> f32 {
    level.run(Peak { samples })
}

/// The arguments of the kernel: a closure could not be generic over the vectors.
struct Peak<'a> {
    samples: &'a [f32],
}

impl Kernel for Peak<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        // Two maxima side by side: while one is waited for, the other is at work.
        let mut peaks = [V::splat(0.0); 2];
        let mut pairs = self.samples.chunks_exact(2 * V::LANES);
        for pair in &mut pairs {
            peaks[0] = peaks[0].max(magnitude(V::load(pair)));
            peaks[1] = peaks[1].max(magnitude(V::load(&pair[V::LANES..])));
        }
        // Lanes are put together once, at the end, and what fills no vector is done one by one.
        let mut lanes = [0.0_f32; MAX_LANES];
        peaks[0].max(peaks[1]).store(&mut lanes);
        let rest = pairs.remainder().iter().map(|sample| sample.abs());
        lanes.into_iter().chain(rest).fold(0.0, f32::max)
    }
}

/// Of each lane.
#[inline(always)]
fn magnitude<V: Vector>(x: V) -> V {
    x.max(V::splat(0.0) - x)
}

#[test]
fn every_level_gives_the_peak_of_any_length() {
    for length in 0..100 {
        let samples: Vec<f32> = (0..length).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let expected = samples.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        for level in SimdLevel::all() {
            assert_eq!(peak(level, &samples), expected, "{level:?}, {length} samples");
        }
    }
}
