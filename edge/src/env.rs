//! Variables and bindings.

use domain::vars::Vars;
use worker::Env;

/// The KV namespace both Workers share.
pub const TOKENS: &str = "TOKENS";
/// The queue that carries usage events.
pub const USAGE: &str = "USAGE";

/// An Analytics Engine dataset for the gateway's calls, where it is bound.
pub const METRICS: &str = "METRICS";

/// A Worker's variables and secrets.
#[derive(Debug)]
pub struct EnvVars<'a>(pub &'a Env);

impl Vars for EnvVars<'_> {
    /// A binding that is no string, such as a KV namespace, counts as unset.
    fn get(&self, name: &str) -> Option<String> {
        let value = js_sys::Reflect::get(self.0, &name.into()).ok()?;
        value.as_string().filter(|text| !text.is_empty())
    }
}
