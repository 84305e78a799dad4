//! State that outlives a page.

pub mod preferences;
pub mod session;
pub mod toasts;
