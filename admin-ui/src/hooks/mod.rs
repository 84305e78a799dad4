mod use_interval_while_visible;
mod use_remote;
mod use_title;

pub use use_interval_while_visible::use_interval_while_visible;
pub use use_remote::{AsyncState, use_remote};
pub use use_title::use_title;
