//! A credential as it is typed in. Secrets are written and never read back.

use crate::components::filled;
use crate::vendors::Vendor;
use domain::credential::oauth::{ClientAuth, ClientCredentials};
use domain::credential::pool::{LEAST, Member, Pool, ShownPool};
use domain::credential::role::AssumedRole;
use domain::credential::service_account::ServiceAccount;
use domain::credential::{AwsKeys, Credential, CredentialKind, HeaderValue};
use domain::secret::Secret;

/// A credential as it is typed in. It lives as long as the form that holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialDraft {
    pub choice: Choice,
    /// Name of the header or parameter, of the user, or of the key.
    pub name: String,
    pub prefix: String,
    pub secret: String,
    /// Further headers, each with its value.
    pub more: Vec<(String, String)>,
    pub token_url: String,
    pub scope: String,
    pub audience: String,
    pub is_in_body: bool,
    pub subject: String,
    pub session_token: String,
    pub region: String,
    pub service: String,
    pub role: RoleDraft,
    /// Whether the credentials of a pool are used in turn.
    pub in_turn: bool,
    /// The credentials of a pool.
    pub members: Vec<MemberDraft>,
}

/// The role that AWS's keys assume, as it is typed in; without an ARN there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleDraft {
    pub arn: String,
    pub external_id: String,
    pub session_name: String,
    pub sts_url: String,
}

impl RoleDraft {
    fn role(&self) -> Option<AssumedRole> {
        Some(AssumedRole {
            arn: filled(&self.arn)?,
            external_id: filled(&self.external_id),
            session_name: filled(&self.session_name),
            sts_url: filled(&self.sts_url),
        })
    }
}

/// A credential of a pool as it is typed in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberDraft {
    pub name: String,
    /// Whether the route's pool has it, so that it may stay as it is.
    pub is_stored: bool,
    pub credential: CredentialDraft,
}

impl MemberDraft {
    /// Makes one to be typed in.
    pub fn new() -> Self {
        let choice = Choice::Set(CredentialKind::Bearer);
        Self { credential: CredentialDraft { choice, ..CredentialDraft::default() }, ..Self::default() }
    }

    fn stored(name: String) -> Self {
        Self { name, is_stored: true, credential: CredentialDraft::default() }
    }
}

/// The kind to set, or another action on the credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Leaves the credential as it is; a new route has none.
    #[default]
    Keep,
    Clear,
    Set(CredentialKind),
}

impl Choice {
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Clear => "clear",
            Self::Set(kind) => kind.as_str(),
        }
    }

    pub fn of(name: &str) -> Self {
        let kind = CredentialKind::ALL.iter().copied().find(|kind| kind.as_str() == name);
        match (name, kind) {
            ("clear", _) => Self::Clear,
            (_, Some(kind)) => Self::Set(kind),
            _ => Self::Keep,
        }
    }
}

impl CredentialDraft {
    /// Returns the credential that a vendor asks for, without its secret.
    pub fn for_vendor(vendor: &Vendor) -> Self {
        Self {
            choice: Choice::Set(vendor.credential),
            name: vendor.header.to_owned(),
            region: vendor.region.to_owned(),
            service: vendor.service.to_owned(),
            ..Self::default()
        }
    }

    /// Takes a choice. A pool begins with the credentials that are `stored`, or with two to be typed in.
    pub fn choose(&mut self, choice: Choice, stored: Option<&ShownPool>) {
        self.choice = choice;
        if choice == Choice::Set(CredentialKind::Pool) && self.members.is_empty() {
            let kept = stored.into_iter().flat_map(|pool| &pool.members);
            self.members = kept.map(|member| MemberDraft::stored(member.name.clone())).collect();
            self.members.resize_with(self.members.len().max(LEAST), MemberDraft::new);
            self.in_turn = stored.is_some_and(|pool| pool.in_turn);
        }
    }

    /// Returns what was typed in, but for the secrets. The credentials of a pool have been stored by then.
    pub fn without_secrets(&self) -> Self {
        let (secret, more, session_token) = <_>::default();
        let members = self.members.iter().map(|member| MemberDraft::stored(member.name.clone())).collect();
        Self { secret, more, session_token, members, ..self.clone() }
    }

    /// Whether an error of this field is none, because the stored credential stays.
    pub fn keeps(&self, field: &str) -> bool {
        let is_kept = |(i, member): (usize, &MemberDraft)| {
            member.is_stored
                && member.credential.choice == Choice::Keep
                && field == format!("credential.members.{i}.credential")
        };
        self.members.iter().enumerate().any(is_kept)
    }

