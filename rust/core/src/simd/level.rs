//! Which kinds of vectors the processor has, and a kernel compiled for each.

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Kernel, Lanes, portable};
use crate::{Error, Result};
use std::sync::OnceLock;

/// The environment variable that limits [`SimdLevel::best`].
const LIMIT: &str = "OFFKEY_SIMD";
/// Of all levels, the plainest first.
const NAMES: [&str; 3] = ["portable", "avx2", "avx512"];

/// A kind of vector that this processor has: the value is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimdLevel(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl SimdLevel {
    /// Every level that this processor has, the plainest first and the fastest last.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut levels = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            // All processors with AVX2 have the others too, but the compiler does not know that.
            let bits = std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
                && std::is_x86_feature_detected!("lzcnt");
            if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") && bits {
                levels.push(Self(Kind::Avx2));
                if std::is_x86_feature_detected!("avx512f") {
                    levels.push(Self(Kind::Avx512));
                }
            }
        }
        levels
    }

    /// The level that kernels take by default: the fastest that this processor has.
    ///
    /// Tests and measurements may set a limit: with the environment variable `OFFKEY_SIMD` it is the fastest up to the
    /// one of that name. The variable is read once.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<SimdLevel> = OnceLock::new();
        *BEST.get_or_init(|| {
            Self::limited().unwrap_or_else(|_| Self::all().pop().unwrap_or(Self(Kind::Portable)))
        })
    }

    /// What [`SimdLevel::best`] is limited to by the environment: an error where that names no level; `best` ignores it.
    pub fn limited() -> Result<Self> {
        Self::up_to(std::env::var(LIMIT).ok().as_deref())
    }

    /// The fastest level that this processor has, up to the one of a given name.
    fn up_to(limit: Option<&str>) -> Result<Self> {
        let known = |limit| NAMES.iter().position(|&name| name == limit);
        let rank = limit.map_or(Some(NAMES.len() - 1), known).ok_or_else(|| Error::Parameter {
            parameter: LIMIT,
            given: limit.unwrap_or_default().to_owned(),
            expected: format!("one of {}", NAMES.join(", ")),
        })?;
        Ok(Self::all().into_iter().take(rank + 1).next_back().unwrap_or(Self(Kind::Portable)))
    }

    /// Its name: `portable`, `avx2` (with FMA) or `avx512` (its foundation).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => NAMES[0],
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => NAMES[1],
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => NAMES[2],
        }
    }

    /// Number of lanes of its vectors.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Portable => portable::Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => x86::Avx512::LANES,
        }
    }

    /// Run a kernel, compiled for this level.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Portable => kernel.run::<portable::Portable>(),
            // SAFETY: this level exists only where AVX2, FMA, BMI1, BMI2 and LZCNT were detected.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above, and AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::run_avx512(kernel) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept() {
        let levels = SimdLevel::all();
        assert_eq!(SimdLevel::up_to(None).unwrap(), levels[levels.len() - 1]);
        for (rank, name) in NAMES.into_iter().enumerate() {
            assert_eq!(SimdLevel::up_to(Some(name)).unwrap(), levels[rank.min(levels.len() - 1)]);
        }
        assert!(levels.iter().zip(NAMES).all(|(level, name)| level.name() == name));
    }

    #[test]
    fn a_limit_of_no_name_is_refused() {
        let text = SimdLevel::up_to(Some("fast")).unwrap_err().to_string();
        assert_eq!(text, "OFFKEY_SIMD = fast: expected one of portable, avx2, avx512");
    }
}
