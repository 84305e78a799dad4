use super::service_account::tests::key_file;
use super::*;

fn all() -> Vec<Credential> {
    let account = serde_json::json!({
        "kind": "google_service_account", "key_file": key_file(&[("project_id", "s3cret".into())]), "scope": "read",
    });
    let account = account.to_string();
    [
        r#"{"kind":"bearer","token":"s3cret"}"#,
        r#"{"kind":"header","name":"X-Api-Key","prefix":"Key ","value":"s3cret"}"#,
        r#"{"kind":"basic","username":"u","password":"s3cret"}"#,
        r#"{"kind":"query","parameter":"key","value":"s3cret"}"#,
        r#"{"kind":"headers","headers":[{"name":"X-Account","value":"a1"},{"name":"X-Key","value":"s3cret"}]}"#,
        r#"{"kind":"oauth2_client_credentials","token_url":"https://login.example/token","client_id":"c","client_secret":"s3cret","scope":"read"}"#,
        &account,
        r#"{"kind":"aws_sigv4","access_key_id":"AKID","secret_access_key":"s3cret","session_token":"s3cret","region":"eu-west-1","service":"s3"}"#,
    ]
    .iter()
    .map(|json| serde_json::from_str(json).unwrap())
    .collect()
}

#[test]
fn each_kind_survives_sealing_and_shows_nothing() {
    for credential in all() {
        credential.validate(false).unwrap();
        let plaintext = credential.to_plaintext().unwrap();
        assert_eq!(Credential::from_plaintext(plaintext.expose().as_bytes()), Some(credential.clone()));
        assert!(!format!("{credential:?} {:?}", credential.edit()).contains("s3cret"));
    }
}

#[test]
fn each_kind_edits_what_it_says() {
    let edits: Vec<(String, String)> = all()
        .iter()
        .flat_map(|c| match c.edit() {
            CredentialEdit::SetHeaders(headers) => {
                headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
            }
            CredentialEdit::SetQuery { parameter, value } => {
                vec![(format!("?{parameter}"), value.expose().to_owned())]
            }
            CredentialEdit::FetchToken(_) | CredentialEdit::Sign(_) => vec![],
        })
        .collect();
    let wanted = [
        ("authorization", "Bearer s3cret"),
        ("x-api-key", "Key s3cret"),
        ("authorization", "Basic dTpzM2NyZXQ="),
        ("?key", "s3cret"),
        ("x-account", "a1"),
        ("x-key", "s3cret"),
    ];
    assert_eq!(edits, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn values_that_cannot_be_sent_are_refused_by_field() {
    for (json, field) in [
        (r#"{"kind":"bearer","token":""}"#, "token"),
        (r#"{"kind":"bearer","token":"a\nb"}"#, "token"),
        (r#"{"kind":"bearer","token":"é"}"#, "token"),
        (r#"{"kind":"header","name":"Host","value":"a"}"#, "name"),
        (r#"{"kind":"header","name":"cf-ray","value":"a"}"#, "name"),
        (r#"{"kind":"header","name":"a b","value":"a"}"#, "name"),
        (r#"{"kind":"basic","username":"a:b","password":"a"}"#, "username"),
        (r#"{"kind":"query","parameter":"a&b","value":"a"}"#, "parameter"),
        (r#"{"kind":"headers","headers":[]}"#, "headers"),
        (r#"{"kind":"headers","headers":[{"name":"A","value":"a"},{"name":"a","value":"b"}]}"#, "headers"),
        (
            r#"{"kind":"oauth2_client_credentials","token_url":"https://127.0.0.1/","client_id":"c","client_secret":"a"}"#,
            "token_url",
        ),
        (
            r#"{"kind":"aws_sigv4","access_key_id":"A","secret_access_key":"a","region":"EU WEST","service":"s3"}"#,
            "region",
        ),
    ] {
        let credential: Credential = serde_json::from_str(json).unwrap();
        assert_eq!(credential.validate(false).unwrap_err().field, field, "{json}");
    }
    assert!(serde_json::from_str::<Credential>(r#"{"kind":"magic"}"#).is_err());
}
