//! The pages. They fetch data; components draw it.

mod audit;
mod calls;
mod channels;
mod first_run;
mod health;
mod home;
mod import;
mod keys;
mod moved;
mod not_found;
mod people;
mod prices;
pub mod routes;
mod sign_in;
mod teams;
pub mod tokens;
pub mod usage;
mod waiting;

pub use audit::{AuditPage, AuditVerifyPage};
pub use calls::CallsPage;
pub use channels::ChannelsPage;
pub use first_run::FirstRun;
pub use health::HealthPage;
pub use home::{HomePage, home};
pub use import::ImportPage;
pub use keys::KeysPage;
pub use moved::MovedPage;
pub use not_found::NotFoundPage;
pub use people::UsersPage;
pub use prices::PricesPage;
pub use routes::{RoutePage, RoutesPage};
pub use sign_in::SignInPage;
pub use teams::{TeamPage, TeamsPage};
pub use tokens::{TokenPage, TokensPage};
pub use usage::ExplorerPage;
pub use waiting::WaitingPage;
