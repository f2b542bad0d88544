//! The passes of a transform, for each radix, and the transforms of a few numbers that they are made of.
//!
//! Everything is written out number by number: an array of numbers that a loop goes over would be kept in memory.

use super::Complex;
use crate::simd::{Lanes, Scalar};
use std::f64::consts::FRAC_1_SQRT_2;

/// Cosine and sine of `2 pi / 3`, of `2 pi / 5` and of `4 pi / 5`.
const THIRD: [f64; 2] = [-0.5, 0.866_025_403_784_438_6];
const FIFTH: [f64; 2] = [0.309_016_994_374_947_45, 0.951_056_516_295_153_5];
const TWO_FIFTHS: [f64; 2] = [-0.809_016_994_374_947_5, 0.587_785_252_292_473_1];

/// The passes of a radix. Each number of a block has names for its places and its value, then its place and that of its
/// rotation.
macro_rules! passes {
    ($radix:literal: $transform:ident, $last:ident, $rotated:ident with $rotations:literal rotations,
     $x0:ident $v0:ident $(, $x:ident $v:ident $j:literal $w:literal)*) => {
        passes!($radix: $transform, $last, $x0 $v0 $(, $x $v $j)*);

        /// A pass with rotations, in place: of some blocks.
        #[inline(always)]
        pub(super) fn $rotated<V: Lanes>(rotations: &[[V::Scalar; 2]], blocks: &mut [V]) {
            let (rotations, _) = rotations.as_chunks::<$rotations>();
            let part = rotations.len();
            for block in blocks.as_chunks_mut::<2>().0.chunks_exact_mut($radix * part) {
                let ($x0, _rest) = block.split_at_mut(part);
                $(let ($x, _rest) = _rest.split_at_mut(part);)*
                for p in 0..part {
                    let [$v0 $(, $v)*] = $transform($x0[p] $(, $x[p])*);
                    $x0[p] = $v0;
                    $($x[p] = times($v, rotations[p][$w]);)*
                }
            }
        }
    };
    ($radix:literal: $transform:ident, $last:ident, $x0:ident $v0:ident $(, $x:ident $v:ident $j:literal)*) => {
        /// The last pass: blocks without rotations. The first number of each goes to a place of its own, the others follow
        /// as far apart as there are blocks.
        #[inline(always)]
        pub(super) fn $last<V: Lanes>(from: &[V], to: &mut [V], places: &[u32]) {
            let (blocks, to) = (from.as_chunks::<2>().0.as_chunks::<$radix>().0, to.as_chunks_mut::<2>().0);
            let apart = to.len() / $radix;
            let ($x0, _rest) = to.split_at_mut(apart);
            $(let ($x, _rest) = _rest.split_at_mut(apart);)*
            for (&[$v0 $(, $v)*], &place) in blocks.iter().zip(places) {
                let [$v0 $(, $v)*] = $transform($v0 $(, $v)*);
                let place = place as usize;
                $x0[place] = $v0;
                $($x[place] = $v;)*
            }
        }
    };
}

passes!(2: two, last2, x0 v0, x1 v1 1);
passes!(3: three, last3, rotated3 with 2 rotations, x0 v0, x1 v1 1 0, x2 v2 2 1);
passes!(4: four, last4, rotated4 with 3 rotations, x0 v0, x1 v1 1 0, x2 v2 2 1, x3 v3 3 2);
passes!(5: five, last5, rotated5 with 4 rotations, x0 v0, x1 v1 1 0, x2 v2 2 1, x3 v3 3 2, x4 v4 4 3);
passes!(8: eight, last8, x0 v0, x1 v1 1, x2 v2 2, x3 v3 3, x4 v4 4, x5 v5 5, x6 v6 6, x7 v7 7);

#[inline(always)]
fn times<V: Lanes>(a: Complex<V>, w: [V::Scalar; 2]) -> Complex<V> {
    let (c, s) = (V::splat(w[0]), V::splat(w[1]));
    [a[0].mul_sub(c, a[1] * s), a[0].mul_add(s, a[1] * c)]
}

/// Transform of two numbers.
#[inline(always)]
fn two<V: Lanes>(a: Complex<V>, b: Complex<V>) -> [Complex<V>; 2] {
    [plus(a, b), minus(a, b)]
}

