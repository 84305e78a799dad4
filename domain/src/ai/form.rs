//! The model of a call whose body is a form (`multipart/form-data`), such as sound to be written down.
//!
//! A list of models rests on what is read here, and parsers of forms disagree about everything unusual. So a form is
//! read only if it has no two readings: each text that looks like a border is one, each part states its name once, and
//! nothing is escaped, folded or encoded.

use crate::usage::MAX_MODEL_LEN;
use std::ops::Range;

/// The types of forms that are read, to the border between their parts.
const KINDS: [&str; 4] = [
    "multipart/form-data; boundary=",
    "multipart/form-data;boundary=",
    "multipart/form-data; charset=utf-8; boundary=",
    "multipart/form-data; charset=UTF-8; boundary=",
];
/// The longest border (RFC 2046, section 5.1.1).
const MAX_BORDER_LEN: usize = 70;
const LINE: &[u8] = b"\r\n";

/// Whether a body of this type is a form.
pub fn is_form(content_type: Option<&str>) -> bool {
    let kind = content_type.and_then(|text| text.as_bytes().get(..10));
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
}

/// Finds the value of the form's only field `model`; `None` if it has none or several, or can be read in two ways.
pub fn model_in_form(body: &[u8], content_type: &str) -> Option<Range<usize>> {
    let border = KINDS.iter().find_map(|kind| content_type.strip_prefix(kind))?;
    let border = text_of(border.as_bytes()).filter(|border| (1..=MAX_BORDER_LEN).contains(&border.len()))?;
    let border = [b"--", border].concat();
    let (mut at, mut model) = (0, None);
    let mut rest = body.strip_prefix(border.as_slice())?;
    while !matches!(rest, b"--" | b"--\r\n") {
        let part = rest.strip_prefix(LINE)?;
        let length = find(part, &border)?;
        let (part, next) = part.split_at_checked(length)?;
        let (head, value) = split(part.strip_suffix(LINE)?, b"\r\n\r\n")?;
        at += border.len() + LINE.len() + length;
        if is_model(head)? {
            let is_name =
                (1..=MAX_MODEL_LEN).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
            let to = at - LINE.len();
            if !is_name || model.replace(to - value.len()..to).is_some() {
                return None;
            }
        }
        rest = next.get(border.len()..)?;
    }
    model
}

/// Whether a part with these headers is the field `model`; `None` if they can be read in two ways.
fn is_model(mut head: &[u8]) -> Option<bool> {
    let (mut is_model, mut is_plain) = (None, true);
    loop {
        let (line, rest) = split(head, LINE).unwrap_or((head, b""));
        let (name, value) = split(line, b":")?;
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            || value.iter().any(u8::is_ascii_control)
        {
            return None;
        }
        if !name.eq_ignore_ascii_case(b"content-disposition") {
            is_plain &= name.eq_ignore_ascii_case(b"content-type")
                || name.eq_ignore_ascii_case(b"content-transfer-encoding")
                    && matches!(value, b" 8bit" | b" 7bit" | b" binary");
        } else if is_model.replace(names_model(value)?).is_some() {
            return None;
        }
        if rest.is_empty() {
            // Another header may say that the value is encoded.
            return is_model.filter(|is_model| is_plain || !is_model);
        }
        head = rest;
    }
}

/// Whether `form-data; name="…"` names the model. A file may have a name, too.
fn names_model(disposition: &[u8]) -> Option<bool> {
    let parameters = disposition.strip_prefix(b" form-data; name=")?;
    let (name, file) = split(parameters, b"; filename=").unwrap_or((parameters, b""));
    let (file, other) = split(file, b"; filename*=").unwrap_or((file, b""));
    let name = text_of(name)
        .filter(|name| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(byte)))?;
    let is_model = name == b"model";
    // Some parsers take `model[]` for `model`, and a vendor may name further models beside it.
    let names_it = name.to_ascii_lowercase();
    let names_it = find(&names_it, b"model").is_some() || names_it.starts_with(b"session");
    let is_sound =
        if is_model { parameters.len() == "\"model\"".len() || parameters == b"model" } else { !names_it };
    text_of(file).and(text_of(other)).filter(|_| is_sound).map(|_| is_model)
}

/// Returns a text with or without quotes, in which nothing needs them but a space.
fn text_of(value: &[u8]) -> Option<&[u8]> {
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let special: &[u8] = if quoted.is_some() { b"\"\\;" } else { b"\"\\;, " };
    let text = quoted.unwrap_or(value);
    (!text.iter().any(|byte| special.contains(byte))).then_some(text)
}

/// Splits a text at the first place of `by`.
fn split<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, by)?;
    Some((text.get(..at)?, text.get(at + by.len()..)?))
}

/// Finds the first place of `part`, whose first byte is rare.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let (first, mut at) = (part.first()?, 0);
    loop {
        at += text.get(at..)?.iter().position(|byte| byte == first)?;
        if text.get(at..)?.starts_with(part) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
