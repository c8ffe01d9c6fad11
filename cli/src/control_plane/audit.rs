//! The audit.

use super::ControlPlane;
use crate::error::{CliError, Doing as _};
use daam_api::v1;
use reqwest::{Method, Response};
use std::time::Duration;

/// A log may be long.
const LOG_TIMEOUT: Duration = Duration::from_secs(3600);

impl ControlPlane {
    /// The whole log, to be read as it comes.
    pub async fn audit_log(&self) -> Result<Response, CliError> {
        self.send(self.request(Method::GET, "v1/audit/log")?.timeout(LOG_TIMEOUT)).await
    }

    /// The key its checkpoints are verified with.
    pub async fn audit_key(&self) -> Result<v1::AuditKey, CliError> {
        self.get("v1/audit/key").await
    }

    /// Connections that fit, the latest first.
    pub async fn connections(&self, query: &[(&str, String)]) -> Result<Vec<v1::Connection>, CliError> {
        let request = self.request(Method::GET, "v1/connections")?.query(query);
        self.send(request).await?.json().await.doing("understand the control plane's answer")
    }

    /// Entries that fit, the latest first.
    pub async fn search_audit(&self, query: &[(&str, String)]) -> Result<Vec<v1::AuditEntry>, CliError> {
        let request = self.request(Method::GET, "v1/audit")?.query(query);
        self.send(request).await?.json().await.doing("understand the control plane's answer")
    }
}
