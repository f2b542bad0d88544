//! What the processor can do that other libraries choose by.

/// Whether it multiplies bfloat16 numbers by itself, twice as many at a time as of f32.
#[must_use]
pub fn bfloat16_in_hardware() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}
