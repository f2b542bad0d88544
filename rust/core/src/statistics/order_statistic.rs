//! The values of a low rank in many rows at once, one row in each lane, by sorting networks: no branch depends on data.
//!
//! Of each row the lowest values stay in order in a list. A block of as many new ones is sorted, and of the list and
//! the block, one forwards and the other backwards, the lesser of each pair stays: they are the lowest of both in an
//! order that half a sorting network mends.

use crate::Result;
use crate::simd::{Aligned, MAX_LANES, SimdLevel, Vector};

/// Values that are sorted without leaving the registers.
const RUN: usize = 16;

/// Length of the list that holds the value of rank `below`, counted from 0.
fn list_length(below: usize) -> usize {
    (below + 1).next_power_of_two().max(RUN)
}

/// Memory for [`ranks`].
///
/// # Errors
/// [`crate::Error::Array`] if there is not enough.
pub(super) fn make_room(below: usize, level: SimdLevel, memory: &mut Vec<Aligned>) -> Result<()> {
    Aligned::make_room(level, 2 * list_length(below), memory)
}

/// The values of the ranks `below` and `below + 1` in each of up to `V::LANES` rows of `frames` numbers; infinity
/// where there is none. [`make_room`] made the memory.
#[inline(always)]
pub(super) fn ranks<V: Vector>(rows: &[f32], frames: usize, below: usize, memory: &mut [V]) -> [V; 2] {
    let count = list_length(below);
    let (list, block) = memory[..2 * count].split_at_mut(count);
    // The least value that has left the list.
    let mut beyond = V::splat(f32::INFINITY);
    load(rows, frames, 0, list);
    sort(list);
    for start in (count..frames).step_by(count) {
        load(rows, frames, start, block);
        sort(block);
        for (old, new) in list.iter_mut().zip(block.iter().rev()) {
            beyond = beyond.min(old.max(*new));
            *old = old.min(*new);
        }
        merge(list);
    }
    [list[below], if below + 1 < count { list[below + 1] } else { beyond }]
}

/// Frames from `start` on, a vector for each; infinity where there is no row or no frame.
#[inline(always)]
fn load<V: Vector>(rows: &[f32], frames: usize, start: usize, to: &mut [V]) {
    let count = rows.len() / frames;
    for (block, to) in to.chunks_exact_mut(V::LANES).enumerate() {
        let start = start + block * V::LANES;
        if count == V::LANES && start + V::LANES <= frames {
            to.copy_from_slice(V::load_transposed(&rows[start..], frames).as_ref());
            continue;
        }
        let mut padded = [f32::INFINITY; MAX_LANES * MAX_LANES];
        let width = frames.saturating_sub(start).min(V::LANES);
        for (row, padded) in rows.chunks_exact(frames).zip(padded.chunks_exact_mut(V::LANES)) {
            padded[..width].copy_from_slice(&row[frames.min(start)..][..width]);
        }
        to.copy_from_slice(V::load_transposed(&padded, V::LANES).as_ref());
    }
}

/// Sort each lane by Batcher's bitonic network; the number of values is a power of two from [`RUN`].
#[inline(always)]
fn sort<V: Vector>(values: &mut [V]) {
    for run in values.as_chunks_mut::<RUN>().0 {
        let mut v = *run;
        mirror::<V, 2>(&mut v);
        mirror::<V, 4>(&mut v);
        halve::<V, 1>(&mut v);
        mirror::<V, 8>(&mut v);
        halve::<V, 2>(&mut v);
        halve::<V, 1>(&mut v);
        mirror::<V, RUN>(&mut v);
        halve::<V, 4>(&mut v);
        halve::<V, 2>(&mut v);
        halve::<V, 1>(&mut v);
        *run = v;
    }
    let mut size = 2 * RUN;
    while size <= values.len() {
        for values in values.chunks_exact_mut(size) {
            let (low, high) = values.split_at_mut(size / 2);
            low.iter_mut().zip(high.iter_mut().rev()).for_each(|(a, b)| exchange(a, b));
            merge(low);
            merge(high);
        }
        size *= 2;
    }
}

/// Sort values that rise and then fall, or fall and then rise.
#[inline(always)]
fn merge<V: Vector>(values: &mut [V]) {
    let mut size = values.len();
    while size > RUN {
        for values in values.chunks_exact_mut(size) {
            let (low, high) = values.split_at_mut(size / 2);
            low.iter_mut().zip(high).for_each(|(a, b)| exchange(a, b));
        }
        size /= 2;
    }
    for run in values.as_chunks_mut::<RUN>().0 {
        let mut v = *run;
        halve::<V, 8>(&mut v);
        halve::<V, 4>(&mut v);
        halve::<V, 2>(&mut v);
        halve::<V, 1>(&mut v);
        *run = v;
    }
}

/// Put the values of each part of `SIZE` in order with those at the mirrored places.
#[inline(always)]
fn mirror<V: Vector, const SIZE: usize>(v: &mut [V; RUN]) {
    for i in 0..RUN {
        if i & (SIZE / 2) == 0 {
            let j = i ^ (SIZE - 1);
            (v[i], v[j]) = (v[i].min(v[j]), v[i].max(v[j]));
        }
    }
}

/// Put values in order that are `STEP` places apart.
#[inline(always)]
fn halve<V: Vector, const STEP: usize>(v: &mut [V; RUN]) {
    for i in 0..RUN {
        if i & STEP == 0 {
            (v[i], v[i + STEP]) = (v[i].min(v[i + STEP]), v[i].max(v[i + STEP]));
        }
    }
}

#[inline(always)]
fn exchange<V: Vector>(a: &mut V, b: &mut V) {
    (*a, *b) = (a.min(*b), a.max(*b));
}
