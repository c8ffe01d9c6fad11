//! Whether a notice says that somebody signed out at the provider, and whether an answer says that it was heard. Both
//! count only if a pinned key signed them, the query or the message itself.

use crate::message::read;
use crate::response::is_short;
use crate::signature::signed;
use crate::{Carried, FORGETTABLE, IdentityProvider, LONGEST_WAY, Refused, SKEW, Us};
use chrono::{DateTime, Utc};
use gamlastan::core::assertion::issuer::Issuer;
use gamlastan::core::assertion::name_id::NameIdOrEncryptedId;
use gamlastan::core::identifiers::SamlVersion;
use gamlastan::core::protocol::logout::{LogoutRequestRef, LogoutResponseRef};
use gamlastan::xml::{Document, NodeId, parse_saml};

/// Most sessions one notice names.
const MOST_SESSIONS: usize = 100;

/// Somebody signed out at the provider. Only [`logout_request`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logout {
    id: String,
    subject: String,
    sessions: Vec<String>,
    forgettable_at: i64,
}

impl Logout {
    /// It counts once; it is answered by it, too.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// Who, there.
    pub fn subject(&self) -> &str {
        &self.subject
    }
    /// Of which sessions there; empty is of all.
    pub fn sessions(&self) -> &[String] {
        &self.sessions
    }
    /// From when on the id need not be remembered, unix seconds.
    pub fn forgettable_at(&self) -> i64 {
        self.forgettable_at
    }
}

/// Checks a notice.
pub fn logout_request(
    carried: Carried<'_>,
    (provider, us): (&IdentityProvider, &Us),
    now: i64,
) -> Result<Logout, Refused> {
    let certificates = provider.certificates();
    let text = carried.text(&certificates, true)?;
    let (document, root) = read(&text.xml)?;
    let request: LogoutRequestRef<'_> =
        parse_saml(&document).map_err(|_| Refused::Form("it is not a logout of SAML 2.0"))?;
    is_signed((&text.xml, text.signed), (&document, root), request.id, &certificates)?;
    let request = request.to_owned();
    is_version_2(request.version)?;
    from_them(request.issuer.as_ref(), request.destination.as_deref(), (provider, us))?;
    is_of_now((request.issue_instant, request.not_on_or_after), now)?;
    let NameIdOrEncryptedId::NameId(name) = request.name_id else { return Err(Refused::Encrypted) };
    if !is_short(&name.value) || !is_short(&request.id) {
        return Err(Refused::Subject("a name in it is empty or too long"));
    }
    // An index that cannot be one of ours must not turn "this session" into "all of them".
    if request.session_indexes.len() > MOST_SESSIONS
        || !request.session_indexes.iter().all(|one| is_short(one))
    {
        return Err(Refused::Subject("a session in it is empty or too long"));
    }
    Ok(Logout {
        id: request.id,
        subject: name.value,
        sessions: request.session_indexes,
        forgettable_at: now.saturating_add(FORGETTABLE),
    })
}

/// A provider's answer to a notice of ours. Only [`logout_answer`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutAnswer {
    request: String,
    succeeded: bool,
}

impl LogoutAnswer {
    /// The notice it answers, by its id; whether that one was sent and is not answered yet is for the caller to know.
    pub fn request(&self) -> &str {
        &self.request
    }
    /// Whether the provider says that everybody it told is signed out.
    pub fn succeeded(&self) -> Result<(), Refused> {
        if self.succeeded { Ok(()) } else { Err(Refused::Status) }
    }
}

/// Checks the answer to a notice of ours. It changes nothing here: the session ended before anybody was told.
pub fn logout_answer(
    carried: Carried<'_>,
    (provider, us): (&IdentityProvider, &Us),
    now: i64,
) -> Result<LogoutAnswer, Refused> {
    let certificates = provider.certificates();
    let text = carried.text(&certificates, false)?;
    let (document, root) = read(&text.xml)?;
    let answer: LogoutResponseRef<'_> =
        parse_saml(&document).map_err(|_| Refused::Form("it is not an answer to a logout of SAML 2.0"))?;
    is_signed((&text.xml, text.signed), (&document, root), answer.id, &certificates)?;
    let answer = answer.to_owned();
    is_version_2(answer.version)?;
    from_them(answer.issuer.as_ref(), answer.destination.as_deref(), (provider, us))?;
    is_of_now((answer.issue_instant, None), now)?;
    let request = answer.in_response_to.filter(|id| is_short(id)).ok_or(Refused::Request)?;
    Ok(LogoutAnswer { request, succeeded: answer.status.is_success() })
}

/// A signature that is in a message whose query is signed is not looked for: what was verified is the whole of it.
fn is_signed(
    (xml, by_query): (&str, bool),
    (document, root): (&Document<'_>, NodeId),
    id: &str,
    certificates: &[Vec<u8>],
) -> Result<(), Refused> {
    if by_query || signed((xml, document), &[root], certificates)?.contains(id) {
        return Ok(());
    }
    Err(Refused::Signature("what is signed in it is not what counts"))
}

fn is_version_2(version: SamlVersion) -> Result<(), Refused> {
    if version == SamlVersion::V2_0 { Ok(()) } else { Err(Refused::Form("it is not of SAML 2.0")) }
}

fn from_them(
    issuer: Option<&Issuer>,
    destination: Option<&str>,
    (provider, us): (&IdentityProvider, &Us),
) -> Result<(), Refused> {
    if !issuer.is_some_and(|issuer| provider.is(issuer)) {
        return Err(Refused::Issuer);
    }
    if destination != Some(us.logout.as_str()) {
        return Err(Refused::Destination);
    }
    Ok(())
}

fn is_of_now((issued, until): (DateTime<Utc>, Option<DateTime<Utc>>), now: i64) -> Result<(), Refused> {
    let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let (skew, way) = (seconds(SKEW), seconds(LONGEST_WAY));
    let issued = issued.timestamp();
    let late = issued.saturating_add(way).saturating_add(skew) < now;
    let early = issued > now.saturating_add(skew);
    let over = until.is_some_and(|until| until.timestamp().saturating_add(skew) <= now);
    if late || early || over { Err(Refused::Time) } else { Ok(()) }
}
