//! AWS Signature Version 4, header signing
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
//!
//! Checked against AWS's own test suite, `domain/tests/vectors/aws-sigv4.json`.

use crate::credential::AwsKeys;
use crate::credential::aws_chunked::UNSIGNED_TRAILER;
use crate::encoding::{hex, percent_decode};
use crate::mac;
use crate::secret::Secret;
use crate::time::{UnixMs, to_rfc3339};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::fmt::Write;
use url::Url;

/// The largest body that is read whole so that its digest can be signed, in bytes.
pub const MAX_SIGNED_BODY: u64 = 10 << 20;

/// The signature's statement about the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// No body.
    #[default]
    Empty,
    /// Not covered by the signature; S3 accepts this, and a stream can be sent in no other way.
    Unsigned,
    /// Chunks that are not covered, with a trailer ([`crate::credential::aws_chunked`]).
    UnsignedTrailer,
    /// Hex SHA-256.
    Digest(String),
}

/// Whether a service has S3's rules: bodies that the signature does not cover, chunked ones, and paths
/// that are signed as they are.
pub fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-object-lambda" | "s3-outposts")
}

/// Returns the digest that a client has computed of its body, if it is one. S3 compares it with the body.
pub fn stated_digest(content_sha256: &str) -> Option<String> {
    let is_digest = content_sha256.len() == 64 && content_sha256.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| content_sha256.to_ascii_lowercase())
}

/// Headers of the client's own signature. They end at the gateway: the vendor would take them for ours.
pub const SIGNATURE_HEADERS: [&str; 6] = [
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-s3session-token",
    "x-amz-region-set",
];

/// Parameters of a presigned URL, version 4 and (without `x-amz-`) version 2, in lower case.
const SIGNATURE_PARAMETERS: [&str; 10] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-s3session-token",
    "x-amz-region-set",
];
const V2_PARAMETERS: [&str; 3] = ["awsaccesskeyid", "signature", "expires"];

/// Returns the query without the client's own signature; `None` if nothing is left.
pub fn query_without_signature(query: &str) -> Option<String> {
    let name = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        String::from_utf8_lossy(&percent_decode(name.as_bytes())).to_ascii_lowercase()
    };
    // `Signature` and `Expires` are parts of a signature only beside its key.
    let is_v2 = query.split('&').any(|pair| name(pair) == "awsaccesskeyid");
    let is_own = |pair: &&str| {
        let name = name(pair);
        !(SIGNATURE_PARAMETERS.contains(&name.as_str()) || (is_v2 && V2_PARAMETERS.contains(&name.as_str())))
    };
    let rest: Vec<&str> = query.split('&').filter(is_own).collect();
    (!rest.is_empty()).then(|| rest.join("&"))
}

/// A request as it will be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In upper case.
    pub method: &'a str,
    /// With its port if that is not the scheme's own.
    pub host: &'a str,
    /// Percent-encoded, as it is sent.
    pub path: &'a str,
    /// Percent-encoded, without its `?`.
    pub query: Option<&'a str>,
    /// Further headers to be covered, names in lower case; several of one name are joined.
    pub headers: &'a [(String, String)],
    /// The statement about the body.
    pub payload: &'a Payload,
}

