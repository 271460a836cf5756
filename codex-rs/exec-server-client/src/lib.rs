//! The services over a connection.
