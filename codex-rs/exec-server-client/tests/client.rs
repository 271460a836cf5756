//! The client as its callers see it, before a server that does exactly what the test says.

#[path = "client/acknowledging.rs"]
mod acknowledging;
#[path = "client/adopt.rs"]
mod adopt;
#[path = "client/binary.rs"]
mod binary;
#[path = "client/cold.rs"]
mod cold;
#[path = "client/fake.rs"]
mod fake;
#[path = "client/flow.rs"]
mod flow;
#[path = "client/http.rs"]
mod http;
#[path = "client/interleaving.rs"]
mod interleaving;
#[path = "client/lost_answers.rs"]
mod lost_answers;
#[path = "client/model.rs"]
mod model;
#[path = "client/peers.rs"]
mod peers;
#[path = "client/recovery.rs"]
mod recovery;
#[path = "client/requests.rs"]
mod requests;
#[path = "client/search.rs"]
mod search;
#[path = "client/subscribe.rs"]
mod subscribe;
#[path = "client/watch.rs"]
mod watch;
