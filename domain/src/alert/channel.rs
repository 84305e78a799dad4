//! Channels: the kinds of receivers, with the addresses and secrets that reach them.

use crate::encoding::from_base64;
use crate::error::FieldError;
use crate::problem::{Invalid, Problem};
use crate::secret::{Reveal, Secret};
use crate::upstream::address::{AddressRules, InvalidUpstream, UpstreamUrl};
use serde::{Deserialize, Serialize};

/// The beginning of a signing secret.
const SIGNING: &str = "whsec_";

/// The language of the texts that a channel gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Language {
    /// English.
    #[default]
    #[cfg_attr(feature = "schema", schemars(rename = "en"))]
    English,
    /// Traditional Chinese.
    #[cfg_attr(feature = "schema", schemars(rename = "zh-Hant"))]
    Chinese,
}

impl Language {
    /// Returns the name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hant",
        }
    }

    /// Reads the name on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::English, Self::Chinese].into_iter().find(|language| language.as_str() == text)
    }
}

/// The kind of a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "kebab-case"))]
pub enum ChannelKind {
    /// Signed JSON as the Standard Webhooks specification says.
    #[default]
    Webhook,
    /// Slack's incoming webhooks.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// A bot of Telegram.
    Telegram,
}

impl ChannelKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Slack, Self::Discord, Self::Telegram];

    /// Returns the name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Telegram => "telegram",
        }
    }

    /// Returns the fields of a receiver of this kind.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Webhook => &["url", "secret"],
            Self::Slack | Self::Discord => &["url"],
            Self::Telegram => &["token", "chat"],
        }
    }

    /// Reads the name on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A receiver as it is sent: its kind, and the fields of that kind. One flat struct, since reading a tagged enum would make
/// the Worker much larger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Target {
    /// Its kind.
    pub kind: ChannelKind,
    /// Address of a `webhook`, without a query; address of the incoming webhook of `slack` or `discord`, which is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub url: Option<Secret>,
    /// The signing secret of a `webhook`: `whsec_` and 24 to 64 bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub secret: Option<Secret>,
    /// Token of the bot of `telegram`.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub token: Option<Secret>,
    /// The chat of `telegram`: its id, or `@` and the name of a public channel.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub chat: Option<Secret>,
}

by_name!(Language, ChannelKind);
crate::revealed!(Target);

/// A receiver as it is sealed: its kind, its address and its secret. Nothing of it is shown but what [`Target::check`]
/// returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its kind.
    pub kind: ChannelKind,
    /// Its address, or the chat of Telegram.
    pub address: Secret,
    /// The signing secret or the bot's token; empty for the others.
    pub secret: Secret,
}

impl Target {
    /// Checks every field. Returns the receiver, and the part of its address that may be shown.
    pub fn check(&self, rules: impl Into<AddressRules>, errors: &mut Vec<FieldError>) -> (Receiver, String) {
        let (address, secret) = match self.kind {
            ChannelKind::Webhook => (&self.url, &self.secret),
            ChannelKind::Slack | ChannelKind::Discord => (&self.url, &None),
            ChannelKind::Telegram => (&self.chat, &self.token),
        };
        let given =
            [("url", &self.url), ("secret", &self.secret), ("token", &self.token), ("chat", &self.chat)];
        for (field, value) in given {
            if value.is_some() && !self.kind.fields().contains(&field) {
                errors.push(FieldError::new(["target.", field].concat(), Invalid::NotAcceptable));
            }
        }
        let of =
            |given: &Option<Secret>| Secret::new(given.as_ref().map_or("", Secret::expose).trim().to_owned());
        let receiver = Receiver { kind: self.kind, address: of(address), secret: of(secret) };
        let shown = receiver.check(rules.into(), errors);
        (receiver, shown)
    }
}

