//! The session cookie. `__Host-` binds it to this very host over TLS (or localhost), out of reach of scripts and of other
//! hosts of the same domain; `Lax` keeps it from cross-site forms. A request with two of them has none.

use axum::http::{HeaderMap, HeaderValue, header};
use daam_store::{LONGEST_SECONDS, Secret};

const NAME: &str = "__Host-sid";
/// Lives as long as the way to an identity provider and back.
const FLOW: &str = "__Host-flow";
const FLOW_SECONDS: u32 = 600;
/// Lives as long as an authenticator may take, and never leaves our own pages.
const CEREMONY: &str = "__Host-passkey";
const CEREMONY_TERMS: &str = "Max-Age=300; Path=/; Secure; HttpOnly; SameSite=Strict";
/// An answer that is posted from the provider's own page brings only such cookies along.
const FLOW_TERMS_ELSEWHERE: &str = "Path=/; Secure; HttpOnly; SameSite=None";
const TERMS: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// The secret of the session cookie.
pub(super) fn read(headers: &HeaderMap) -> Option<&str> {
    only(headers, NAME)
}

/// The secret that binds a sign-in under way to its browser.
pub(super) fn read_flow(headers: &HeaderMap) -> Option<&str> {
    only(headers, FLOW)
}

/// The secret that binds what an authenticator is asked to its browser.
pub(super) fn read_ceremony(headers: &HeaderMap) -> Option<&str> {
    only(headers, CEREMONY)
}

fn only<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted)
        .map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// `Set-Cookie` of a new session.
pub(super) fn set(secret: Secret) -> Option<HeaderValue> {
    let text = format!("{NAME}={}; Max-Age={LONGEST_SECONDS}; {TERMS}", secret.reveal());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Set-Cookie` of a sign-in that begins.
pub(super) fn set_flow(secret: Secret) -> Option<HeaderValue> {
    let text = format!("{FLOW}={}; Max-Age={FLOW_SECONDS}; {TERMS}", secret.reveal());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Set-Cookie` of a sign-in whose answer is posted from elsewhere.
pub(super) fn set_flow_elsewhere(secret: Secret) -> Option<HeaderValue> {
    let text = format!("{FLOW}={}; Max-Age={FLOW_SECONDS}; {FLOW_TERMS_ELSEWHERE}", secret.reveal());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Set-Cookie` of what an authenticator is asked.
pub(super) fn set_ceremony(secret: Secret) -> Option<HeaderValue> {
    let mut value =
        HeaderValue::from_str(&format!("{CEREMONY}={}; {CEREMONY_TERMS}", secret.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Set-Cookie` that ends it.
pub(super) fn clear() -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{NAME}=; Max-Age=0; {TERMS}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::COOKIE, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn one_session_cookie_is_read_and_two_are_none() {
        assert_eq!(read(&of(&["a=b; __Host-sid=x; c=d"])), Some("x"));
        assert_eq!(read(&of(&["sid=x"])), None);
        assert_eq!(read(&of(&["__Host-sid=x; __Host-sid=y"])), None);
        assert_eq!(read(&of(&["__Host-sid=x", "__Host-sid=y"])), None);
    }
}
