//! Memory whose size follows from the length of a clip: there may be too little.

use crate::{Error, Result};

/// So many zeros.
///
/// # Errors
/// [`Error::Array`] if there is not enough memory.
pub(crate) fn zeros(count: usize) -> Result<Vec<f32>> {
    let mut memory = Vec::new();
    resize(&mut memory, count)?;
    Ok(memory)
}

/// Let memory shrink, or grow by zeros.
///
/// # Errors
/// As [`zeros`].
pub(crate) fn resize(memory: &mut Vec<f32>, count: usize) -> Result<()> {
    memory.try_reserve_exact(count.saturating_sub(memory.len())).map_err(|_| too_little(count))?;
    memory.resize(count, 0.0);
    Ok(())
}

fn too_little(count: usize) -> Error {
    let given = format!("the result would be {count} numbers, more than fit into memory");
    Error::array("samples", given, "a shorter clip")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_an_error() {
        for count in [usize::MAX, 1 << 60] {
            let mut memory = vec![1.0; 3];
            for error in [zeros(count).unwrap_err(), resize(&mut memory, count).unwrap_err()] {
                let text = error.to_string();
                assert!(text.starts_with(&format!("samples: the result would be {count} numbers")), "{text}");
            }
            assert_eq!(memory, [1.0; 3]);
        }
        let mut memory = zeros(2).unwrap();
        resize(&mut memory, 5).unwrap();
        assert_eq!(memory, [0.0; 5]);
    }
}