impl Receiver {
    /// Checks address and secret, by the rules for upstreams. Returns the part of the address that may be shown: of an
    /// address that is a secret, its origin.
    pub fn check(&self, rules: AddressRules, errors: &mut Vec<FieldError>) -> String {
        let mut refuse = |field: &str, why: Problem| errors.push(FieldError::new(field, why));
        let address = self.address.expose();
        match self.kind {
            ChannelKind::Webhook if signing_key(&self.secret).is_none() => {
                refuse("target.secret", Invalid::SigningSecret.into());
            }
            ChannelKind::Telegram if !is_bot_token(self.secret.expose()) => {
                refuse("target.token", Invalid::BotToken.into());
            }
            _ => {}
        }
        if self.kind == ChannelKind::Telegram {
            if !is_chat(address) {
                refuse("target.chat", Invalid::Chat.into());
            }
            return address.to_owned();
        }
        // A URL's parser drops line breaks, and the text is what is kept.
        let url = match UpstreamUrl::parse(address, rules) {
            Ok(url) if !address.contains(char::is_control) => url,
            Ok(_) => {
                refuse("target.url", InvalidUpstream::Syntax.into());
                return String::new();
            }
            Err(why) => {
                refuse("target.url", why.into());
                return String::new();
            }
        };
        if self.kind == ChannelKind::Webhook { url.into() } else { url.origin() }
    }

    /// Replaces every secret of it in a text from outside.
    pub fn redact(&self, text: &str) -> String {
        let (address, secret) = (self.address.expose(), self.secret.expose());
        let hidden = match self.kind {
            ChannelKind::Webhook | ChannelKind::Telegram => [secret.trim_start_matches(SIGNING), ""],
            // The part behind the origin is the secret, however it is quoted.
            ChannelKind::Slack | ChannelKind::Discord => {
                [address, address.splitn(4, '/').nth(3).unwrap_or_default()]
            }
        };
        let hidden = hidden.into_iter().filter(|secret| !secret.is_empty());
        hidden.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }

    /// Writes the plain text that is sealed: kind, address and secret, a line each.
    pub fn to_plaintext(&self) -> Secret {
        Secret::new([self.kind.as_str(), self.address.expose(), self.secret.expose()].join("\n"))
    }

    /// Reads the plain text that was sealed.
    pub fn from_plaintext(text: &str) -> Option<Self> {
        let mut lines = text.splitn(3, '\n');
        let kind = ChannelKind::parse(lines.next()?)?;
        let mut secret = || Some(Secret::new(lines.next()?.to_owned()));
        Some(Self { kind, address: secret()?, secret: secret()? })
    }
}

/// Reads the key in a signing secret.
pub(super) fn signing_key(secret: &Secret) -> Option<Vec<u8>> {
    let key = from_base64(secret.expose().strip_prefix(SIGNING)?)?;
    (24..=64).contains(&key.len()).then_some(key)
}

/// Whether a text has the form of a bot's token, so that it can stand in a path.
fn is_bot_token(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.len() <= 100
        && text.split_once(':').is_some_and(|(id, key)| {
            !id.is_empty()
                && id.bytes().all(|b| b.is_ascii_digit())
                && key.len() >= 20
                && key.bytes().all(is_word)
        })
}

fn is_chat(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_id = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let is_name = text
        .strip_prefix('@')
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    text.len() <= 64 && (is_id || is_name)
}

