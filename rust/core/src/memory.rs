//! Memory whose size follows from the length of a clip: there may be too little.

use crate::{Error, Result};

/// So many zeros.
///
/// # Errors
/// [`Error::Array`] if there is not enough memory.
pub(crate) fn zeros(count: usize) -> Result<Vec<f32>> {
    let mut memory = Vec::new();
    resize(&mut memory, count, 0.0)?;
    Ok(memory)
}

/// Let memory shrink, or grow by a value.
///
/// # Errors
/// As [`zeros`].
pub(crate) fn resize<T: Copy>(memory: &mut Vec<T>, count: usize, value: T) -> Result<()> {
    memory.try_reserve_exact(count.saturating_sub(memory.len())).map_err(|_| too_little::<T>(count))?;
    memory.resize(count, value);
    Ok(())
}

fn too_little<T>(count: usize) -> Error {
    let bytes = count.saturating_mul(size_of::<T>());
    let given = format!("{bytes} bytes would be needed, more than fit into memory");
    Error::array("samples", given, "a shorter clip")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_an_error() {
        for count in [usize::MAX, 1 << 60] {
            let mut memory = vec![1.0_f32; 3];
            for error in [zeros(count).unwrap_err(), resize(&mut memory, count, 0.0).unwrap_err()] {
                let text = error.to_string();
                let bytes = count.saturating_mul(4);
                assert!(
                    text.starts_with(&format!("samples: {bytes} bytes would be needed, more than")),
                    "{text}"
                );
            }
            assert_eq!(memory, [1.0; 3]);
        }
        let mut memory = zeros(2).unwrap();
        resize(&mut memory, 5, 0.0).unwrap();
        assert_eq!(memory, [0.0; 5]);
    }
}
