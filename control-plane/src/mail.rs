//! Letters, through the operator's mail server. Refused: a server that would be spoken to in the clear over a network.

use crate::requests::notices::Told;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use reqwest::Url;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Which mail server, and from whom.
#[derive(Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// `smtps://user:password@host` or `smtp://user:password@host?tls=required`.
    pub url: String,
    /// The sender's address.
    pub from: String,
    /// Certificates of its CA, if that is not one this machine believes anyway: a PEM file.
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for MailConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why no mail is sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No such way.
    #[error(
        "the mail server's address is not usable; allowed are `smtps://user:password@host` and `smtp://user:password@host?tls=required`, without TLS only this machine"
    )]
    Url,
    /// No sender.
    #[error("`{0}` is not a sender's address; allowed is one such as `daam@example.com`")]
    From(String),
    /// No certificate.
    #[error("`{0}` holds no PEM certificate of the mail server's CA")]
    Ca(PathBuf),
}

/// Sends letters.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mailer {
    pub(crate) fn new(config: &MailConfig) -> Result<Self, MailError> {
        let from: Address = config.from.parse().map_err(|_| MailError::From(config.from.clone()))?;
        let url = Url::parse(&config.url).map_err(|_| MailError::Url)?;
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let encrypted = match url.scheme() {
            "smtps" => true,
            "smtp" => url.query_pairs().any(|(name, value)| name == "tls" && value == "required"),
            _ => return Err(MailError::Url),
        };
        if !encrypted && !here {
            return Err(MailError::Url);
        }
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&config.url)
            .map_err(|_| MailError::Url)?
            .timeout(Some(PATIENCE));
        if let Some(ca) = &config.ca {
            let believed = believing(url.host_str().unwrap_or_default(), ca)?;
            let from_the_start = url.scheme() == "smtps";
            transport =
                transport.tls(if from_the_start { Tls::Wrapper(believed) } else { Tls::Required(believed) });
        }
        Ok(Self { transport: transport.build(), from: Mailbox::new(Some("daam".to_owned()), from) })
    }

    /// One letter; the same `id` at every attempt, so that whoever gets it twice can tell.
    pub(crate) async fn send(
        &self,
        id: &str,
        to: &str,
        told: &Told,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (subject, text) = letter(told);
        let letter = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(None, to.parse()?))
            .subject(subject)
            .body(text)?;
        self.transport.send(letter).await?;
        Ok(())
    }
}

/// TLS with a CA of the operator's own, besides those this machine believes.
fn believing(host: &str, ca: &Path) -> Result<TlsParameters, MailError> {
    let unusable = || MailError::Ca(ca.to_owned());
    let pem = std::fs::read(ca).map_err(|_| unusable())?;
    let certificate = Certificate::from_pem(&pem).map_err(|_| unusable())?;
    let parameters = TlsParameters::builder(host.to_owned()).add_root_certificate(certificate);
    parameters.build().map_err(|_| unusable())
}

/// Subject and text.
fn letter(told: &Told) -> (String, String) {
    let data = &told.data;
    let (who, what) = (&data.requester, format!("{} on {}", data.name, data.database));
    let (subject, todo) = match told.event.as_str() {
        "request.asked" => (format!("{who} asks for {what}"), true),
        "request.extension-asked" => (format!("{who} asks for more time with {what}"), true),
        "request.approved" => (format!("Approved: {what}"), false),
        "request.extended" => (format!("More time: {what}"), false),
        "request.denied" => (format!("Denied: {what}"), false),
        "request.extension-denied" => (format!("No more time: {what}"), false),
        _ => (format!("Ended: {what}"), false),
    };
    let mut text = format!("{subject}, in the organization {}.\n\n{}\n", data.organization, data.url);
    if todo {
        let request = &data.request;
        let _ = write!(
            text,
            "\nThere is the reason, and what it would give. Decide there, or with\n\n  daam approve {request}\n  daam deny {request} --reason …\n"
        );
    }
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_never_spoken_to_in_the_clear_over_a_network() {
        let made = |url: &str| {
            let from = "daam@example.com".to_owned();
            Mailer::new(&MailConfig { url: url.to_owned(), from, ca: None }).is_ok()
        };
        assert!(made("smtps://user:secret@mail.example.com") && made("smtp://127.0.0.1:2525"));
        assert!(made("smtp://user:secret@mail.example.com?tls=required"));
        for bad in [
            "smtp://mail.example.com",
            "smtp://mail.example.com?tls=opportunistic",
            "http://mail.example.com",
            "mail.example.com",
            "smtp://127.0.0.1.example.com",
        ] {
            assert!(!made(bad), "{bad}");
        }
        let absent = MailConfig {
            url: "smtps://u:secret@x".to_owned(),
            from: "daam@example.com".to_owned(),
            ca: Some("/nowhere/ca.pem".into()),
        };
        assert!(matches!(Mailer::new(&absent), Err(MailError::Ca(_))));
        let config = MailConfig { from: "nobody".to_owned(), ca: None, ..absent };
        assert!(Mailer::new(&config).is_err() && !format!("{config:?}").contains("secret"));
    }
}
