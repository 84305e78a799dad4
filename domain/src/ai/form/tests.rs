use super::*;
use proptest::prelude::*;

const KIND: &str = "multipart/form-data; boundary=b";
const MODEL: &str = "Content-Disposition: form-data; name=\"model\"";
const FILE: &str =
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg";

fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts = parts.iter().map(|(head, value)| format!("--b\r\n{head}\r\n\r\n{value}\r\n"));
    format!("{}--b--\r\n", parts.collect::<String>()).into_bytes()
}

fn read(body: &[u8], kind: &str) -> Option<String> {
    model_in_form(body, kind).map(|at| String::from_utf8(body[at].to_vec()).unwrap())
}

#[test]
fn the_model_is_read_wherever_it_is() {
    let (model, file) = ((MODEL, "whisper-1"), (FILE, "\r\n\r\n--x\r\nmodel\0"));
    for parts in [&[model, file] as &[_], &[file, model], &[file, model, file], &[model]] {
        assert_eq!(read(&form(parts), KIND).as_deref(), Some("whisper-1"));
    }
    let mut open = form(&[model]);
    open.truncate(open.len() - 2);
    assert_eq!(read(&open, KIND).as_deref(), Some("whisper-1"), "nothing need follow the last border");
}

#[test]
fn the_forms_of_clients_are_read() {
    for head in [
        "Content-Disposition: form-data; name=\"model\"",
        "content-disposition: form-data; name=\"model\"\r\ncontent-type: text/plain; charset=utf-8",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit",
        // .NET
        "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model",
    ] {
        assert_eq!(read(&form(&[(head, "m")]), KIND).as_deref(), Some("m"), "{head}");
    }
    let file = "Content-Disposition: form-data; name=file; filename=a.mp3; filename*=utf-8''a.mp3";
    assert_eq!(read(&form(&[(MODEL, "m"), (file, "x")]), KIND).as_deref(), Some("m"));
    for kind in [
        "multipart/form-data; boundary=\"b\"",
        "multipart/form-data;boundary=b",
        "multipart/form-data; charset=UTF-8; boundary=b",
    ] {
        assert_eq!(read(&form(&[(MODEL, "m")]), kind).as_deref(), Some("m"), "{kind}");
    }
}

#[test]
fn a_form_that_names_no_model_or_can_be_read_in_two_ways_is_not_read() {
    let other = "Content-Disposition: form-data; name=\"other\"";
    for name in [
        "Model",
        "model[]",
        "model[0]",
        "[model]",
        "models",
        "session",
        "session[model]",
        "session.model",
        "model\"; filename=\"",
    ] {
        let field = format!("Content-Disposition: form-data; name=\"{name}\"");
        assert_eq!(read(&form(&[(MODEL, "m"), (&field, "n")]), KIND), None, "{name}");
        assert_eq!(read(&form(&[(&field, "n")]), KIND), None, "{name}");
    }
    for parts in [
        &[] as &[(&str, &str)],
        &[(other, "m")],
        &[(MODEL, "")],
        &[(MODEL, " m")],
        &[(MODEL, "m\r\n")],
        &[(MODEL, &"m".repeat(101))],
        &[(MODEL, "m"), (MODEL, "m")],
        &[(MODEL, "m"), ("Content-Type: text/plain", "x")],
        &[(MODEL, "m"), (other, "x--bx")],
        &[(MODEL, "m"), (other, "x\n--b\n\nx")],
        &[(MODEL, "m"), (other, "x\r\n--b--\r\nx")],
    ] {
        assert_eq!(read(&form(parts), KIND), None, "{parts:?}");
    }
    for head in [
        "Content-Disposition: form-data; name=\"model\"; filename=\"m\"",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"model\"; name=\"other\"",
        "Content-Disposition: form-data; name=\"mod\\el\"",
        "Content-Disposition: form-data; name=\"Model\"",
        "Content-Disposition: form-data; name=\"%6dodel\"",
        "Content-Disposition: form-data; name=\"=?utf-8?b?bW9kZWw=?=\"",
        "Content-Disposition: form-data; name=model ",
        "Content-Disposition: form-data; name=\"x\"; filename=\"y; name=model\"",
        "Content-Disposition: form-data; NAME=\"model\"",
        "Content-Disposition: form-data; name*=utf-8''model",
        "Content-Disposition: form-data; name =\"model\"",
        "Content-Disposition: attachment; name=\"model\"",
        "Content-Disposition : form-data; name=\"model\"",
        "Content-Disposition: form-data;\r\n name=\"model\"",
        "Content-Disposition: form-data; name=\"other\"\r\nContent-Disposition: form-data; name=\"model\"",
        "X: y\nContent-Disposition: form-data; name=\"model\"",
        "\r\nContent-Disposition: form-data; name=\"model\"",
    ] {
        for parts in [&[(head, "m")] as &[_], &[(MODEL, "m"), (head, "o")], &[(head, "o"), (MODEL, "m")]] {
            assert_eq!(read(&form(parts), KIND), None, "{head}");
        }
    }
}

#[test]
fn a_form_with_another_border_or_with_text_around_it_is_not_read() {
    let whole = form(&[(MODEL, "m")]);
    for kind in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=c",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data; boundary=b, multipart/form-data",
        "multipart/form-data; charset=utf-7; boundary=b",
        "multipart/form-data; boundary*=utf-8''b",
        "multipart/mixed; boundary=b",
    ] {
        assert_eq!(read(&whole, kind), None, "{kind}");
    }
    for (before, after) in [("x\r\n", ""), ("\r\n", ""), ("", "x"), ("", "--b\r\n")] {
        let body = [before.as_bytes(), &whole, after.as_bytes()].concat();
        assert_eq!(read(&body, KIND), None, "{before:?} {after:?}");
    }
    for length in 0..whole.len() - 2 {
        assert_eq!(read(&whole[..length], KIND), None, "{length}");
    }
}

#[test]
fn forms_are_known_by_their_type() {
    for (kind, expected) in [
        (Some("multipart/form-data; boundary=b"), true),
        (Some("Multipart/Mixed"), true),
        (Some("application/json"), false),
        (Some("multipart"), false),
        (Some("multip\u{e4}rt/"), false),
        (None, false),
    ] {
        assert_eq!(is_form(kind), expected, "{kind:?}");
    }
}

proptest! {
    #[test]
    fn a_model_that_is_read_stands_alone_in_a_part_of_that_name(
        pieces in proptest::collection::vec(0..9_usize, 0..14),
    ) {
        let words = ["--b", "\r\n", "--", MODEL, "\r\n\r\n", "m", "; filename=\"x\"", "\n", FILE];
        let body: String = pieces.iter().map(|at| words[*at]).collect();
        for body in [body.clone(), format!("--b\r\n{body}\r\n--b--"), format!("--b\r\n{MODEL}\r\n\r\n{body}\r\n--b--")] {
            if let Some(at) = model_in_form(body.as_bytes(), KIND) {
                prop_assert!(!body[at.clone()].contains(['\r', '\n', ' ']) && body[..at.start].ends_with("\r\n\r\n"));
                prop_assert!(body[at.end..].starts_with("\r\n--b"));
                prop_assert_eq!(body.matches("name=\"model\"").count(), 1);
            }
        }
    }
}
