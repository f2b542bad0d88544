//! What all streams are written with: bits, headers and checksums.

/// Bits, the highest first.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// Whole bytes; the last may have bits that are still free, and 0.
    pub bytes: Vec<u8>,
    free: u32,
}

impl Writer {
    /// Bits behind these bytes.
    #[must_use]
    pub fn behind(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), free: 0 }
    }

    /// The lowest bits of a number, `count` of them.
    pub fn put(&mut self, value: i64, mut count: u32) {
        while count > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = count.min(self.free);
            (self.free, count) = (self.free - taken, count - taken);
            let bits = value >> count & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (bits as u8) << self.free;
            }
        }
    }

    /// A number as a Rice code with this parameter.
    pub fn rice(&mut self, value: i64, parameter: u32) {
        let code = value << 1 ^ value >> 63;
        (0..code >> parameter).for_each(|_| self.put(0, 1));
        self.put(1, 1);
        self.put(code, parameter);
    }

    /// The checksum of the header that stands here.
    pub fn put_crc8(&mut self) {
        self.put(checksum(&self.bytes, 8, 0x07), 8);
    }
}

/// A frame with its checksum behind it.
pub(crate) fn finished(mut frame: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&frame, 16, 0x8005);
    frame.extend([(crc >> 8) as u8, crc as u8]);
    frame
}

fn checksum(bytes: &[u8], width: u32, polynomial: i64) -> i64 {
    let (top, mask) = (1 << (width - 1), (1 << width) - 1);
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ i64::from(byte) << (width - 8), |crc, _| {
            (crc << 1 ^ if crc & top == 0 { 0 } else { polynomial }) & mask
        })
    })
}

/// The mark of the format and STREAMINFO alone, without the sum of the samples; a `total` of 0 is none.
pub(crate) fn stream_header(rate_hz: u32, channels: usize, bits: u32, total: usize) -> Vec<u8> {
    let mut out = Writer::behind(b"fLaC\x80\0\0\x22");
    for (value, count) in [(16, 16), (65_535, 16), (0, 48), (i64::from(rate_hz), 20)] {
        out.put(value, count);
    }
    out.put(channels as i64 - 1, 3);
    out.put(i64::from(bits) - 1, 5);
    out.put(total as i64, 36);
    out.bytes.extend([0; 16]);
    out.bytes
}

/// The header of a frame: its codes, and what they leave open.
pub(crate) struct FrameHeader {
    /// Whether `number` counts samples, not frames.
    pub(crate) variable: bool,
    pub(crate) number: usize,
    pub(crate) size_code: u32,
    pub(crate) size: usize,
    /// 0, or one of a rate of 16 kHz: 5, or 13 for the rate behind the header.
    pub(crate) rate_code: u32,
    pub(crate) layout: i64,
    pub(crate) bits_code: i64,
}

impl FrameHeader {
    pub(crate) fn written(self) -> Writer {
        let Self { variable, number, size_code, size, rate_code, layout, bits_code } = self;
        let mut out = Writer::behind(&[0xff, 0xf8 | u8::from(variable)]);
        out.put(i64::from(size_code), 4);
        out.put(i64::from(rate_code), 4);
        out.put(layout, 4);
        out.put(bits_code << 1, 4);
        match char::from_u32(number as u32).filter(|_| number < 0xd800) {
            Some(char) => out.bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
            // As UTF-8 would be without the code points that are none.
            None => out.bytes.extend([
                0xf0 | (number >> 18) as u8,
                0x80 | (number >> 12 & 0x3f) as u8,
                0x80 | (number >> 6 & 0x3f) as u8,
                0x80 | (number & 0x3f) as u8,
            ]),
        }
        match size_code {
            6 => out.put(size as i64 - 1, 8),
            7 => out.put(size as i64 - 1, 16),
            _ => {}
        }
        if rate_code == 13 {
            out.put(16_000, 16);
        }
        out.put_crc8();
        out
    }
}
