//! A role of AWS that keys assume, and the temporary keys in the response of STS's `AssumeRole`
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).

use super::{AwsKeys, InvalidCredential, invalid, word};
use crate::problem::Invalid;
use crate::secret::Secret;
use crate::time::{UnixMs, parse_v1};
use crate::upstream::address::{AddressRules, UpstreamUrl};
use serde::{Deserialize, Serialize};

/// The longest life of a session, in ms.
const MAX_LIFE_MS: i64 = 43_200_000;

/// A role, and how it is assumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssumedRole {
    /// The role's ARN, such as `arn:aws:iam::123456789012:role/reader`.
    pub arn: String,
    /// The external id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name of the session in AWS's logs; by default `token-manager`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// Address of STS if it is not that of the region at AWS; other S3 stores have one, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_url: Option<String>,
}

impl AssumedRole {
    /// Returns a text that tells roles, and ways to assume them, apart.
    pub(super) fn id(&self) -> String {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let (id, name) = (or_empty(&self.external_id), or_empty(&self.session_name));
        [self.arn.clone(), id, name, or_empty(&self.sts_url)].join("\n")
    }

    pub(super) fn validate(&self, rules: AddressRules) -> Result<(), InvalidCredential> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-:/".contains(c);
        let is_name = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
        word("role.arn", &self.arn, is_part)?;
        if !self.arn.starts_with("arn:") || !self.arn.contains(":role/") {
            return Err(invalid("role.arn", &Invalid::RoleArn));
        }
        if let Some(id) = &self.external_id {
            word("role.external_id", id, is_part)?;
            if id.len() < 2 {
                return Err(invalid("role.external_id", &Invalid::Length { least: 2, most: 255 }));
            }
        }
        if let Some(name) = &self.session_name {
            word("role.session_name", name, is_name)?;
            if !(2..=64).contains(&name.len()) {
                return Err(invalid("role.session_name", &Invalid::Length { least: 2, most: 64 }));
            }
        }
        match &self.sts_url {
            // The gateway reads hosts in ASCII alone.
            Some(url) if !url.is_ascii() || UpstreamUrl::parse(url, rules).is_err() => {
                Err(invalid("role.sts_url", &Invalid::TokenUrl))
            }
            _ => Ok(()),
        }
    }
}

impl AwsKeys {
    /// Returns the keys of a session, as [`session`] reads it, with this region and service.
    #[must_use]
    pub fn with_session(&self, session: &Secret) -> Self {
        let mut parts = session.expose().split('\n').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            access_key_id: next(),
            secret_access_key: Secret::new(next()),
            session_token: Some(Secret::new(next())),
            region: self.region.clone(),
            service: self.service.clone(),
            role: None,
        }
    }
}

