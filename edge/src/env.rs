//! Variables and bindings.

use domain::vars::Vars;
use worker::Env;

/// The queue that carries usage events.
pub const USAGE: &str = "USAGE";

/// An optional Analytics Engine dataset for the gateway's calls.
pub const METRICS: &str = "METRICS";

/// A Worker's variables and secrets.
#[derive(Debug)]
pub struct EnvVars<'a>(pub &'a Env);

impl Vars for EnvVars<'_> {
    /// Returns a variable's text. A binding that is not a string, such as a KV namespace, counts as unset.
    fn get(&self, name: &str) -> Option<String> {
        let value = js_sys::Reflect::get(self.0, &name.into()).ok()?;
        value.as_string().filter(|text| !text.is_empty())
    }
}

/// Defines `get(env)`, which returns the isolate's `$config`. The isolate's first call makes it with
/// `$read`; if that fails, the next call tries again.
#[macro_export]
macro_rules! isolate_config {
    ($config:ty, $read:expr) => {
        /// Returns the isolate's configuration. Plain data, so it may outlive the request that read it.
        pub fn get(env: &worker::Env) -> Result<std::rc::Rc<$config>, domain::vars::VarError> {
            use std::{cell::OnceCell, rc::Rc};
            std::thread_local!(static CONFIG: OnceCell<Rc<$config>> = const { OnceCell::new() });
            CONFIG.with(|cell| {
                if let Some(config) = cell.get() {
                    return Ok(Rc::clone(config));
                }
                let config = Rc::new($read(env)?);
                Ok(Rc::clone(cell.get_or_init(|| config)))
            })
        }
    };
}
