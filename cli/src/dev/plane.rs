//! The sandbox's organization: first admin, trusted signing key, certificate authority, enrolment.

use super::state::{Facts, StateDir};
use crate::control_plane::ControlPlane;
use crate::error::{CliError, Doing as _};
use crate::home::write_private;
use daam_api::v1;
use daam_bundle::{SigningKey, TrustFile, TrustedKey};
use std::path::PathBuf;

const ADMIN: &str = "admin@sandbox.test";

/// Creates the organization with its admin; the token is kept in the state directory.
pub async fn bootstrap(state: &StateDir, url: &str) -> Result<(ControlPlane, String), CliError> {
    let path = state.path("control-plane").join("bootstrap-token");
    let token = std::fs::read_to_string(&path).doing("read the control plane's bootstrap token")?;
    let plane = ControlPlane::new(url, &token)?;
    let request = v1::Bootstrap { organization: "Sandbox".to_owned(), admin_email: ADMIN.to_owned() };
    let made = plane.bootstrap(&request).await?;
    write_private(&state.path("admin-token"), &made.token)?;
    Ok((plane.with_token(&made.token), made.org))
}

/// The control plane with the admin's token.
pub fn admin(state: &StateDir, facts: &Facts) -> Result<ControlPlane, CliError> {
    let token = std::fs::read_to_string(state.path("admin-token")).doing("read the sandbox's admin token")?;
    ControlPlane::new(&facts.control_plane, &token)
}

/// Makes the key that signs policies here, and tells the control plane and the agent to trust it.
pub async fn trust(state: &StateDir, admin: &ControlPlane, org: &str) -> Result<(), CliError> {
    let key = SigningKey::generate().doing("make a signing key")?;
    let pem = key.to_pem().doing("write the signing key")?;
    write_private(&state.path("trust-key.pem"), pem.as_bytes())?;
    let trusted = TrustedKey { public: key.public(), comment: "daam dev".to_owned() };
    let trust = TrustFile::new(org, vec![trusted], 1).doing("make the trust file")?.to_json();
    write_private(&state.path("trust.json"), &trust)?;
    admin.put_trust(trust).await?;
    write_private(&state.path("identity-ca.pem"), admin.ca().await?)
}

/// Writes a one-time token into a file an agent or relay enrols with.
pub async fn enrolment(
    state: &StateDir,
    admin: &ControlPlane,
    kind: &str,
    database: Option<&str>,
) -> Result<PathBuf, CliError> {
    let request =
        v1::NewEnrolment { kind: kind.to_owned(), database: database.map(str::to_owned), expires_in: None };
    let made = admin.enrolment_token(&request).await?;
    let path = state.path("enrolment").join(kind);
    write_private(&path, made.token)?;
    Ok(path)
}
