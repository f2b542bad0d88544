//! Near anomalies: normal log-Mel spectrograms with a small fault added, from which a network learns what a fault is.
//!
//! Each kind is a change of one log-Mel in dB, with a fixed list of parameters ([`Kind::columns`]); [`draw`] draws them
//! from a seed, [`near_anomaly`] applies them, and [`near_anomalies`] does both for a batch. Only additions,
//! multiplications, divisions and square roots, in an order that no vector width changes: every processor gives the
//! same bytes.

mod added;
mod batch;
mod draw;
mod kernel;
mod kind;
mod moved;

pub use batch::near_anomalies;
pub use draw::draw;
pub use kernel::{MAX_DB, near_anomaly};
pub use kind::{Column, Kind};