/// Returns the host of an address, with its port if that is not the scheme's own.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Signs a request. Returns the headers to be set on it, `authorization` among them.
pub fn sign(request: &Request, keys: &AwsKeys, at: UnixMs) -> Vec<(&'static str, Secret)> {
    let (date, time) = stamps(at);
    let digest = match request.payload {
        Payload::Empty => hex(&Sha256::digest(b"")),
        Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
        Payload::UnsignedTrailer => UNSIGNED_TRAILER.to_owned(),
        Payload::Digest(digest) => digest.clone(),
    };
    let mut added = vec![("x-amz-date", Secret::new(time.clone()))];
    if is_s3(&keys.service) || matches!(request.payload, Payload::Digest(_)) {
        added.push(("x-amz-content-sha256", Secret::new(digest.clone())));
    }
    if let Some(token) = &keys.session_token {
        added.push(("x-amz-security-token", token.clone()));
    }
    let mut headers: Vec<(String, String)> =
        added.iter().map(|(name, value)| ((*name).to_owned(), value.expose().to_owned())).collect();
    headers.push(("host".to_owned(), request.host.to_owned()));
    headers.extend(request.headers.iter().map(|(name, value)| (name.clone(), trimmed(value))));
    let (canonical, signed) = canonical_request(request, headers, &keys.service, &digest);
    let scope = format!("{date}/{}/{}/aws4_request", keys.region, keys.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
    let secret = format!("AWS4{}", keys.secret_access_key.expose());
    let key = [date.as_str(), &keys.region, &keys.service, "aws4_request", &to_sign]
        .iter()
        .fold(secret.into_bytes(), |key, part| {
            mac::tag(&key, &[part.as_bytes()]).map(Vec::from).unwrap_or_default()
        });
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={}",
        keys.access_key_id,
        hex(&key)
    );
    added.push(("authorization", Secret::new(authorization)));
    added
}

/// Returns the canonical request and the names of the headers that it covers.
fn canonical_request(
    request: &Request,
    mut headers: Vec<(String, String)>,
    service: &str,
    digest: &str,
) -> (String, String) {
    sort(&mut headers, false);
    let mut lines = String::new();
    let mut names: Vec<&str> = Vec::with_capacity(headers.len());
    for (name, value) in &headers {
        if names.last() == Some(&name.as_str()) {
            lines.pop();
            let _ = writeln!(lines, ",{value}");
        } else {
            names.push(name);
            let _ = writeln!(lines, "{name}:{value}");
        }
    }
    let signed = names.join(";");
    let path = canonical_path(request.path, service);
    let query = canonical_query(request.query.unwrap_or_default(), service);
    (format!("{}\n{path}\n{query}\n{lines}\n{signed}\n{digest}", request.method), signed)
}

/// S3 takes a path as it is, encoded once, and a `+` in it as a space. Every other service resolves empty
/// and dot segments and encodes what it was sent once more.
fn canonical_path(path: &str, service: &str) -> String {
    if is_s3(service) {
        return encoded(&decoded(path), IN_PATH);
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let ends_open = path.ends_with('/') && !segments.is_empty();
    let joined = format!("/{}{}", segments.join("/"), if ends_open { "/" } else { "" });
    encoded(joined.as_bytes(), IN_PATH)
}

/// Every parameter decoded, encoded as AWS does, and sorted by name, then value. One without a name is
/// left out; of several with one name S3 takes the first.
fn canonical_query(query: &str, service: &str) -> String {
    let part = |text: &str| encoded(&decoded(text), IN_QUERY);
    let mut parameters: Vec<(String, String)> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (part(name), part(value)))
        .collect();
    sort(&mut parameters, !is_s3(service));
    if is_s3(service) {
        parameters.dedup_by(|(later, _), (first, _)| later == first);
    }
    let pairs: Vec<String> = parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Sorts pairs by name, those of one name by value or in the order in which they were. The only sort of the gateway: each
/// is some 5 KB of code.
pub(crate) fn sort(pairs: &mut [(String, String)], by_value: bool) {
    pairs.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| if by_value { x.cmp(y) } else { Ordering::Equal }));
}

/// Bytes of a percent-encoded text in which a `+` is a space.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes())
}

/// AWS's `UriEncode` takes all but the unreserved characters of RFC 3986, section 2.3.
pub(crate) const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// Percent-encodes the characters of a set.
pub(crate) fn encoded(bytes: &[u8], set: &'static AsciiSet) -> String {
    percent_encode(bytes, set).collect()
}

/// Removes spaces at both ends, and makes one of several.
fn trimmed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns date and time, such as `20150830` and `20150830T123600Z`.
fn stamps(at: UnixMs) -> (String, String) {
    let basic = to_rfc3339(at).unwrap_or_default().replace(['-', ':'], "");
    let (time, _) = basic.split_once('.').unwrap_or_default();
    (time.chars().take(8).collect(), format!("{time}Z"))
}

#[cfg(test)]
mod tests;
