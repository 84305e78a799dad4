//! Comma-separated values (RFC 4180) that spreadsheet programs cannot be tricked by.

use csv::{Terminator, WriterBuilder};
use std::borrow::Cow;

/// What a file begins with, so that Excel reads it as UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Appends a row. A cell that a spreadsheet would take for a formula gets a `'` in front, which it
/// shows as text (OWASP, "CSV Injection").
pub fn push_row<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail, and what went in as text comes out as text.
    let written = writer.write_record(cells.into_iter().map(|cell| guarded(cell).into_owned()));
    let row = written.ok().and_then(|()| String::from_utf8(writer.into_inner().ok()?).ok());
    out.push_str(&row.unwrap_or_default());
}

fn guarded(cell: &str) -> Cow<'_, str> {
    let looks_like_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = cell.parse::<f64>().is_ok();
    if looks_like_formula && !is_number { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> String {
        let mut out = String::new();
        push_row(&mut out, cells.iter().copied());
        out
    }

    #[test]
    fn what_needs_quotes_gets_them() {
        assert_eq!(
            row(&["a", "b,c", "say \"x\"", "two\nlines", ""]),
            "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\r\n"
        );
    }

    #[test]
    fn a_spreadsheet_cannot_be_tricked() {
        for cell in ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(row(&[cell]).trim_start_matches('"').starts_with('\''), "{cell:?}");
        }
        assert_eq!(row(&["-12.5", "+3"]), "-12.5,+3\r\n", "numbers stay numbers");
    }
}
