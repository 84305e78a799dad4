//! A call through the gateway as data: everything about it that is decided without I/O.
//!
//! The gateway reads a call into a [`head::Head`], asks for a [`plan::Plan`], carries out its
//! requests ([`attempt`]), and changes the response's headers by [`reply`]. None of it knows a platform, so all of it is
//! tested natively.

pub mod again;
pub mod attempt;
pub mod failover;
pub mod head;
pub mod outgoing;
pub mod plan;
pub mod pool;
pub mod record;
pub mod reply;
