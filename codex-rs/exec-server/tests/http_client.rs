//! One list of cases for whatever sends HTTP requests: this machine, a server over a WebSocket, and the reference's server
//! where it is at hand; and what is said about them on the wire.

#[macro_use]
mod support;

#[path = "http_client/place.rs"]
mod place;

#[path = "http_client/bodies.rs"]
mod bodies;
#[path = "http_client/exchange.rs"]
mod exchange;
#[path = "http_client/failures.rs"]
mod failures;
#[path = "http_client/keys.rs"]
mod keys;
#[path = "http_client/proxies.rs"]
mod proxies;
#[path = "http_client/redirects.rs"]
mod redirects;
#[path = "http_client/site.rs"]
mod site;
#[path = "http_client/tls.rs"]
mod tls;
#[path = "http_client/wire.rs"]
mod wire;
