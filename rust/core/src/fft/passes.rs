//! The passes of a transform, for each radix, and the transforms of a few numbers that they are made of.
//!
//! Everything is written out number by number: an array of numbers that a loop goes over would be kept in memory.

use super::{Complex, Pass};
use crate::simd::{Lanes, Scalar};
use std::f64::consts::FRAC_1_SQRT_2;

/// Cosine and sine of `2 pi / 3`, of `2 pi / 5` and of `4 pi / 5`.
const THIRD: [f64; 2] = [-0.5, 0.866_025_403_784_438_6];
const FIFTH: [f64; 2] = [0.309_016_994_374_947_45, 0.951_056_516_295_153_5];
const TWO_FIFTHS: [f64; 2] = [-0.809_016_994_374_947_5, 0.587_785_252_292_473_1];

/// The passes of a radix. Each number of a block has names for its inputs, its outputs and its value, then its place and
/// that of its rotation.
macro_rules! passes {
    ($radix:literal: $transform:ident, $last:ident, $rotated:ident with $rotations:literal rotations,
     $x0:ident $y0:ident $v0:ident $(, $x:ident $y:ident $v:ident $j:literal $w:literal)*) => {
        passes!($radix: $transform, $last, $x0 $y0 $v0 $(, $x $y $v $j)*);

        /// A pass with rotations.
        #[inline(always)]
        pub(super) fn $rotated<V: Lanes>(pass: &Pass<V::Scalar>, from: &[V], to: &mut [V]) {
            let (from, to) = (from.as_chunks::<2>().0, to.as_chunks_mut::<2>().0);
            let (part, stride) = (from.len() / $radix, pass.stride);
            let $x0 = &from[..part];
            $(let $x = &from[$j * part..][..part];)*
            let (rotations, _) = pass.rotations.as_chunks::<$rotations>();
            if stride == 1 {
                let (to, rotations) = (&mut to.as_chunks_mut::<$radix>().0[..part], &rotations[..part]);
                for p in 0..part {
                    let [$v0 $(, $v)*] = $transform($x0[p] $(, $x[p])*);
                    to[p] = [$v0 $(, times($v, rotations[p][$w]))*];
                }
                return;
            }
            for (p, (block, w)) in to.chunks_exact_mut($radix * stride).zip(rotations).enumerate() {
                let $x0 = &$x0[p * stride..][..stride];
                $(let $x = &$x[p * stride..][..stride];)*
                let ($y0, _rest) = block.split_at_mut(stride);
                $(let ($y, _rest) = _rest.split_at_mut(stride);)*
                for q in 0..stride {
                    let [$v0 $(, $v)*] = $transform($x0[q] $(, $x[q])*);
                    $y0[q] = $v0;
                    $($y[q] = times($v, w[$w]);)*
                }
            }
        }
    };
    ($radix:literal: $transform:ident, $last:ident,
     $x0:ident $y0:ident $v0:ident $(, $x:ident $y:ident $v:ident $j:literal)*) => {
        /// The last pass: one block, with no rotation left.
        #[inline(always)]
        pub(super) fn $last<V: Lanes>(from: &[V], to: &mut [V]) {
            let (from, to) = (from.as_chunks::<2>().0, to.as_chunks_mut::<2>().0);
            let stride = from.len() / $radix;
            let $x0 = &from[..stride];
            $(let $x = &from[$j * stride..][..stride];)*
            let ($y0, _rest) = to.split_at_mut(stride);
            $(let ($y, _rest) = _rest.split_at_mut(stride);)*
            for q in 0..stride {
                let [$v0 $(, $v)*] = $transform($x0[q] $(, $x[q])*);
                $y0[q] = $v0;
                $($y[q] = $v;)*
            }
        }
    };
}

passes!(2: two, last2, x0 y0 v0, x1 y1 v1 1);
passes!(3: three, last3, rotated3 with 2 rotations, x0 y0 v0, x1 y1 v1 1 0, x2 y2 v2 2 1);
passes!(4: four, last4, rotated4 with 3 rotations, x0 y0 v0, x1 y1 v1 1 0, x2 y2 v2 2 1, x3 y3 v3 3 2);
passes!(5: five, last5, rotated5 with 4 rotations,
    x0 y0 v0, x1 y1 v1 1 0, x2 y2 v2 2 1, x3 y3 v3 3 2, x4 y4 v4 4 3);
passes!(8: eight, last8,
    x0 y0 v0, x1 y1 v1 1, x2 y2 v2 2, x3 y3 v3 3, x4 y4 v4 4, x5 y5 v5 5, x6 y6 v6 6, x7 y7 v7 7);

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