/// Reads the temporary keys from STS's response: id, key and token, a line each, and their life in ms.
pub(super) fn session(xml: &str, asked_at: UnixMs) -> Option<(Secret, Option<i64>)> {
    let element = |name: &str| {
        let (_, from) = xml.split_once(&["<", name, ">"].concat())?;
        let (value, _) = from.split_once(&["</", name, ">"].concat())?;
        let value = value.trim();
        let is_plain = |c: char| ('\u{21}'..='\u{7e}').contains(&c) && !matches!(c, '<' | '&');
        Some(value).filter(|value| !value.is_empty() && value.chars().all(is_plain))
    };
    let keys = [element("AccessKeyId")?, element("SecretAccessKey")?, element("SessionToken")?].join("\n");
    let ends_at = parse_v1(element("Expiration")?)?;
    Some((Secret::new(keys), Some((ends_at - asked_at).clamp(0, MAX_LIFE_MS))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Credential;
    use serde_json::{Value, json};

    const ARN: &str = "arn:aws:iam::123456789012:role/a/reader";

    fn in_region(region: &str, role: &Value) -> AwsKeys {
        let json = json!({"kind": "aws_sigv4", "access_key_id": "AKID", "secret_access_key": "s3cret",
            "region": region, "service": "s3", "role": role});
        match serde_json::from_value::<Credential>(json).unwrap() {
            Credential::AwsSigv4(keys) => keys,
            other => panic!("{other:?}"),
        }
    }

    fn keys(role: &Value) -> AwsKeys {
        in_region("eu-west-1", role)
    }

    #[test]
    fn the_request_names_the_role_and_is_signed_for_sts() {
        let sent =
            keys(&json!({"arn": ARN, "external_id": "x=1", "session_name": "n8n"})).assume(1_700_000_000_000);
        let sent = sent.unwrap();
        assert_eq!(
            sent.body.expose(),
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa%2Freader&RoleSessionName=n8n&ExternalId=x%3D1"
        );
        let authorization = sent.headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        let text = authorization.1.expose();
        assert!(text.contains("Credential=AKID/20231114/eu-west-1/sts/aws4_request"), "{text}");
        assert!(text.contains("SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,"), "{text}");
        let plain = keys(&json!({"arn": ARN})).assume(0).unwrap();
        assert!(plain.body.expose().ends_with("&RoleSessionName=token-manager"));
        assert_eq!(keys(&Value::Null).assume(0), None);
    }

    #[test]
    fn sts_is_that_of_the_region_in_its_partition_unless_another_is_named() {
        for (region, url) in [
            ("eu-west-1", "https://sts.eu-west-1.amazonaws.com/"),
            ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com/"),
            ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/"),
            ("eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu/"),
        ] {
            assert_eq!(in_region(region, &json!({"arn": ARN})).assume(0).unwrap().url, url);
        }
        let own = json!({"arn": ARN, "sts_url": "https://minio.example:9000"});
        assert_eq!(keys(&own).assume(0).unwrap().url, "https://minio.example:9000/");
    }

    #[test]
    fn a_session_is_read_whole_or_refused() {
        let xml = |token: &str| {
            format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\n<SecretAccessKey>a/b+c=</SecretAccessKey>{token}<Expiration>1970-01-01T00:15:01Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            )
        };
        let (read, life) = session(&xml("<SessionToken> t/+= </SessionToken>"), 1_000).unwrap();
        assert_eq!((read.expose(), life), ("ASIA\na/b+c=\nt/+=", Some(900_000)));
        let signs = keys(&json!({"arn": ARN})).with_session(&read);
        assert_eq!((signs.access_key_id.as_str(), signs.service.as_str(), signs.role), ("ASIA", "s3", None));
        assert_eq!(signs.session_token.unwrap().expose(), "t/+=");
        for bad in
            ["", "<SessionToken></SessionToken>", "<SessionToken>a&amp;b</SessionToken>", "<SessionToken>a"]
        {
            assert!(session(&xml(bad), 0).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_role_that_sts_would_refuse_is_refused_by_field() {
        for (role, field) in [
            (json!({"arn": "reader"}), "role.arn"),
            (json!({"arn": "arn:aws:iam::1:user/x"}), "role.arn"),
            (json!({"arn": "arn:aws:iam::1:role/x y"}), "role.arn"),
            (json!({"arn": ARN, "external_id": "x"}), "role.external_id"),
            (json!({"arn": ARN, "session_name": "x"}), "role.session_name"),
            (json!({"arn": ARN, "session_name": "a/b"}), "role.session_name"),
            (json!({"arn": ARN, "sts_url": "https://169.254.169.254/"}), "role.sts_url"),
            (json!({"arn": ARN, "sts_url": "https://sts.bücher.example/"}), "role.sts_url"),
        ] {
            assert_eq!(keys(&role).validate(false.into()).unwrap_err().field, field, "{role}");
        }
        assert_eq!(
            keys(&json!({"arn": ARN, "sts_url": "https://minio.example/"})).validate(false.into()),
            Ok(())
        );
    }
}
