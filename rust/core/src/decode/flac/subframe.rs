//! The samples of one channel in one frame (RFC 9639, sections 9.2 and 9.3).

use super::Fault;
use super::bits::Bits;
use super::predict::{MAX_ORDER, Prediction, Sample};
use crate::simd::{Kernel, Vector};

/// Reads a subframe of samples of so many bits.
pub(super) struct Subframe<'a, 'b, S> {
    pub(super) bits: &'a mut Bits<'b>,
    pub(super) sample_bits: u32,
    pub(super) samples: &'a mut [S],
    /// Nobody will look at the samples: only find out where the subframe ends.
    pub(super) skip: bool,
}

/// No vectors are used by name: this asks for the bit operations and the vectorising that come with a level.
impl<S: Sample> Kernel for Subframe<'_, '_, S> {
    type Output = Result<(), Fault>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        self.read()
    }
}

impl<S: Sample> Subframe<'_, '_, S> {
    #[inline(always)]
    fn read(self) -> Result<(), Fault> {
        let Self { bits, sample_bits, samples, skip } = self;
        let header = bits.unsigned(8);
        let wasted = if header & 1 == 0 { 0 } else { bits.unary()?.saturating_add(1) };
        if wasted >= sample_bits {
            return Err(Fault::Damaged("a subframe wastes all its bits"));
        }
        let left = sample_bits - wasted;
        match header >> 1 {
            0 => samples.fill(S::narrowed(bits.signed(left))),
            1 => verbatim(bits, left, samples),
            kind @ 8..=12 => {
                let order = (kind - 8) as usize;
                warm_up(bits, left, order, samples)?;
                residuals(bits, order, samples)?;
                if !skip {
                    Prediction::fixed(order).restore(samples, left)?;
                }
            }
            kind @ 32..=63 => {
                let order = (kind - 31) as usize;
                warm_up(bits, left, order, samples)?;
                let prediction = coefficients(bits, order)?;
                residuals(bits, order, samples)?;
                if !skip {
                    prediction.restore(samples, left)?;
                }
            }
            _ => return Err(Fault::Damaged("a subframe of a reserved kind")),
        }
        if wasted > 0 {
            for sample in samples.iter_mut() {
                *sample = S::narrowed(sample.wide() << wasted);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn verbatim<S: Sample>(bits: &mut Bits<'_>, sample_bits: u32, samples: &mut [S]) {
    for sample in samples {
        *sample = S::narrowed(bits.signed(sample_bits));
    }
}

/// The samples before the first that is predicted.
#[inline(always)]
fn warm_up<S: Sample>(
    bits: &mut Bits<'_>,
    sample_bits: u32,
    order: usize,
    samples: &mut [S],
) -> Result<(), Fault> {
    let first = samples.get_mut(..order);
    let first = first.ok_or(Fault::Damaged("a prediction of more samples than the frame has"))?;
    verbatim(bits, sample_bits, first);
    Ok(())
}

#[inline(always)]
fn coefficients(bits: &mut Bits<'_>, order: usize) -> Result<Prediction, Fault> {
    let precision = bits.unsigned(4) + 1;
    if precision == 16 {
        return Err(Fault::Damaged("a prediction of reserved precision"));
    }
    let shift = bits.signed(5);
    let Ok(shift) = u32::try_from(shift) else {
        return Err(Fault::Damaged("a prediction with a negative shift"));
    };
    let mut values = [0; MAX_ORDER];
    for value in &mut values[..order] {
        *value = i32::narrowed(bits.signed(precision));
    }
    Ok(Prediction::new(&values[..order], shift, precision))
}

/// What the predictions miss, in partitions that are coded with a parameter of their own.
#[inline(always)]
fn residuals<S: Sample>(bits: &mut Bits<'_>, order: usize, samples: &mut [S]) -> Result<(), Fault> {
    let parameter_bits = match bits.unsigned(2) {
        0 => 4,
        1 => 5,
        _ => return Err(Fault::Damaged("residuals of a reserved coding")),
    };
    let escape = (1 << parameter_bits) - 1;
    let partition_order = bits.unsigned(4);
    let size = samples.len() >> partition_order;
    if size << partition_order != samples.len() || size < order {
        return Err(Fault::Damaged("residuals do not fall into their partitions"));
    }
    let mut begin = order;
    for partition in 1..=1usize << partition_order {
        let places = &mut samples[begin..partition * size];
        match bits.unsigned(parameter_bits) {
            parameter if parameter == escape => match bits.unsigned(5) {
                0 => places.fill(S::from(0)),
                raw => verbatim(bits, raw, places),
            },
            parameter => bits.rice(parameter, places)?,
        }
        bits.check()?;
        begin = partition * size;
    }
    Ok(())
}
