use super::service_account::tests::key_file;
use super::*;

const ROLE: &str = r#"{"kind":"aws_sigv4","access_key_id":"AKID","secret_access_key":"s3cret","region":"eu-west-1","service":"s3","role":{"arn":"arn:aws:iam::123456789012:role/reader"}}"#;

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
        ROLE,
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
        (&ROLE.replace("arn:", "role:"), "role.arn"),
    ] {
        let credential: Credential = serde_json::from_str(json).unwrap();
        assert_eq!(credential.validate(false).unwrap_err().field, field, "{json}");
    }
    assert!(serde_json::from_str::<Credential>(r#"{"kind":"magic"}"#).is_err());
    assert!(
        serde_json::from_str::<Credential>(r#"["bearer","s3cret"]"#).is_err(),
        "a list of tag and fields"
    );
}

fn pool() -> Credential {
    serde_json::from_str(
        r#"{"kind":"pool","in_turn":true,"members":[
            {"name":"a","credential":{"kind":"bearer","token":"s3cret-a"}},
            {"name":"b","credential":{"kind":"header","name":"X-Key","value":"s3cret-b"}}]}"#,
    )
    .unwrap()
}

#[test]
fn a_pool_survives_its_seal_and_a_version_without_pools_reads_its_first_credential() {
    let text = pool().to_plaintext().unwrap();
    assert_eq!(Credential::from_plaintext(text.expose().as_bytes()).unwrap(), pool());
    let sealed: serde_json::Value = serde_json::from_str(text.expose()).unwrap();
    assert_eq!((&sealed["kind"], &sealed["token"]), (&"bearer".into(), &"s3cret-a".into()));
    assert_eq!(sealed.get("critical"), None, "so `pool` is ignored as any field of a newer version");
    let secrets: Vec<_> = pool().secrets().iter().map(|secret| secret.expose().to_owned()).collect();
    assert_eq!(secrets, ["s3cret-a", "s3cret-b"]);
    assert!(!format!("{:?}", pool()).contains("s3cret"));
}

#[test]
fn an_older_version_does_not_sign_with_the_keys_of_a_role() {
    let sealed = |json: String| {
        let credential: Credential = serde_json::from_str(&json).unwrap();
        let text = credential.to_plaintext().unwrap();
        assert_eq!(Credential::from_plaintext(text.expose().as_bytes()), Some(credential));
        serde_json::from_str::<serde_json::Value>(text.expose()).unwrap()
    };
    let critical = serde_json::json!(["role"]);
    assert_eq!(sealed(ROLE.to_owned())["critical"], critical);
    let bearer = r#"{"kind":"bearer","token":"t"}"#;
    let pool = |first: &str, second: &str| {
        sealed(format!(
            r#"{{"kind":"pool","members":[{{"name":"a","credential":{first}}},{{"name":"b","credential":{second}}}]}}"#
        ))
    };
    let first = pool(ROLE, bearer);
    assert_eq!(
        (&first["critical"], &first["pool"]["members"][0]["credential"]["critical"]),
        (&critical, &critical)
    );
    let second = pool(bearer, ROLE);
    assert_eq!(
        (second.get("critical"), &second["pool"]["members"][1]["credential"]["critical"]),
        (None, &critical)
    );
}

#[test]
fn a_credential_of_a_pool_that_this_version_cannot_read_is_left_out() {
    let read = |members: &str| {
        let text =
            format!(r#"{{"kind":"bearer","token":"x","pool":{{"kind":"pool","members":[{members}]}}}}"#);
        let Credential::Pool(pool) = Credential::from_plaintext(text.as_bytes())? else { panic!("no pool") };
        Some(pool.each().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
    };
    let newer = r#"{"name":"n","credential":{"kind":"newer","key":"k"}}"#;
    let critical = r#"{"name":"c","credential":{"kind":"bearer","token":"t","x":1,"critical":["x"]}}"#;
    let known = r#"{"name":"k","credential":{"kind":"bearer","token":"t","note":1}}"#;
    let nested = r#"{"name":"p","credential":{"kind":"pool","members":[]}}"#;
    assert_eq!(read(&[newer, critical, nested, known].join(",")).unwrap(), ["k"]);
    assert_eq!(read(newer), None, "nothing is left to send");
}

#[test]
fn each_bad_value_of_a_pool_is_named() {
    let fields = |members: serde_json::Value| {
        let pool: Pool = serde_json::from_value(serde_json::json!({ "members": members })).unwrap();
        let mut errors = vec![];
        pool.check("credential.", false.into(), &mut errors);
        errors.into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    let bearer = |token: &str| serde_json::json!({ "kind": "bearer", "token": token });
    let named = |name: &str| serde_json::json!({ "name": name, "credential": bearer("t") });
    assert_eq!(fields(serde_json::json!([named("a"), named("b")])), [""; 0]);
    assert_eq!(fields(serde_json::json!([named("a")])), ["credential.members"]);
    assert_eq!(fields(vec![named("a"); 9].into()).first().unwrap(), "credential.members");
    let nested = serde_json::json!({ "name": "n", "credential": { "kind": "pool", "members": [] } });
    let blank = serde_json::json!({ "name": "c", "credential": bearer("") });
    assert_eq!(
        fields(serde_json::json!([named("a b"), named("a"), named("a"), { "name": "k" }, blank, nested])),
        [
            "credential.members.0.name",
            "credential.members.2.name",
            "credential.members.3.credential",
            "credential.members.4.credential.token",
            "credential.members.5.credential.kind",
        ]
    );
}

#[test]
fn what_a_change_of_a_pool_leaves_out_stays_by_its_name() {
    let Credential::Pool(stored) = pool() else { panic!("no pool") };
    let mut changed: Pool = serde_json::from_str(
        r#"{"members":[{"name":"b"},{"name":"new"},{"name":"a","credential":{"kind":"bearer","token":"other"}}]}"#,
    )
    .unwrap();
    assert!(changed.keeps_any() && !stored.keeps_any());
    changed.fill(&stored);
    let kept = |name: &str| changed.each().find(|(known, _)| *known == name).map(|(_, one)| one.clone());
    assert_eq!(kept("b"), stored.each().nth(1).map(|(_, one)| one.clone()));
    assert_eq!(kept("new"), None, "which is then refused as missing");
    assert_eq!(kept("a").unwrap().secrets().first().unwrap().expose(), "other");
}
