//! Numbers in a text. Sums that wait to become rows, and histograms, are many thousands of them: read as JSON, a report
//! would take most of its time for that.

use std::str::Bytes;

/// The whole numbers of a text, whatever stands between them.
#[derive(Clone, Debug)]
pub struct Numbers<'a>(Bytes<'a>);

impl<'a> Numbers<'a> {
    /// Reads a text.
    pub fn of(text: &'a str) -> Self {
        Self(text.bytes())
    }
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut number = self.0.find_map(digit)?;
        while let Some(next) = self.0.next().and_then(digit) {
            number = number.wrapping_mul(10).wrapping_add(next);
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whatever_stands_between_them() {
        let read = |text| Numbers::of(text).collect::<Vec<_>>();
        assert!(read("").is_empty() && read("{}").is_empty());
        assert_eq!(read("{\"12\":3}{4:18446744073709551615}"), [12, 3, 4, u64::MAX]);
        assert_eq!(read(" 0 07,é8"), [0, 7, 8]);
    }
}
