//! Counting scores above other scores, for ROC curves and the area under them.

use crate::Result;
use crate::par::Cancel;

/// How many of some values are at or above each threshold, and how many above it; both lists rise.
///
/// One pass over both lists, where a binary search for each threshold would miss the cache and the branch predictor.
///
/// # Errors
/// [`crate::Error::Interrupted`].
pub fn counts_from(values: &[f64], thresholds: &[f64], cancel: &Cancel) -> Result<(Vec<i64>, Vec<i64>)> {
    let at_or_above = remaining(values, thresholds, cancel, |value, threshold| value < threshold)?;
    let above = remaining(values, thresholds, cancel, |value, threshold| value <= threshold)?;
    Ok((at_or_above, above))
}

/// How many numbers of a list are passed between two looks whether the call is to stop: some milliseconds. Few in tests,
/// whose short lists are to have many blocks.
const BLOCK: usize = if cfg!(test) { 8 } else { 1 << 20 };
/// How many are sorted between two: a tenth of a second.
const SORTED: usize = if cfg!(test) { 8 } else { 1 << 21 };

/// A list up to the end of the block that begins at `start`: a loop over two such lists needs no further condition.
fn block<T>(list: &[T], start: usize) -> &[T] {
    &list[..list.len().min(start + BLOCK)]
}

/// For each threshold the number of values from the first on that does not come `before` it.
fn remaining(
    values: &[f64],
    thresholds: &[f64],
    cancel: &Cancel,
    before: impl Fn(f64, f64) -> bool,
) -> Result<Vec<i64>> {
    let mut counts = vec![0; thresholds.len()]; // 0 is what is left behind the last value
    let (mut value, mut threshold) = (0, 0);
    while value < values.len() && threshold < thresholds.len() {
        cancel.check()?;
        let mut left = (values.len() - value) as i64;
        let (values, thresholds) = (block(values, value), block(thresholds, threshold));
        let counts = &mut counts[..thresholds.len()];
        // Without a branch on the comparison, which nothing could predict.
        while value < values.len() && threshold < thresholds.len() {
            counts[threshold] = left;
            let passed = before(values[value], thresholds[threshold]);
            value += usize::from(passed);
            left -= i64::from(passed);
            threshold += usize::from(!passed);
        }
    }
    if let Some(last) = counts.get_mut(threshold) {
        *last = 0; // it was still being counted when the values ended
    }
    Ok(counts)
}

/// Over all pairs of a normal and an anomaly: 2 if the anomaly is higher, 1 if both are equal. Neither may hold a NaN.
///
/// Sorted as integers, which takes a third of the time that floats take.
///
/// # Errors
/// [`crate::Error::Interrupted`].
pub fn wins(normals: &[f64], anomalies: &[f64], cancel: &Cancel) -> Result<u64> {
    let (normals, anomalies) = (sorted_keys(normals, cancel)?, sorted_keys(anomalies, cancel)?);
    let higher = beaten(&normals, &anomalies, cancel, |anomaly, normal| anomaly < normal)?;
    Ok(higher + beaten(&normals, &anomalies, cancel, |anomaly, normal| anomaly <= normal)?)
}

/// Integers in the order of the values, and equal where they are, in rising order.
fn sorted_keys(values: &[f64], cancel: &Cancel) -> Result<Vec<i64>> {
    let key = |value: &f64| {
        let bits = (value + 0.0).to_bits() as i64; // no negative zero
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    let mut keys: Vec<i64> = values.iter().map(key).collect();
    sort(&mut keys, cancel)?;
    Ok(keys)
}

/// Sort in parts: what belongs into the lower half is brought there first, until the parts are short.
fn sort(keys: &mut [i64], cancel: &Cancel) -> Result<()> {
    cancel.check()?;
    if keys.len() <= SORTED {
        keys.sort_unstable();
        return Ok(());
    }
    let (lower, _, upper) = keys.select_nth_unstable(keys.len() / 2);
    sort(lower, cancel)?;
    sort(upper, cancel)
}

/// The number of pairs in which the anomaly does not come `before` the normal.
fn beaten(
    normals: &[i64],
    anomalies: &[i64],
    cancel: &Cancel,
    before: impl Fn(i64, i64) -> bool,
) -> Result<u64> {
    let (mut normal, mut anomaly, mut pairs) = (0, 0, 0);
    while normal < normals.len() && anomaly < anomalies.len() {
        cancel.check()?;
        let total = anomalies.len();
        let (normals, anomalies) = (block(normals, normal), block(anomalies, anomaly));
        // Without a branch on the comparison, as above.
        while normal < normals.len() && anomaly < anomalies.len() {
            let passed = before(anomalies[anomaly], normals[normal]);
            pairs += if passed { 0 } else { (total - anomaly) as u64 };
            anomaly += usize::from(passed);
            normal += usize::from(!passed);
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of every size and sign, many of them equal.
    fn scores() -> impl Strategy<Value = Vec<f64>> {
        let some = [0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, f64::MAX, f64::MIN, 1e-300, -3.5];
        let any = proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL;
        proptest::collection::vec(prop_oneof![proptest::sample::select(some.to_vec()), any], 0..60)
    }

    #[test]
    fn a_raised_flag_stops_the_count() {
        let cancel = Cancel::default();
        cancel.cancel();
        let counts = counts_from(&[1.0, 2.0], &[1.5], &cancel);
        assert!(matches!(counts, Err(crate::Error::Interrupted)));
        assert!(matches!(wins(&[1.0, 2.0], &[1.5], &cancel), Err(crate::Error::Interrupted)));
    }

    proptest! {
        #[test]
        fn wins_are_those_of_all_pairs(normals in scores(), anomalies in scores()) {
            let pair = |n: f64, a: f64| u64::from(a > n) + u64::from(a >= n);
            let all = normals.iter().flat_map(|&n| anomalies.iter().map(move |&a| pair(n, a)));
            prop_assert_eq!(wins(&normals, &anomalies, &Cancel::default()).unwrap(), all.sum::<u64>());
        }

        #[test]
        fn as_counted_one_by_one(
            mut values in proptest::collection::vec(-4_i8..4, 0..40),
            mut thresholds in proptest::collection::vec(-5_i8..5, 0..40),
        ) {
            values.sort_unstable();
            thresholds.sort_unstable();
            let floats = |v: &[i8]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let (at_or_above, above) = counts_from(&floats(&values), &floats(&thresholds), &Cancel::default()).unwrap();
            for (i, t) in thresholds.iter().enumerate() {
                prop_assert_eq!(at_or_above[i], values.iter().filter(|v| *v >= t).count() as i64);
                prop_assert_eq!(above[i], values.iter().filter(|v| *v > t).count() as i64);
            }
        }
    }
}
