//! What a process may touch: from portable intent to an enforced sandbox.
pub mod glob;
pub mod intent;
pub mod places;
pub mod rules;
