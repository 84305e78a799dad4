//! The request to each kind of receiver.
//!
//! - Standard Webhooks: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//! - Slack: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
//! - Discord: <https://discord.com/developers/docs/resources/webhook#execute-webhook>
//! - Telegram: <https://core.telegram.org/bots/api#sendmessage>

use super::channel::{ChannelKind, Receiver, signing_key};
use super::message::Message;
use crate::encoding::base64;
use crate::id::TeamId;
use crate::mac;
use crate::secret::Secret;
use crate::time::{SECOND_MS, UnixMs, to_rfc3339};

/// A POST of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The address, which may be a secret.
    pub url: Secret,
    /// Headers in addition to the type of the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Makes the request that delivers `message` under `id`, sent at `now`. `telegram` is the address of Telegram's API.
/// `None` if the signing secret cannot be read.
pub fn post(
    receiver: &Receiver,
    message: &Message<'_>,
    id: &str,
    telegram: &str,
    now: UnixMs,
) -> Option<Post> {
    let Receiver { kind, address, secret } = receiver;
    let (url, body) = match kind {
        ChannelKind::Webhook => (address.clone(), webhook(message)),
        ChannelKind::Slack => (address.clone(), slack(message)),
        ChannelKind::Discord => (address.clone(), discord(message)),
        ChannelKind::Telegram => {
            let url = [telegram.trim_end_matches('/'), "/bot", secret.expose(), "/sendMessage"].concat();
            (Secret::new(url), telegram_message(message, address.expose()))
        }
    };
    let headers = if *kind == ChannelKind::Webhook { signed(secret, id, &body, now)? } else { vec![] };
    Some(Post { url, headers, body })
}

fn signed(secret: &Secret, id: &str, body: &str, now: UnixMs) -> Option<Vec<(&'static str, String)>> {
    let timestamp = (now / SECOND_MS).to_string();
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body.as_bytes()];
    let tag = mac::tag(&signing_key(secret)?, &parts)?;
    Some(vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", ["v1,", &base64(&tag)].concat()),
    ])
}

/// Writes a text as JSON, or `null`.
fn json(text: Option<&str>) -> String {
    serde_json::to_string(&text).unwrap_or_default()
}

/// `type`, `timestamp` and `data`, as Standard Webhooks recommends.
fn webhook(message: &Message<'_>) -> String {
    let Message { alert, more, text, link, .. } = message;
    [
        "{\"type\":",
        &json(Some(alert.event.as_str())),
        ",\"timestamp\":",
        &json(to_rfc3339(alert.at).as_deref()),
        ",\"data\":{\"subject\":",
        &json(Some(&alert.subject)),
        ",\"team_id\":",
        &json(alert.team.as_ref().map(TeamId::as_str)),
        ",\"text\":",
        &json(Some(text)),
        ",\"link\":",
        &json(link.as_deref()),
        ",\"more\":",
        &more.to_string(),
        ",\"details\":",
        &serde_json::to_string(&alert.details).unwrap_or_default(),
        "}}",
    ]
    .concat()
}

/// Slack reads `&`, `<` and `>` as its own.
fn slack(message: &Message<'_>) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = escaped(&message.text);
    if let Some(link) = &message.link {
        text.push_str(&["\n<", &escaped(link).replace('|', "%7C"), "|", message.link_name, ">"].concat());
    }
    ["{\"text\":", &json(Some(&text)), ",\"unfurl_links\":false,\"unfurl_media\":false}"].concat()
}