/// Returns the data that a sealed target is bound to: with another channel it cannot be opened.
pub fn associated_data(channel: &str) -> Vec<u8> {
    format!("token-manager channel v1\n{channel}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64;
    use serde_json::json;

    fn checked(target: &serde_json::Value) -> Result<String, Vec<String>> {
        let target: Target = serde_json::from_value(target.clone()).unwrap();
        let mut errors = vec![];
        let (_, shown) = target.check(false, &mut errors);
        if errors.is_empty() { Ok(shown) } else { Err(errors.into_iter().map(|error| error.field).collect()) }
    }

    fn receiver(target: serde_json::Value) -> Receiver {
        serde_json::from_value::<Target>(target).unwrap().check(false, &mut vec![]).0
    }

    #[test]
    fn what_is_shown_of_an_address_holds_no_secret() {
        let secret = format!("whsec_{}", base64(&[7; 32]));
        let webhook = json!({"kind": "webhook", "url": "https://n8n.example/webhook/a", "secret": secret});
        assert_eq!(checked(&webhook).unwrap(), "https://n8n.example/webhook/a");
        let slack = json!({"kind": "slack", "url": "https://hooks.slack.example/services/T0/B0/s3cret"});
        assert_eq!(checked(&slack).unwrap(), "https://hooks.slack.example");
        let discord = json!({"kind": "discord", "url": "https://discord.example/api/webhooks/1/s3cret"});
        assert_eq!(checked(&discord).unwrap(), "https://discord.example");
        let telegram = json!({"kind": "telegram", "token": "123:abcdefghijklmnopqrstu", "chat": "-100123"});
        assert_eq!(checked(&telegram).unwrap(), "-100123");
        for (target, shown) in [(webhook, secret.as_str()), (slack, "s3cret"), (discord, "s3cret")] {
            let receiver = receiver(target);
            assert!(!format!("{receiver:?}").contains(shown));
            let sealed = receiver.to_plaintext();
            assert!(sealed.expose().contains(shown), "it is sealed whole");
            assert_eq!(Receiver::from_plaintext(sealed.expose()), Some(receiver));
        }
    }

    #[test]
    fn a_response_that_repeats_a_secret_is_stored_without_it() {
        let slack =
            receiver(json!({"kind": "slack", "url": "https://hooks.slack.example/services/T0/s3cret"}));
        assert_eq!(slack.redact("no https://hooks.slack.example/services/T0/s3cret"), "no …");
        assert_eq!(slack.redact("no route to /services/T0/s3cret."), "no route to /….");
        let telegram = receiver(json!({"kind": "telegram", "token": "1:s3cret", "chat": "1"}));
        assert_eq!(telegram.redact("POST /bot1:s3cret/sendMessage"), "POST /bot…/sendMessage");
    }

    #[test]
    fn what_is_refused_is_named() {
        let secret = format!("whsec_{}", base64(&[7; 32]));
        let webhook = |url: &str, secret: &str| json!({"kind": "webhook", "url": url, "secret": secret});
        let telegram = |token: &str, chat: &str| json!({"kind": "telegram", "token": token, "chat": chat});
        let token = "1:abcdefghijklmnopqrstu";
        for (target, fields) in [
            (webhook("https://10.0.0.1/", &secret), vec!["target.url"]),
            (webhook("http://n8n.example/", &secret), vec!["target.url"]),
            (webhook("https://n8n.example/?a=b", &secret), vec!["target.url"]),
            (webhook("https://n8n.example/", "whsec_AAAA"), vec!["target.secret"]),
            (webhook("", "hunter2"), vec!["target.secret", "target.url"]),
            (webhook("https://n8n.example/a\nb", &secret), vec!["target.url"]),
            (json!({"kind": "webhook"}), vec!["target.secret", "target.url"]),
            (json!({"kind": "slack", "url": "https://hooks.example/x", "chat": "1"}), vec!["target.chat"]),
            (json!({"kind": "slack", "url": "https://localhost/x"}), vec!["target.url"]),
            (json!({"kind": "discord", "url": "https://u:p@discord.example/x"}), vec!["target.url"]),
            (telegram("1:short", "1"), vec!["target.token"]),
            (telegram("1/../x:abcdefghijklmnopqrstu", "1"), vec!["target.token"]),
            (telegram(token, ""), vec!["target.chat"]),
            (telegram(token, "@"), vec!["target.chat"]),
            (telegram(token, "1\n2"), vec!["target.chat"]),
        ] {
            assert_eq!(checked(&target), Err(fields.into_iter().map(str::to_owned).collect()), "{target}");
        }
        assert!(checked(&telegram(token, "@our_alerts")).is_ok());
    }

    #[test]
    fn names_are_those_on_the_wire() {
        for kind in ChannelKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(ChannelKind::parse(kind.as_str()), Some(kind));
        }
        for language in [Language::English, Language::Chinese] {
            assert_eq!(serde_json::to_value(language).unwrap(), language.as_str());
            assert_eq!(Language::parse(language.as_str()), Some(language));
        }
    }
}
