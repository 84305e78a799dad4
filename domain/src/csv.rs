//! Comma-separated values (RFC 4180) in which a spreadsheet program finds no formula.

use csv::{Terminator, WriterBuilder};
use std::borrow::Cow;

/// The first character of a file, so that Excel reads it as UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Appends a row. Whatever a spreadsheet would take for a formula gets a `'` in front, which it shows as
/// text (OWASP, "CSV Injection"). So does a formula that has such marks already: [`unguarded`] takes one away.
///
/// A program whose list separator is not the comma cuts cells at other places, quotes or not, so each part of
/// a cell is guarded by itself. A number with a sign is guarded too: to such a program `-1,x` is one cell.
pub fn push_row<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail, and what went in as text comes out as text.
    let written = writer.write_record(cells.into_iter().map(guarded));
    let row = written.ok().and_then(|()| String::from_utf8(writer.into_inner().ok()?).ok());
    out.push_str(&row.unwrap_or_default());
}

/// Characters at which a program may begin a new cell or a new line.
const SEPARATORS: [char; 8] = [',', ';', '|', '\t', '\n', '\r', '\u{85}', '\u{2028}'];
/// Characters that begin a formula; East Asian programs take the full-width forms too.
const FORMULA: [char; 13] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '−'];

/// Whether a program may drop the character before it looks at a cell's first one.
fn is_skipped(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '"' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}

fn is_formula(part: &str) -> bool {
    let text = part.trim_matches(|c| is_skipped(c) || SEPARATORS.contains(&c));
    text.starts_with(FORMULA)
}

/// Whether a cell begins like a formula, marks left aside. Excel drops a leading tab or line break.
fn begins_formula(cell: &str) -> bool {
    let cell = cell.trim_start_matches('\'');
    cell.starts_with(['\t', '\r', '\n']) || is_formula(cell.split(SEPARATORS).next().unwrap_or_default())
}

/// Cuts a part before its text, which may have marks, if that is a formula.
fn cut_formula(part: &str) -> Option<(&str, &str)> {
    let text = part.trim_start_matches(is_skipped);
    is_formula(text.trim_start_matches('\'')).then(|| (part.strip_suffix(text).unwrap_or_default(), text))
}

fn guarded(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len() + 1);
    if begins_formula(cell) {
        out.push('\'');
    }
    for (i, part) in cell.split_inclusive(SEPARATORS).enumerate() {
        if let Some((before, text)) = cut_formula(part).filter(|_| i > 0) {
            out.push_str(before);
            out.push('\'');
            out.push_str(text);
        } else {
            out.push_str(part);
        }
    }
    out
}

/// Returns the cell from which [`push_row`] made this one.
pub fn unguarded(cell: &str) -> Cow<'_, str> {
    if !cell.contains('\'') {
        return Cow::Borrowed(cell);
    }
    let mut out = String::with_capacity(cell.len());
    for (i, part) in cell.split_inclusive(SEPARATORS).enumerate() {
        let cut = if i == 0 { begins_formula(cell).then_some(("", part)) } else { cut_formula(part) };
        let (before, text) = cut.unwrap_or(("", part));
        out.push_str(before);
        out.push_str(text.strip_prefix('\'').filter(|_| cut.is_some()).unwrap_or(text));
    }
    Cow::Owned(out)
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
    fn cells_that_need_quotes_get_them() {
        assert_eq!(
            row(&["a", "b,c", "say \"x\"", "two\nlines", ""]),
            "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\r\n"
        );
    }

    /// The cells of a row as a program with another list separator cuts it.
    fn cells_by(row: &str, separator: u8) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(row.as_bytes());
        let records: Vec<csv::StringRecord> = reader.records().filter_map(Result::ok).collect();
        records.iter().flat_map(|record| record.iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn a_cell_that_is_cut_in_two_is_not_a_formula_either() {
        for (cell, wanted) in [
            ("x;=1+1", "x;'=1+1"),
            ("x; \"=1+1", "x; \"'=1+1"),
            ("x\t@SUM(A1)", "x\t'@SUM(A1)"),
            ("x\r\n+1+1", "x\r\n'+1+1"),
            (" =1+1", "' =1+1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("＝1+1", "'＝1+1"),
            ("x;－2＋3", "x;'－2＋3"),
            ("-inf", "'-inf"),
            ("a-b;c=d;e@f.example", "a-b;c=d;e@f.example"),
            ("x;-3;+4.5", "x;'-3;'+4.5"),
            ("-1|=1", "'-1|'=1"),
            ("'=1", "''=1"),
            ("x;'=1", "x;''=1"),
        ] {
            assert_eq!(guarded(cell), wanted);
        }
    }

    proptest::proptest! {
        /// Whatever a cell holds and whichever separator cuts it: nothing begins like a formula.
        #[test]
        fn no_program_finds_a_formula(cells in proptest::collection::vec("[=+@＝＋－＠;,|\t\r\n\" 'a1.-]{0,12}|\\PC{0,8}", 1..4)) {
            let row = row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            for separator in *b",;\t|" {
                for cell in cells_by(&row, separator) {
                    for line in cell.split(['\n', '\r']) {
                        proptest::prop_assert!(!is_formula(line), "{:?} of {:?}", line, row);
                    }
                }
            }
        }

        /// No mark is lost, and none is left over.
        #[test]
        fn a_guarded_cell_is_read_as_it_was(cell in "[=+@＝;,|\t\r\n\" 'a1.-]{0,12}|\\PC{0,8}") {
            let guarded = guarded(&cell);
            proptest::prop_assert_eq!(unguarded(&guarded), cell);
        }

        /// Guarding adds marks and takes nothing away.
        #[test]
        fn a_guarded_cell_is_the_cell_with_marks(cell in "[=+@;,\t\n a1.\"-]{0,16}") {
            proptest::prop_assert_eq!(guarded(&cell).replace('\'', ""), cell);
        }
    }

    #[test]
    fn a_spreadsheet_reads_every_cell_as_text() {
        for cell in ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(row(&[cell]).trim_start_matches('"').starts_with('\''), "{cell:?}");
        }
        assert_eq!(row(&["12.5", "3e7"]), "12.5,3e7\r\n", "numbers without a sign stay numbers");
        assert_eq!(row(&["+1", "－"]), "'+1,'－\r\n", "a number with a sign may begin a longer cell");
    }
}
