use super::*;
use proptest::prelude::*;

/// The example of AWS's documentation, "Transferring Payload in Multiple Chunks": 65 KiB and 1 KiB.
fn documented() -> Vec<u8> {
    let (first, second) = (
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    );
    let last = "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9";
    let mut body = format!("10000;chunk-signature={first}\r\n").into_bytes();
    body.extend(vec![b'a'; 65536]);
    body.extend(format!("\r\n400;chunk-signature={second}\r\n").bytes());
    body.extend([b'a'; 1024]);
    body.extend(format!("\r\n0;chunk-signature={last}\r\n\r\n").bytes());
    body
}

/// Signed chunks of the pieces, with a trailer if there is one.
fn signed(pieces: &[Vec<u8>], tail: &str) -> Vec<u8> {
    let mut body = vec![];
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        body.extend(format!("{:x};chunk-signature={}\r\n", piece.len(), "0".repeat(64)).bytes());
        body.extend(piece);
        body.extend(b"\r\n");
    }
    body.extend(format!("0;chunk-signature={}\r\n{tail}", "0".repeat(64)).bytes());
    body
}

fn unsigned(pieces: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut body = vec![];
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        body.extend(format!("{:x}\r\n", piece.len()).bytes());
        body.extend(piece);
        body.extend(b"\r\n");
    }
    body.extend(format!("0\r\n{trailer}\r\n").bytes());
    body
}

fn pass(form: Form, pieces: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let mut unwrapper = Unwrapper::new(form).unwrap();
    let mut out = vec![];
    for piece in pieces {
        out.extend(unwrapper.feed(piece)?);
    }
    out.extend(unwrapper.finish()?);
    Ok(out)
}

fn decided(headers: &[(&str, &str)], takes_chunks: bool) -> Result<Option<Form>, Malformed> {
    form(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()), takes_chunks)
}

#[test]
fn the_documented_upload_is_decoded() {
    let length = 66560;
    assert_eq!(pass(Form::Plain { length }, &[&documented()]), Ok(vec![b'a'; 66560]));
    let one_by_one = documented();
    let one_by_one: Vec<&[u8]> = one_by_one.chunks(1).collect();
    assert_eq!(pass(Form::Plain { length }, &one_by_one), Ok(vec![b'a'; 66560]));
}

#[test]
fn the_form_follows_from_the_headers() {
    let payload = |value| ("x-amz-content-sha256", value);
    let (coded, length, trailer) =
        (("content-encoding", "gzip, AWS-chunked"), (DECODED_LENGTH, "5"), (TRAILER, "x-amz-checksum-crc32"));
    let plain = Ok(Some(Form::Plain { length: 5 }));
    let signed = payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let signed_trailer = payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
    let unsigned = payload(UNSIGNED_TRAILER);
    assert_eq!(decided(&[coded, length, trailer, unsigned], true), Ok(Some(Form::Untouched)));
    assert_eq!(decided(&[coded, length, trailer, signed_trailer], true), Ok(Some(Form::Unsigned)));
    assert_eq!(decided(&[coded, length, signed], true), plain);
    assert_eq!(decided(&[length, signed], true), plain, "minio's clients leave the coding out");
    assert_eq!(
        decided(&[coded, length, trailer], true),
        Ok(Some(Form::Unsigned)),
        "a client that does not sign"
    );
    assert_eq!(decided(&[coded, length, trailer, unsigned], false), plain, "a service without chunks");
    assert_eq!(decided(&[coded, signed], true), Err(Malformed::NoLength));
    assert_eq!(decided(&[(DECODED_LENGTH, "-1"), signed], true), Err(Malformed::NoLength));
    for headers in [vec![], vec![coded], vec![payload("UNSIGNED-PAYLOAD")], vec![length, trailer]] {
        assert_eq!(decided(&headers, true), Ok(None), "{headers:?}");
    }
}

#[test]
fn the_objects_own_coding_stays() {
    assert_eq!(coding_without_chunks("aws-chunked"), None);
    assert_eq!(coding_without_chunks("gzip,aws-chunked").as_deref(), Some("gzip"));
    assert_eq!(coding_without_chunks("aws-chunked , br, gzip").as_deref(), Some("br, gzip"));
}

#[test]
fn a_body_that_breaks_its_framing_is_refused() {
    let plain = |length, body: &[u8]| pass(Form::Plain { length }, &[body]);
    assert_eq!(plain(5, b"5\r\nhello\r\n0\r\n\r\n"), Ok(b"hello".to_vec()));
    assert_eq!(plain(5, b"5\r\nhello\r\n0\r\n"), Ok(b"hello".to_vec()), "the last line break may be missing");
    assert_eq!(plain(6, b"5\r\nhello\r\n0\r\n\r\n"), Err(Malformed::Length));
    assert_eq!(plain(4, b"5\r\nhello\r\n0\r\n\r\n"), Err(Malformed::Length));
    for body in [&b""[..], b"5", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n"] {
        assert_eq!(plain(5, body), Err(Malformed::Truncated), "{body:?}");
    }
    for body in [&b"hello\r\n"[..], b"\r\n", b"5\nhello", b"+5\r\n", b"11111111111111111\r\n", &[b'0'; 600]] {
        assert_eq!(plain(5, body), Err(Malformed::Head), "{body:?}");
    }
    assert_eq!(plain(5, b"5\r\nhelloo\r\n"), Err(Malformed::Border));
    assert_eq!(pass(Form::Unsigned, &[b"0\r\nno colon\r\n\r\n"]), Err(Malformed::Tail));
    assert_eq!(pass(Form::Unsigned, &[b"0\r\n", &[b'x'; MAX_TAIL + 1]]), Err(Malformed::Tail));
}

proptest! {
    /// Whatever the chunks and wherever the network cuts them: the data as it was, or the same chunks
    /// without signatures and with the trailer.
    #[test]
    fn no_cut_changes_what_arrives(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        cuts in prop::collection::vec(1_usize..30, 1..20),
        blank in any::<bool>(),
    ) {
        let trailer = "x-amz-checksum-crc32:AAAAAA==\r\n";
        let between = if blank { "\r\n" } else { "" };
        let body = signed(&pieces, &format!("{trailer}{between}x-amz-trailer-signature:{}\r\n\r\n", "0".repeat(64)));
        let mut rest = body.as_slice();
        let mut sent = vec![];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (now, then) = rest.split_at((*cut).min(rest.len()));
            sent.push(now);
            rest = then;
        }
        let data = pieces.concat();
        let length = u64::try_from(data.len()).unwrap();
        prop_assert_eq!(pass(Form::Plain { length }, &sent), Ok(data));
        prop_assert_eq!(pass(Form::Unsigned, &sent), Ok(unsigned(&pieces, trailer)));
    }

    #[test]
    fn no_body_panics_or_grows(body in prop::collection::vec(any::<u8>(), 0..200), length: u64) {
        for form in [Form::Unsigned, Form::Plain { length }] {
            if let Ok(out) = pass(form, &[&body]) {
                prop_assert!(out.len() <= body.len() + 4);
            }
        }
    }
}