    /// Returns the credential to set. The same kind as `present` with a blank secret keeps the current one.
    pub fn credential(&self, present: Option<CredentialKind>) -> Option<Credential> {
        let Choice::Set(kind) = self.choice else { return None };
        if present == Some(kind) && self.secret.is_empty() && kind != CredentialKind::Pool {
            return None;
        }
        let (name, secret) = (self.name.trim().to_owned(), Secret::new(self.secret.clone()));
        Some(match kind {
            CredentialKind::Bearer => Credential::Bearer { token: secret },
            CredentialKind::Header => {
                let prefix = Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty());
                Credential::Header { name, prefix, value: secret }
            }
            CredentialKind::Basic => Credential::Basic { username: name, password: secret },
            CredentialKind::Query => Credential::Query { parameter: name, value: secret },
            CredentialKind::Headers => {
                let more = self.more.iter().map(|(name, value)| HeaderValue {
                    name: name.trim().to_owned(),
                    value: Secret::new(value.clone()),
                });
                let first = HeaderValue { name, value: secret };
                Credential::Headers { headers: std::iter::once(first).chain(more).collect() }
            }
            CredentialKind::Oauth2ClientCredentials => {
                Credential::Oauth2ClientCredentials(ClientCredentials {
                    token_url: self.token_url.trim().to_owned(),
                    client_id: name,
                    client_secret: secret,
                    scope: filled(&self.scope),
                    audience: filled(&self.audience),
                    client_auth: if self.is_in_body { ClientAuth::Body } else { ClientAuth::Basic },
                })
            }
            CredentialKind::GoogleServiceAccount => Credential::GoogleServiceAccount(ServiceAccount {
                key_file: secret,
                scope: filled(&self.scope),
                subject: filled(&self.subject),
            }),
            CredentialKind::AwsSigv4 => Credential::AwsSigv4(AwsKeys {
                access_key_id: name,
                secret_access_key: secret,
                session_token: filled(&self.session_token).map(Secret::new),
                region: self.region.trim().to_owned(),
                service: self.service.trim().to_owned(),
                role: self.role.role(),
            }),
            CredentialKind::Pool => {
                let members = self.members.iter().map(|member| Member {
                    name: member.name.trim().to_owned(),
                    credential: member.credential.credential(None),
                });
                Credential::Pool(Pool { in_turn: self.in_turn, members: members.collect() })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::secret::Revealed;

    fn draft(choice: Choice, name: &str, secret: &str) -> CredentialDraft {
        CredentialDraft {
            choice,
            name: name.into(),
            secret: secret.into(),
            more: vec![("X-Account".into(), "a".into())],
            token_url: "https://login.example/token".into(),
            region: "eu-west-1".into(),
            service: "s3".into(),
            role: RoleDraft { arn: "arn:aws:iam::123456789012:role/x".into(), ..RoleDraft::default() },
            members: ["one", "two"].map(member).to_vec(),
            ..CredentialDraft::default()
        }
    }

    fn secret_of(kind: CredentialKind) -> &'static str {
        // A key file of the right shape, whose key is no key.
        match kind {
            CredentialKind::GoogleServiceAccount => {
                r#"{"type":"service_account","client_email":"a@p.example","token_uri":"https://login.example/token",
                "private_key":"-----BEGIN PRIVATE KEY-----\nMIIBAAIBADANBgkqhkiG9w0BAQEFAAQA\n-----END PRIVATE KEY-----\n"}"#
            }
            _ => "s3cret",
        }
    }

    fn member(name: &str) -> MemberDraft {
        let mut member = MemberDraft { name: name.into(), ..MemberDraft::new() };
        member.credential.secret = "s3cret".into();
        member
    }

    #[test]
    fn a_pool_keeps_the_credentials_that_are_not_typed_in_again() {
        let stored: ShownPool = serde_json::from_value(serde_json::json!({"in_turn": true,
            "members": [{"name": "one", "kind": "bearer"}, {"name": "two", "kind": "bearer"}]}))
        .unwrap();
        let mut draft = CredentialDraft::default();
        draft.choose(Choice::Set(CredentialKind::Pool), Some(&stored));
        draft.members.push(member("three"));
        let sent = draft.credential(Some(CredentialKind::Pool)).unwrap();
        assert_eq!(
            serde_json::to_value(Revealed(&sent)).unwrap(),
            serde_json::json!({"kind": "pool", "in_turn": true, "members": [{"name": "one"}, {"name": "two"},
                {"name": "three", "credential": {"kind": "bearer", "token": "s3cret"}}]})
        );
        assert!(
            draft.keeps("credential.members.1.credential") && !draft.keeps("credential.members.2.credential")
        );
        assert!(!format!("{:?}", draft.without_secrets()).contains("s3cret"));
    }

    #[test]
    fn the_api_accepts_each_kind() {
        for kind in CredentialKind::ALL.iter().copied() {
            let draft = draft(Choice::Set(kind), "XVendor", secret_of(kind));
            let credential = draft.credential(None).unwrap();
            assert_eq!(credential.kind(), kind);
            let mut errors = vec![];
            contract::routes::check_credential("", &credential, false, &mut errors);
            assert_eq!(errors, [], "{kind:?}");
            let sent = serde_json::to_string(&Revealed(&credential)).unwrap();
            assert_eq!(serde_json::from_str::<Credential>(&sent).unwrap(), credential, "{kind:?}");
            assert_eq!(Choice::of(draft.choice.name()), draft.choice);
        }
    }

    #[test]
    fn a_blank_secret_keeps_what_is_set_and_is_refused_if_nothing_is() {
        let blank = draft(Choice::Set(CredentialKind::Bearer), "", "");
        assert_eq!(blank.credential(Some(CredentialKind::Bearer)), None);
        let refused = |present| blank.credential(present).unwrap().validate(false).unwrap_err().field;
        assert_eq!(refused(None), "token");
        // Parity fault 11: changing the type dropped the credential; here it requires a new one.
        assert_eq!(refused(Some(CredentialKind::Basic)), "token");
    }
}
