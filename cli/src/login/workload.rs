//! Signing in as a job of a pipeline: the token its runner gives it is exchanged for a short one. Nothing secret is kept
//! in the pipeline, and the runner's token goes to the control plane only.

use crate::control_plane::{ControlPlane, percent};
use crate::error::{CliError, Doing as _};
use crate::home::text_variable;
use reqwest::Url;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What a runner of GitHub Actions answers.
#[derive(Deserialize)]
struct Given {
    value: String,
}

/// A token of the job's own for the token of its runner.
pub(super) async fn sign_in(
    plane: &ControlPlane,
    (id, file, audience): (&str, Option<&Path>, Option<&str>),
) -> Result<String, CliError> {
    let audience =
        audience.map_or_else(|| format!("{}/v1/workloads/{}/token", plane.url(), percent(id)), str::to_owned);
    let token = match (file, text_variable("DAAM_WORKLOAD_TOKEN")) {
        (Some(file), _) => {
            std::fs::read_to_string(file).doing(format_args!("read the job's token `{}`", file.display()))?
        }
        (None, Some(token)) => token,
        (None, None) => of_github(&audience).await?,
    };
    Ok(plane.exchange_job(id, token.trim()).await?.access_token)
}

/// Asks the runner for a token.
async fn of_github(audience: &str) -> Result<String, CliError> {
    let at =
        text_variable("ACTIONS_ID_TOKEN_REQUEST_URL").zip(text_variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let (url, secret) = at.ok_or_else(|| {
        CliError::usage("this job has no token of its runner").remedy(
            "in GitHub Actions give the job `permissions: id-token: write`; elsewhere set DAAM_WORKLOAD_TOKEN or pass --workload-token-file FILE",
        )
    })?;
    let mut url = Url::parse(&url).doing("understand ACTIONS_ID_TOKEN_REQUEST_URL")?;
    url.query_pairs_mut().append_pair("audience", audience);
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    if url.scheme() != "https" && !local {
        return Err(CliError::usage("the runner's address would send its secret unencrypted"));
    }
    let mut http = reqwest::Client::builder().timeout(TIMEOUT);
    if local {
        http = http.no_proxy();
    }
    let http = http.build().doing("set up the HTTP client")?;
    let answer = http.get(url).bearer_auth(secret).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url);
    let given: Given =
        answer.doing("ask the runner for the job's token")?.json().await.doing("understand the runner")?;
    Ok(given.value)
}
