//! Counting scores above thresholds, for ROC curves.

/// How many of some values are at or above each threshold, and how many above it; both lists rise.
///
/// One pass over both lists, where a binary search for each threshold would miss the cache and the branch predictor.
#[must_use]
pub fn counts_from(values: &[f64], thresholds: &[f64]) -> (Vec<i64>, Vec<i64>) {
    let at_or_above = remaining(values, thresholds, |value, threshold| value < threshold);
    let above = remaining(values, thresholds, |value, threshold| value <= threshold);
    (at_or_above, above)
}

/// For each threshold the number of values from the first on that does not come `before` it.
fn remaining(values: &[f64], thresholds: &[f64], before: impl Fn(f64, f64) -> bool) -> Vec<i64> {
    let mut counts = vec![0; thresholds.len()]; // 0 is what is left behind the last value
    let (mut value, mut threshold) = (0, 0);
    // Without a branch on the comparison, which nothing could predict.
    while value < values.len() && threshold < thresholds.len() {
        counts[threshold] = (values.len() - value) as i64;
        let passed = before(values[value], thresholds[threshold]);
        value += usize::from(passed);
        threshold += usize::from(!passed);
    }
    if let Some(last) = counts.get_mut(threshold) {
        *last = 0; // it was still being counted when the values ended
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_counted_one_by_one(
            mut values in proptest::collection::vec(-4_i8..4, 0..40),
            mut thresholds in proptest::collection::vec(-5_i8..5, 0..40),
        ) {
            values.sort_unstable();
            thresholds.sort_unstable();
            let floats = |v: &[i8]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let (at_or_above, above) = counts_from(&floats(&values), &floats(&thresholds));
            for (i, t) in thresholds.iter().enumerate() {
                prop_assert_eq!(at_or_above[i], values.iter().filter(|v| *v >= t).count() as i64);
                prop_assert_eq!(above[i], values.iter().filter(|v| *v > t).count() as i64);
            }
        }
    }
}
