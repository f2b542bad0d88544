//! Headers of MPEG audio frames (ISO 11172-3, 13818-3): enough to tell where a stream begins.

/// Kilobits a second by index, from 1 on, of layers I, II and III of version 1, and of layers I and II/III of version 2.
const BIT_RATES: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Frames that must follow one another, unless the bytes end before.
const CHAIN: usize = 3;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// 1, 2 or 3.
    pub(super) layer: u8,
    /// Bytes of the frame; `None` in free format, whose headers name no bit rate.
    bytes: Option<usize>,
    /// Version, layer and sample rate: what does not change from frame to frame.
    kind: [u8; 2],
    /// Where in the frame the tag stands that says how long the stream is.
    tag: usize,
}

impl Frame {
    /// The header that these bytes begin with.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[0xff, version, rates, mode, ..] = bytes else { return None };
        let (bit_rate, sample_rate) = (usize::from(rates >> 4), usize::from(rates >> 2 & 3));
        // Eleven bits of sync, a version, layer, bit rate and sample rate that are not reserved.
        if version & 0xe0 != 0xe0
            || version & 0x18 == 0x08
            || version & 0x06 == 0
            || bit_rate == 15
            || sample_rate == 3
        {
            return None;
        }
        let layer = 4 - (version >> 1 & 3);
        let first = version & 0x08 != 0;
        let row = match (first, layer) {
            (true, layer) => usize::from(layer) - 1,
            (false, 1) => 3,
            (false, _) => 4,
        };
        let halvings = match version >> 3 & 3 {
            3 => 0,
            2 => 1,
            _ => 2,
        };
        let hz = [44_100, 48_000, 32_000][sample_rate] >> halvings;
        let padding = usize::from(rates >> 1 & 1);
        let size = |kilobits: u16| match (layer, first) {
            (1, _) => 4 * (12_000 * usize::from(kilobits) / hz + padding),
            (3, false) => 72_000 * usize::from(kilobits) / hz + padding,
            _ => 144_000 * usize::from(kilobits) / hz + padding,
        };
        let bytes = bit_rate.checked_sub(1).map(|index| size(BIT_RATES[row][index]));
        let tag = match (first, mode >> 6 == 3) {
            (true, false) => 36,
            (true, true) | (false, false) => 21,
            (false, true) => 13,
        };
        Some(Self { layer, bytes, kind: [version & 0x1e, rates & 0x0c], tag })
    }

    pub(super) fn is_free_format(&self) -> bool {
        self.bytes.is_none()
    }

    /// Whether the first frame, whose bytes these are, says how long the stream is.
    pub(super) fn says_length(&self, bytes: &[u8]) -> bool {
        let at = |place: usize| bytes.get(place..place + 4).unwrap_or_default();
        matches!(at(self.tag), b"Xing" | b"Info") || at(36) == b"VBRI"
    }
}

/// Whether a frame begins the bytes, and others of its kind follow it as far as they are needed, or the file goes.
pub(super) fn begins(bytes: &[u8], file_ends: bool) -> bool {
    let Some(first) = Frame::read(bytes) else { return false };
    let (mut frame, mut at) = (first, 0);
    for count in 1.. {
        let Some(size) = frame.bytes.filter(|&size| size > 4) else { return false };
        at += size;
        if count == CHAIN {
            return true;
        }
        if at >= bytes.len() && count > 1 {
            return file_ends;
        }
        match bytes.get(at..).and_then(Frame::read) {
            Some(next) if next.kind == first.kind => frame = next,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_frames_are_those_of_the_standard() {
        for (bytes, size) in [
            ([0xff, 0xfb, 0x90, 0x00], 417), // layer III, 128 kbit/s, 44.1 kHz
            ([0xff, 0xfb, 0x92, 0x00], 418), // padded
            ([0xff, 0xf3, 0x84, 0xc0], 192), // version 2, 64 kbit/s, 24 kHz
            ([0xff, 0xe3, 0x18, 0xc0], 72),  // version 2.5, 8 kbit/s, 8 kHz
            ([0xff, 0xfd, 0x84, 0x00], 384), // layer II, 128 kbit/s, 48 kHz
            ([0xff, 0xff, 0xc4, 0x00], 384), // layer I, 384 kbit/s, 48 kHz
        ] {
            assert_eq!(Frame::read(&bytes).and_then(|frame| frame.bytes), Some(size), "{bytes:x?}");
        }
        assert!(Frame::read(&[0xff, 0xfb, 0x00, 0x00]).unwrap().is_free_format());
        for none in
            [[0xff, 0xfb, 0xf0, 0], [0xff, 0xfb, 0x9c, 0], [0xff, 0xeb, 0x90, 0], [0xff, 0xf9, 0x90, 0]]
        {
            assert_eq!(Frame::read(&none), None, "{none:x?}");
        }
    }

    #[test]
    fn a_stream_is_told_by_frames_that_follow_one_another() {
        let frame = [[0xff, 0xfb, 0x90, 0x00].as_slice(), &[0; 413]].concat();
        assert!(begins(&frame.repeat(3), false));
        assert!(begins(&frame.repeat(2), true));
        assert!(!begins(&frame.repeat(2), false) && !begins(&frame, true));
        let other = [[0xff, 0xfb, 0x94, 0x00].as_slice(), &[0; 413]].concat();
        assert!(!begins(&[frame.as_slice(), &other, &other].concat(), true));
        let text: Vec<u8> = "\u{feff}Liste der Aufnahmen".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!begins(&text, true));
    }
}
