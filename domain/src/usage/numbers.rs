//! Numbers in a text. Sums that wait to become rows, and histograms, are many thousands of them: read as JSON, a report
//! would take most of its time for that.

/// The whole numbers of a text, whatever stands between them.
#[derive(Clone, Debug)]
pub struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// Reads a text.
    pub fn of(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut number = None;
        while let Some((byte, rest)) = self.0.split_first() {
            self.0 = rest;
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                number = Some(number.unwrap_or(0_u64).wrapping_mul(10).wrapping_add(u64::from(digit)));
            } else if number.is_some() {
                break;
            }
        }
        number
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
