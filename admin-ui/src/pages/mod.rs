mod health;
mod not_found;

pub use health::HealthPage;
pub use not_found::NotFoundPage;
