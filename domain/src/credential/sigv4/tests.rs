use super::*;
use crate::time::parse_v1;
use serde_json::Value;

struct Case {
    name: String,
    keys: AwsKeys,
    at: UnixMs,
    method: String,
    path: String,
    query: Option<String>,
    host: String,
    headers: Vec<(String, String)>,
    body: String,
    sign_body: bool,
    signature: String,
}

fn case(value: &Value) -> Case {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let request = text(&value["request"]);
    let (head, body) = request.split_once("\n\n").unwrap_or((&request, ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let (method, rest) = first.split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q.to_owned())));
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with(' ')) {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        } else {
            let last = &mut headers.last_mut().unwrap().1;
            last.push('\n');
            last.push_str(line);
        }
    }
    let host = headers.iter().position(|(name, _)| name == "host").map(|i| headers.remove(i).1).unwrap();
    let credentials = &value["credentials"];
    Case {
        name: text(&value["name"]),
        keys: AwsKeys {
            access_key_id: text(&credentials["access_key_id"]),
            secret_access_key: Secret::new(text(&credentials["secret_access_key"])),
            // The services that want a token added after signing are no longer there.
            session_token: credentials["token"]
                .as_str()
                .filter(|_| value["omit_session_token"] == false)
                .map(|token| Secret::new(token.to_owned())),
            region: text(&value["region"]),
            service: text(&value["service"]),
            role: None,
        },
        at: parse_v1(&text(&value["timestamp"])).unwrap(),
        method: method.to_owned(),
        path: path.to_owned(),
        query,
        host: trimmed(&host),
        headers,
        body: body.to_owned(),
        sign_body: value["sign_body"].as_bool().unwrap(),
        signature: text(&value["signature"]),
    }
}

fn signature_of(case: &Case) -> String {
    let digest = hex(&Sha256::digest(&case.body));
    let payload = if case.sign_body { Payload::Digest(digest) } else { Payload::Empty };
    let request = Request {
        method: &case.method,
        host: &case.host,
        path: &case.path,
        query: case.query.as_deref(),
        headers: &case.headers,
        payload: &payload,
    };
    let added = sign(&request, &case.keys, case.at);
    let authorization = added.iter().find(|(name, _)| *name == "authorization").unwrap().1.expose();
    authorization.rsplit_once("Signature=").unwrap().1.to_owned()
}

/// Those that ask for another treatment of paths are for S3, whose service name they do not carry.
#[test]
fn aws_own_test_vectors_hold() {
    let file = include_str!("../../../tests/vectors/aws-sigv4.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let mut checked = 0;
    for value in file["cases"].as_array().unwrap() {
        if value["normalize"] == true {
            let case = case(value);
            assert_eq!(signature_of(&case), case.signature, "{}", case.name);
            checked += 1;
        }
    }
    assert!(checked >= 30, "{checked}");
}

/// `UriEncode` of S3's canonical path, by the vectors that leave a path as it is.
#[test]
fn s3_paths_are_not_normalised() {
    let file = include_str!("../../../tests/vectors/aws-sigv4.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let mut checked = 0;
    for value in file["cases"].as_array().unwrap().iter().filter(|v| v["normalize"] == false) {
        let canonical = value["canonical_request"].as_str().unwrap().lines().nth(1).unwrap();
        assert_eq!(canonical_path(&case(value).path, "s3"), canonical, "{}", value["name"]);
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
}

/// AWS's documentation, "Signature Calculations … Examples: GET Object":
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[test]
fn the_s3_example_of_the_documentation_holds() {
    let keys = AwsKeys {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
        session_token: None,
        region: "us-east-1".into(),
        service: "s3".into(),
        role: None,
    };
    let request = Request {
        method: "GET",
        host: "examplebucket.s3.amazonaws.com",
        path: "/test.txt",
        query: None,
        headers: &[("range".into(), "bytes=0-9".into())],
        payload: &Payload::Empty,
    };
    let at = parse_v1("2013-05-24T00:00:00Z").unwrap();
    let added = sign(&request, &keys, at);
    let authorization = added.iter().find(|(name, _)| *name == "authorization").unwrap().1.expose();
    assert_eq!(
        authorization,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
}

#[test]
fn services_other_than_s3_encode_twice() {
    assert_eq!(canonical_path("/a%20b//c/./d", "execute-api"), "/a%2520b/c/d");
    assert_eq!(canonical_path("/a+b", "execute-api"), "/a%2Bb");
    assert_eq!(canonical_query("b=2&a=%7e+x&a&b=1", "execute-api"), "a=&a=~%20x&b=1&b=2");
}

/// `tests/gateway/credentials.test.mjs` compares the same inputs with aws4fetch.
#[test]
fn s3_reads_a_plus_as_a_space_and_takes_the_first_of_a_name() {
    assert_eq!(canonical_path("/a%20b//c+d", "s3"), "/a%20b//c%20d");
    assert_eq!(canonical_path("/c%2Bd", "s3"), "/c%2Bd");
    assert_eq!(canonical_query("b=0&a=2&a=1&%61=0", "s3"), "a=2&b=0");
    for service in ["s3", "execute-api"] {
        assert_eq!(canonical_query("=1&b=2&&=", service), "b=2", "{service}: a parameter without a name");
    }
}

#[test]
fn a_clients_own_signature_is_taken_out_of_the_query() {
    let presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&versionId=a%20b&x-amz-credential=AKID&X-Amz-Date=d&\
                     X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&x-id=GetObject&\
                     %58-Amz-Signature=s";
    assert_eq!(query_without_signature(presigned).as_deref(), Some("versionId=a%20b&x-id=GetObject"));
    assert_eq!(query_without_signature("AWSAccessKeyId=a&Signature=s&Expires=1"), None);
    assert_eq!(query_without_signature("expires=1&signature=s").as_deref(), Some("expires=1&signature=s"));
}

#[test]
fn a_clients_digest_is_taken_only_if_it_is_one() {
    let digest = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
    assert_eq!(stated_digest(digest), Some(digest.to_ascii_lowercase()));
    for other in ["UNSIGNED-PAYLOAD", UNSIGNED_TRAILER, "", &digest[1..]] {
        assert_eq!(stated_digest(other), None, "{other}");
    }
}