/// Transform of three numbers.
#[inline(always)]
fn three<V: Lanes>(a: Complex<V>, b: Complex<V>, c: Complex<V>) -> [Complex<V>; 3] {
    let (sum, difference) = (plus(b, c), minus(b, c));
    let [middle, side] = [plus_scaled(a, sum, THIRD[0]), scaled(difference, THIRD[1])];
    [plus(a, sum), minus_i(middle, side), plus_i(middle, side)]
}

/// Transform of four numbers.
#[inline(always)]
fn four<V: Lanes>(a: Complex<V>, b: Complex<V>, c: Complex<V>, d: Complex<V>) -> [Complex<V>; 4] {
    let (ac, bd, a_c, b_d) = (plus(a, c), plus(b, d), minus(a, c), minus(b, d));
    [plus(ac, bd), minus_i(a_c, b_d), minus(ac, bd), plus_i(a_c, b_d)]
}

/// Transform of five numbers.
#[inline(always)]
fn five<V: Lanes>(
    a: Complex<V>,
    b: Complex<V>,
    c: Complex<V>,
    d: Complex<V>,
    e: Complex<V>,
) -> [Complex<V>; 5] {
    let (be, cd, b_e, c_d) = (plus(b, e), plus(c, d), minus(b, e), minus(c, d));
    let near = plus_scaled(plus_scaled(a, be, FIFTH[0]), cd, TWO_FIFTHS[0]);
    let far = plus_scaled(plus_scaled(a, be, TWO_FIFTHS[0]), cd, FIFTH[0]);
    let near_side = plus_scaled(scaled(b_e, FIFTH[1]), c_d, TWO_FIFTHS[1]);
    let far_side = plus_scaled(scaled(b_e, TWO_FIFTHS[1]), c_d, -FIFTH[1]);
    [
        plus(a, plus(be, cd)),
        minus_i(near, near_side),
        minus_i(far, far_side),
        plus_i(far, far_side),
        plus_i(near, near_side),
    ]
}

/// Transform of eight numbers.
#[inline(always)]
#[allow(clippy::too_many_arguments, clippy::many_single_char_names)]
fn eight<V: Lanes>(
    a: Complex<V>,
    b: Complex<V>,
    c: Complex<V>,
    d: Complex<V>,
    e: Complex<V>,
    f: Complex<V>,
    g: Complex<V>,
    h: Complex<V>,
) -> [Complex<V>; 8] {
    let diagonal = [Scalar::of(FRAC_1_SQRT_2), Scalar::of(-FRAC_1_SQRT_2)];
    let even = four(a, c, e, g);
    let odd = four(b, d, f, h);
    let rotated = [odd[0], times(odd[1], diagonal), odd[2], times(odd[3], diagonal)];
    [
        plus(even[0], rotated[0]),
        plus(even[1], rotated[1]),
        minus_i(even[2], rotated[2]),
        minus_i(even[3], rotated[3]),
        minus(even[0], rotated[0]),
        minus(even[1], rotated[1]),
        plus_i(even[2], rotated[2]),
        plus_i(even[3], rotated[3]),
    ]
}

#[inline(always)]
fn plus<V: Lanes>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] + b[0], a[1] + b[1]]
}

#[inline(always)]
fn minus<V: Lanes>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] - b[0], a[1] - b[1]]
}

/// `a - i b`
#[inline(always)]
fn minus_i<V: Lanes>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] + b[1], a[1] - b[0]]
}

/// `a + i b`
#[inline(always)]
fn plus_i<V: Lanes>(a: Complex<V>, b: Complex<V>) -> Complex<V> {
    [a[0] - b[1], a[1] + b[0]]
}

#[inline(always)]
fn scaled<V: Lanes>(a: Complex<V>, factor: f64) -> Complex<V> {
    let factor = V::splat(Scalar::of(factor));
    [a[0] * factor, a[1] * factor]
}

/// `a + factor * b`
#[inline(always)]
fn plus_scaled<V: Lanes>(a: Complex<V>, b: Complex<V>, factor: f64) -> Complex<V> {
    let factor = V::splat(Scalar::of(factor));
    [b[0].mul_add(factor, a[0]), b[1].mul_add(factor, a[1])]
}
