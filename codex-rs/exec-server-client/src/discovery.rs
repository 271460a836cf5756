//! What a client finds out about the machine before it works there.
//!
//! All of it only looks, so each request is sent again when a connection is lost. What is to be looked for, and what the
//! answers mean, is the caller's matter.

use codex_exec_server_protocol::capabilities::{
    CapabilitiesDiscoverParams, CapabilitiesDiscoverResponse, CapabilityRootsDiscoverParams,
    CapabilityRootsDiscoverResponse, EnvironmentConfigReadParams, EnvironmentConfigReadResponse,
};
use codex_exec_server_protocol::methods::{
    CapabilitiesDiscover, CapabilityRootsDiscover, EnvironmentConfigRead,
};

use crate::client::Client;
use crate::error::RequestError;

impl Client {
    /// Reads layers of configuration and of what is demanded (`environmentConfig/read`), of which only the named keys come back.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] without the flag `environmentConfigRead`.
    pub async fn read_config(
        &self,
        params: &EnvironmentConfigReadParams,
    ) -> Result<EnvironmentConfigReadResponse, RequestError> {
        self.inner.require("environmentConfigRead", |flags| flags.environment_config_read)?;
        self.call::<EnvironmentConfigRead>(params).await
    }

    /// Describes plugins and skills below directories that the caller knows (`capabilityRoots/discoverV1`).
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] if a sandbox is to confine the look and the server lacks the flag
    /// `capabilityDiscoverySandbox`: without it the look would go further than it may. There is no flag of the method's own.
    pub async fn discover_roots(
        &self,
        params: &CapabilityRootsDiscoverParams,
    ) -> Result<CapabilityRootsDiscoverResponse, RequestError> {
        if params.roots.iter().any(|root| root.sandbox.is_some()) {
            self.inner.require("capabilityDiscoverySandbox", |flags| flags.capability_discovery_sandbox)?;
        }
        self.call::<CapabilityRootsDiscover>(params).await
    }

    /// Finds the plugins and skills that are installed on the machine (`capabilities/discoverV2`).
    ///
    /// # Errors
    /// [`RequestError::Unsupported`] without the flag `capabilityDiscoveryV2`, or with a sandbox and without
    /// `capabilityDiscoverySandbox`.
    pub async fn discover_installed(
        &self,
        params: &CapabilitiesDiscoverParams,
    ) -> Result<CapabilitiesDiscoverResponse, RequestError> {
        self.inner.require("capabilityDiscoveryV2", |flags| flags.capability_discovery_v2)?;
        if params.sandbox.is_some() {
            self.inner.require("capabilityDiscoverySandbox", |flags| flags.capability_discovery_sandbox)?;
        }
        self.call::<CapabilitiesDiscover>(params).await
    }
}
