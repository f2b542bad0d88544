//! FLAC streams (RFC 9639) whose samples are known.
//!
//! [`encode`] writes given samples as an encoder would; [`good`] and [`any`] write what their choices say, so that
//! everything comes up that the format allows, and with `any` what it forbids too.

mod chosen;
mod writer;

pub use chosen::{Choices, Stream, any, good};
pub use writer::Writer;

use writer::{FrameHeader, finished, stream_header};

/// Samples of a frame that [`encode`] writes.
const BLOCK: usize = 4096;

/// Channels of 16-bit samples as a file: second differences, Rice-coded in one partition.
#[must_use]
pub fn encode(channels: &[Vec<i16>], rate_hz: u32) -> Vec<u8> {
    let samples = channels[0].len();
    let mut out = stream_header(rate_hz, channels.len(), 16, samples);
    for (number, start) in (0..samples).step_by(BLOCK).enumerate() {
        let size = BLOCK.min(samples - start);
        let header = FrameHeader {
            variable: false,
            number,
            size_code: 7,
            size,
            rate_code: 0,
            layout: channels.len() as i64 - 1,
            bits_code: 4,
        };
        let mut frame = header.written();
        channels.iter().for_each(|channel| differences(&mut frame, &channel[start..start + size]));
        out.extend(finished(frame.bytes));
    }
    out
}

fn differences(out: &mut Writer, samples: &[i16]) {
    out.put(0b0001_0100, 8); // fixed predictor of order 2
    let warm_up = samples.len().min(2);
    samples[..warm_up].iter().for_each(|&x| out.put(i64::from(x), 16));
    let residuals: Vec<i64> =
        samples.windows(3).map(|x| i64::from(x[2]) - 2 * i64::from(x[1]) + i64::from(x[0])).collect();
    let codes = residuals.iter().map(|residual| residual << 1 ^ residual >> 63);
    let mean = codes.sum::<i64>() / residuals.len().max(1) as i64;
    let parameter = mean.max(1).ilog2().min(14);
    out.put(0, 6); // Rice codes with parameters of 4 bits, one partition
    out.put(i64::from(parameter), 4);
    residuals.iter().for_each(|&residual| out.rice(residual, parameter));
}
