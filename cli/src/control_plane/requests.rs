//! Access requests.

use super::{ControlPlane, percent};
use crate::error::CliError;
use daam_api::v1;
use reqwest::Method;

/// Which requests to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// One's own.
    Mine,
    /// Those that wait for one's word.
    Waiting,
    /// Everybody's.
    All,
}

impl ControlPlane {
    /// What may be asked for on a database.
    pub async fn requestable(&self, database: &str) -> Result<Vec<v1::Requestable>, CliError> {
        self.list(&format!("v1/databases/{}/requestable", percent(database))).await
    }

    /// Asks for access.
    pub async fn ask(&self, request: &v1::NewAccessRequest) -> Result<v1::AccessRequest, CliError> {
        self.exchange(Method::POST, "v1/requests", Some(request)).await
    }

    /// Requests, latest first.
    pub async fn requests(&self, show: Show, limit: u32) -> Result<Vec<v1::AccessRequest>, CliError> {
        let show = match show {
            Show::Mine => "mine",
            Show::Waiting => "waiting",
            Show::All => "all",
        };
        self.get(&format!("v1/requests?show={show}&limit={limit}")).await
    }

    /// One request.
    pub async fn access_request(&self, id: &str) -> Result<v1::AccessRequest, CliError> {
        self.get(&format!("v1/requests/{}", percent(id))).await
    }

    /// Says yes.
    pub async fn approve(&self, id: &str, reason: &str) -> Result<v1::AccessRequest, CliError> {
        self.word(id, "approve", reason).await
    }

    /// Says no.
    pub async fn deny(&self, id: &str, reason: &str) -> Result<v1::AccessRequest, CliError> {
        self.word(id, "deny", reason).await
    }

    /// Withdraws a request or ends what is held.
    pub async fn end_request(&self, id: &str, reason: &str) -> Result<v1::AccessRequest, CliError> {
        self.word(id, "end", reason).await
    }

    /// Asks for more time.
    pub async fn extend(&self, id: &str, seconds: u64, reason: &str) -> Result<v1::AccessRequest, CliError> {
        let body = v1::AccessExtension { seconds, reason: reason.to_owned() };
        self.exchange(Method::POST, &format!("v1/requests/{}/extend", percent(id)), Some(&body)).await
    }

    async fn word(&self, id: &str, word: &str, reason: &str) -> Result<v1::AccessRequest, CliError> {
        let body = v1::AccessWord { reason: reason.to_owned() };
        self.exchange(Method::POST, &format!("v1/requests/{}/{word}", percent(id)), Some(&body)).await
    }
}
