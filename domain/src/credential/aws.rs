//! The keys with which calls to AWS are signed ([`super::sigv4`]).

use super::role::AssumedRole;
use super::{InvalidCredential, header_secret, word};
use crate::secret::{Reveal, Secret};
use crate::upstream::address::AddressRules;
use serde::{Deserialize, Serialize};

/// Keys of an AWS principal, with the region and service that they sign for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct AwsKeys {
    /// Id of the key, which is no secret by itself.
    pub access_key_id: String,
    /// The key that signs.
    #[serde(serialize_with = "Reveal::reveal")]
    pub secret_access_key: Secret,
    /// Token of a temporary key.
    #[serde(default, serialize_with = "Reveal::reveal")]
    pub session_token: Option<Secret>,
    /// Such as `eu-west-1`.
    pub region: String,
    /// Such as `s3` or `execute-api`.
    pub service: String,
    /// The role that they assume (STS), and whose temporary keys then sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<AssumedRole>,
}

impl AwsKeys {
    pub(super) fn validate(&self, rules: AddressRules) -> Result<(), InvalidCredential> {
        word("access_key_id", &self.access_key_id, |c| c.is_ascii_alphanumeric() || c == '_')?;
        header_secret("secret_access_key", &self.secret_access_key)?;
        self.session_token.iter().try_for_each(|token| header_secret("session_token", token))?;
        let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        word("region", &self.region, is_slug)?;
        word("service", &self.service, is_slug)?;
        self.role.iter().try_for_each(|role| role.validate(rules))
    }
}
