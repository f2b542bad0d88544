//! The checksums of a frame's header and of a whole frame.

/// Polynomial x^8 + x^2 + x + 1.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
}

/// Polynomial x^16 + x^15 + x^2 + 1, sixteen bytes at a time.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let crc = blocks.iter().fold(0u16, |crc, block| {
        let [high, low] = crc.to_be_bytes();
        let mut block = *block;
        block[0] ^= high;
        block[1] ^= low;
        let parts = block.iter().zip(TABLES.iter().rev());
        parts.fold(0, |crc, (&byte, table)| crc ^ table[usize::from(byte)])
    });
    rest.iter().fold(crc, |crc, &byte| crc << 8 ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)])
}

/// For each byte the checksum of that byte and as many zero bytes behind it as the table's index says.
static TABLES: [[u16; 256]; 16] = {
    let mut tables = [[0; 256]; 16];
    let mut byte = 0;
    while byte < 256 {
        let mut crc: u16 = byte << 8;
        let mut table = 0;
        while table < 16 {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 };
                bit += 1;
            }
            tables[table][byte as usize] = crc;
            table += 1;
        }
        byte += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_published_check_values() {
        assert_eq!(crc8(b"123456789"), 0xf4); // CRC-8/SMBUS
        assert_eq!(crc16(b"123456789"), 0xfee8); // CRC-16/UMTS
    }

    proptest! {
        #[test]
        fn sixteen_bytes_at_a_time_are_as_good_as_bit_by_bit(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let plain = bytes.iter().fold(0u16, |crc, &byte| {
                (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
                    if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 }
                })
            });
            prop_assert_eq!(crc16(&bytes), plain);
        }
    }
}
