//! Canonical JSON (RFC 8785): members in the order of their names in UTF-16, no spaces, numbers as ECMAScript writes
//! them.
//!
//! `serde_json` reads whole numbers and decimals of up to 15 digits exactly, and may miss the last bit of longer ones.
//! Snapshots hold whole numbers alone.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::fmt::Write;

/// Writes a value as RFC 8785 wants it. A number becomes the IEEE 754 double nearest to it, as the RFC demands.
pub fn to_canonical(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::Number(number) => push_number(out, number),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => push_object(out, members),
        // The rest is written in the same way by `serde_json`: control characters as the RFC lists them.
        plain => out.push_str(&plain.to_string()),
    }
}

fn push_object(out: &mut String, members: &Map<String, Value>) {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|(a, _), (b, _)| by_utf16(a, b));
    out.push('{');
    for (i, (name, value)) in members.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        // Writing text cannot fail.
        out.push_str(&serde_json::to_string(name).unwrap_or_default());
        out.push(':');
        push(out, value);
    }
    out.push('}');
}

fn by_utf16(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Appends a number in the layout of ECMAScript's `Number::toString`. `serde_json` gives the digits: the fewest that
/// are read as the same double.
fn push_number(out: &mut String, number: &Number) {
    if number.as_i64().is_some_and(|n| n.unsigned_abs() <= 1 << 53) {
        return out.push_str(&number.to_string());
    }
    let Some(double) = number.as_f64().filter(|double| *double != 0.0) else { return out.push('0') };
    let text = Number::from_f64(double).map(|number| number.to_string()).unwrap_or_default();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (decimal, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    // The value is 0.<digits> × 10^point.
    let point = width(whole) + exponent.parse::<i32>().unwrap_or(0) - (width(&all) - width(significant));
    let digits = significant.trim_end_matches('0');
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    out.push_str(sign);
    match point {
        1..=21 => {
            let (before, after) = usize::try_from(point)
                .ok()
                .and_then(|at| digits.split_at_checked(at))
                .unwrap_or((digits, ""));
            out.push_str(before);
            out.push_str(&zeros(point - width(before)));
            if !after.is_empty() {
                out.push('.');
                out.push_str(after);
            }
        }
        -5..=0 => {
            out.push_str("0.");
            out.push_str(&zeros(-point));
            out.push_str(digits);
        }
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
            let point_mark = if rest.is_empty() { "" } else { "." };
            // Writing to memory cannot fail.
            let _ = write!(out, "{first}{point_mark}{rest}e{:+}", point - 1);
        }
    }
}

/// Returns the number of digits of a double, which is small.
fn width(digits: &str) -> i32 {
    i32::try_from(digits.len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(json: &str) -> String {
        to_canonical(&serde_json::from_str(json).unwrap())
    }

    /// RFC 8785, section 3.2.3, and its appendix B.
    #[test]
    fn the_examples_of_the_rfc_are_written_as_it_says() {
        let given = json!({
            "numbers": [333_333_333.333_333_3, 1E30, 4.50, 2e-3, 0.000_000_000_000_000_000_000_000_001],
            "string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/",
            "literals": [null, true, false],
        });
        let wanted = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(to_canonical(&given), wanted);
        let given = "{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}";
        let wanted = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
        assert_eq!(written(given), wanted);
        for (bits, wanted) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let number = Number::from_f64(f64::from_bits(bits)).unwrap();
            assert_eq!(to_canonical(&Value::Number(number)), wanted, "{bits:x}");
        }
    }

    #[test]
    fn integers_are_written_as_their_doubles() {
        assert_eq!(
            written("[0,-1,1790000000000,9007199254740993,10,1.0]"),
            "[0,-1,1790000000000,9007199254740992,10,1]"
        );
    }

    proptest! {
        #[test]
        fn a_written_number_is_read_as_the_same_double(double: f64) {
            prop_assume!(double.is_finite());
            let text = to_canonical(&Value::from(double));
            prop_assert!(text.parse::<f64>().is_ok_and(|read| read == 0.0 && double == 0.0 || read.to_bits() == double.to_bits()), "{}", text);
        }
    }
}
