//! Alerts that leave the building: which there are, who gets them, how often, and in which form.
//!
//! | room | holds |
//! |---|---|
//! | [`event`] | what is reported, and what of it a channel asks for |
//! | [`channel`] | the kinds of receivers, and the check of their addresses |
//! | [`watch`] | when a budget, a route, a token or a database is worth an alert |
//! | [`fold`] | several alerts in one, so that nobody gets a flood |
//! | [`plan`] | from what has happened to deliveries |
//! | [`place`] | where a token is used from, and whether that is new |
//! | [`retry`] | when a delivery is tried again, and when it is given up |
//! | [`message`] | the text, in the channel's language, and the page that it leads to |
//! | [`payload`] | the request to each kind of receiver |

/// Writes and reads an enum by its names. What `serde` derives is compiled again for each format, and much larger.
macro_rules! by_name {
    ($($type:ty),+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let unknown = || serde::de::Error::custom(["unknown variant `", &text, "`"].concat());
                Self::parse(&text).ok_or_else(unknown)
            }
        }
    )+};
}

pub mod channel;
pub mod event;
pub mod fold;
pub mod message;
pub mod payload;
pub mod place;
pub mod plan;
pub mod retry;
pub mod watch;
