//! Harnesses and faulty transports for tests.
