//! Where the control plane is reached, as the operator says it. Absolute addresses come from here alone, never from a
//! request: whoever sends a `Host` header of their own must not get it back in a link.

use daam_store::Secret;
use std::net::SocketAddr;

/// The path one-time links are under.
pub(crate) const LINK_PATH: &str = "/sign-in/link";

/// The public address: a scheme and an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    origin: String,
}

/// Why a text is not a public address.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a public address; allowed is a scheme and a host, such as `https://daam.example.com`, with `http` only for localhost"
)]
pub struct NotABase(String);

impl Base {
    /// Checks what the operator says.
    pub fn parse(text: &str) -> Result<Self, NotABase> {
        let wrong = || NotABase(text.chars().take(200).flat_map(char::escape_default).collect());
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = trimmed.split_once("://").ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, port)| if port.parse::<u16>().is_ok() { host } else { authority });
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let good =
            !host.is_empty() && authority.chars().all(plain) && authority == authority.to_ascii_lowercase();
        if !good || !(scheme == "https" || scheme == "http" && local) {
            return Err(wrong());
        }
        Ok(Self { origin: trimmed.to_owned() })
    }

    /// What is assumed when the operator says nothing: this machine.
    pub(crate) fn local(address: SocketAddr, tls: bool) -> Self {
        let scheme = if tls { "https" } else { "http" };
        Self { origin: format!("{scheme}://localhost:{}", address.port()) }
    }

    /// As a browser sends it in `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A path of ours as an absolute address.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The address of a one-time link.
    pub(crate) fn link(&self, secret: Secret) -> String {
        format!("{}{LINK_PATH}/{}", self.origin, secret.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host_and_plain_http_stays_at_home() {
        for good in ["https://daam.example.com", "https://daam.example.com:8443/", "http://localhost:8080"] {
            assert_eq!(Base::parse(good).unwrap().origin(), good.trim_end_matches('/'));
        }
        for bad in [
            "daam.example.com",
            "http://daam.example.com",
            "https://daam.example.com/console",
            "https://u@daam.example.com",
            "https://DAAM.example.com",
            "ftp://x",
            "https://",
            "https://a b",
        ] {
            assert!(Base::parse(bad).is_err(), "{bad}");
        }
    }
}