/// Discord reads Markdown, and mentions nobody.
fn discord(message: &Message<'_>) -> String {
    let mut text = String::new();
    for c in message.text.chars() {
        if "\\*_~`|>[]()#@<".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    if let Some(link) = &message.link {
        text.push_str(&["\n[", message.link_name, "](<", link, ">)"].concat());
    }
    let text: String = text.chars().take(2_000).collect();
    ["{\"content\":", &json(Some(&text)), ",\"allowed_mentions\":{\"parse\":[]}}"].concat()
}

/// Telegram gets plain text, in which nothing can be marked up.
fn telegram_message(message: &Message<'_>, chat: &str) -> String {
    let mut text = message.text.clone();
    if let Some(link) = &message.link {
        text.push_str(&["\n", link].concat());
    }
    let chat = json(Some(chat));
    let options = ",\"link_preview_options\":{\"is_disabled\":true}}";
    ["{\"chat_id\":", &chat, ",\"text\":", &json(Some(&text)), options].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::channel::{Language, Target};
    use crate::alert::event::{Alert, Event};
    use serde_json::{Value, json};

    fn alert(name: &str) -> Alert {
        let details = json!({"name": name, "step": 3, "expires_at": 1_790_000_000_000_i64});
        Alert {
            event: Event::TokenEnds,
            subject: "tok_1".to_owned(),
            team: Some("ops".into()),
            details,
            at: 0,
        }
    }

    fn posted(target: &Value, name: &str) -> (Post, Value) {
        let alert = alert(name);
        let message =
            Message::new(&alert, "tok_1", 2, Language::English, Some("https://ui.example"), alert.at);
        let target: Target = serde_json::from_value(target.clone()).unwrap();
        let (receiver, _) = target.check(false, &mut vec![]);
        let post = post(&receiver, &message, "msg_1", "https://api.telegram.org", 1_614_265_330_000).unwrap();
        let body = serde_json::from_str(&post.body).unwrap();
        (post, body)
    }

    #[test]
    fn a_webhook_is_signed_over_id_time_and_body() {
        let target = json!({"kind": "webhook", "url": "https://n8n.example/webhook/a", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
        let (Post { url, headers, body }, json) = posted(&target, "a");
        assert_eq!(url.expose(), "https://n8n.example/webhook/a");
        let key = crate::encoding::from_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let tag = mac::tag(&key, &[b"msg_1.1614265330.", body.as_bytes()]).unwrap();
        assert_eq!(
            headers,
            [
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", "1614265330".to_owned()),
                ("webhook-signature", format!("v1,{}", base64(&tag)))
            ]
        );
        assert_eq!(json["type"], "token-ends");
        assert_eq!(json["timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!((&json["data"]["subject"], &json["data"]["more"]), (&json!("tok_1"), &json!(2)));
        assert_eq!(json["data"]["link"], "https://ui.example/tokens/tok_1");
    }

    /// The vector of the specification's libraries: <https://docs.svix.com/receiving/verifying-payloads/how-manual>.
    #[test]
    fn the_signature_is_that_of_the_published_example() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let headers =
            signed(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#, 1_614_265_330_000);
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers.unwrap().last(), Some(&("webhook-signature", wanted.to_owned())));
    }

    #[test]
    fn a_name_is_neither_a_mention_nor_markup() {
        let (_, slack) = posted(
            &json!({"kind": "slack", "url": "https://hooks.example/a"}),
            "<!channel> & <https://evil.example|x>",
        );
        let text = slack["text"].as_str().unwrap();
        assert!(text.contains("“&lt;!channel&gt; &amp; &lt;https://evil.example|x&gt;”"), "{text}");
        assert!(text.ends_with("\n<https://ui.example/tokens/tok_1|Open in Token Manager>"), "{text}");
        let (_, discord) = posted(
            &json!({"kind": "discord", "url": "https://discord.example/a"}),
            "@everyone [x](https://evil.example)",
        );
        assert!(discord["content"].as_str().unwrap().contains(r"“\@everyone \[x\]\(https://evil.example\)”"));
        assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
        let target = json!({"kind": "telegram", "token": "1:abcdefghijklmnopqrstu", "chat": "-5"});
        let (post, telegram) = posted(&target, "<b>");
        assert_eq!(post.url.expose(), "https://api.telegram.org/bot1:abcdefghijklmnopqrstu/sendMessage");
        assert!(telegram["text"].as_str().unwrap().contains("“<b>”") && telegram.get("parse_mode").is_none());
        assert_eq!(telegram["chat_id"], "-5");
        assert!(!format!("{post:?}").contains("abcdefg"));
    }

    #[test]
    fn the_longest_texts_fit() {
        let long = "&".repeat(9_999);
        for (target, field, most) in [
            (json!({"kind": "slack", "url": "https://hooks.example/a"}), "text", 40_000),
            (json!({"kind": "discord", "url": "https://discord.example/a"}), "content", 2_000),
            (json!({"kind": "telegram", "token": "1:abcdefghijklmnopqrstu", "chat": "1"}), "text", 4_096),
        ] {
            let (_, body) = posted(&target, &long);
            assert!(body[field].as_str().unwrap().chars().count() <= most, "{field}");
        }
    }
}
