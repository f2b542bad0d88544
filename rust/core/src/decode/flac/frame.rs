//! The header of a frame (RFC 9639, section 9.1).

use super::Fault;
use super::crc::crc8;

/// How the subframes become channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stereo {
    /// Each subframe is a channel.
    Independent,
    LeftSide,
    SideRight,
    MidSide,
}

/// What the header of a frame says. `None` stands for "as the header of the stream says".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the header itself.
    pub(super) bytes: usize,
    /// Frames of the stream have lengths of their own, and `number` counts samples, not frames.
    pub(super) variable: bool,
    pub(super) number: u64,
    /// Samples of each channel, 1 to 65536.
    pub(super) block: usize,
    pub(super) sample_rate: Option<u32>,
    pub(super) channels: usize,
    pub(super) stereo: Stereo,
    pub(super) bits: Option<u32>,
}

/// More bytes than any header has.
pub(super) const MAX_BYTES: usize = 16;

impl Header {
    /// Read it from the first of these bytes on.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let &[sync, blocking, sizes, layout, ref rest @ ..] = bytes else { return Err(Fault::End) };
        if sync != 0xff || blocking & 0xfe != 0xf8 || layout & 1 != 0 {
            return Err(Fault::Damaged("no frame begins where one should"));
        }
        let mut tail = Tail(rest);
        let number = tail.number()?;
        let block = match sizes >> 4 {
            0 => return Err(RESERVED),
            1 => 192,
            code @ 2..=5 => 144 << code,
            6 => tail.big_endian(1)? + 1,
            7 => tail.big_endian(2)? + 1,
            code => 1 << code,
        };
        let sample_rate = match sizes & 0x0f {
            0 => None,
            12 => Some(1000 * tail.big_endian(1)?),
            13 => Some(tail.big_endian(2)?),
            14 => Some(10 * tail.big_endian(2)?),
            15 => return Err(RESERVED),
            code => Some(RATES[usize::from(code) - 1]),
        };
        let (channels, stereo) = match layout >> 4 {
            code @ 0..=7 => (usize::from(code) + 1, Stereo::Independent),
            8 => (2, Stereo::LeftSide),
            9 => (2, Stereo::SideRight),
            10 => (2, Stereo::MidSide),
            _ => return Err(RESERVED),
        };
        let bits = match layout >> 1 & 7 {
            0 => None,
            3 => return Err(RESERVED),
            code => Some([8, 12, 0, 16, 20, 24, 32][usize::from(code) - 1]),
        };
        let size = bytes.len() - tail.0.len();
        if tail.byte()? != crc8(&bytes[..size]) {
            return Err(Fault::Damaged("the header of a frame fails its checksum"));
        }
        let variable = blocking & 1 != 0;
        Ok(Self {
            bytes: size + 1,
            variable,
            number,
            block: block as usize,
            sample_rate,
            channels,
            stereo,
            bits,
        })
    }
}

const RESERVED: Fault = Fault::Damaged("the header of a frame has a reserved code");

/// Sample rates with a code of their own, from code 1 on.
const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// The part of a header whose length is not fixed.
struct Tail<'a>(&'a [u8]);

impl Tail<'_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.0.split_first().ok_or(Fault::End)?;
        self.0 = rest;
        Ok(byte)
    }

    fn big_endian(&mut self, count: usize) -> Result<u32, Fault> {
        (0..count).try_fold(0, |value, _| Ok(value << 8 | u32::from(self.byte()?)))
    }

    /// A number in the way of UTF-8, extended to 36 bits.
    fn number(&mut self) -> Result<u64, Fault> {
        const BAD: Fault = Fault::Damaged("the number of a frame is not coded as it should be");
        let first = self.byte()?;
        let more = match first.leading_ones() {
            0 => return Ok(u64::from(first)),
            ones @ 2..=7 => ones - 1,
            _ => return Err(BAD),
        };
        (0..more).try_fold(u64::from(first & 0x3f >> more), |value, _| match self.byte()? {
            byte if byte & 0xc0 == 0x80 => Ok(value << 6 | u64::from(byte & 0x3f)),
            _ => Err(BAD),
        })
    }
}
