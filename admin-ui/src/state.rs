pub mod preferences;
pub mod session;
pub mod toasts;
