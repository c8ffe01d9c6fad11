//! Requests to addresses that tenants name. Whoever configures a provider must not reach the operator's own network
//! through us: only public addresses, over TLS, without following redirects, with an end to size and time.

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::StatusCode;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: usize = 512 * 1024;

/// A client for such requests.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    http: reqwest::Client,
    private: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    #[error("the address is not one that may be asked: allowed is `https` at a public address")]
    Address,
    #[error("the request failed")]
    Http(#[from] reqwest::Error),
    #[error("the answer is larger than 512 KiB")]
    TooLarge,
    #[error("the answer cannot be passed on")]
    Response(#[source] Box<dyn Error + Send + Sync>),
}

/// An address as a refusal names it: what else is in it may be somebody's password or key.
pub(crate) fn origin_of(address: &str) -> String {
    let url = address.parse::<reqwest::Url>().ok();
    let origin = url.map(|url| url.origin()).filter(openidconnect::url::Origin::is_tuple);
    origin.map_or_else(|| "this address".to_owned(), |origin| format!("`{}`", origin.ascii_serialization()))
}

impl Outbound {
    /// `private` also allows addresses inside the operator's network, and plain HTTP to this machine.
    pub(crate) fn new(private: bool) -> Result<Self, OutboundError> {
        let mut builder = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE).no_proxy();
        if !private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self { http: builder.build()?, private })
    }

    /// Whether such an address may be asked at all; names are judged when they resolve. Never one with a user name or a
    /// password in it: addresses are shown and logged.
    pub(crate) fn may_ask(&self, url: &reqwest::Url) -> bool {
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let ip = host.parse::<IpAddr>().ok();
        let here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let safe = url.scheme() == "https" || (url.scheme() == "http" && here && self.private);
        safe && (self.private || (!here && ip.is_none_or(is_public)))
    }

    /// Posts without reading the answer.
    pub(crate) async fn post(
        &self,
        url: &reqwest::Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<StatusCode, OutboundError> {
        if !self.may_ask(url) {
            return Err(OutboundError::Address);
        }
        let sent = self.http.post(url.clone()).headers(headers).body(body).send().await;
        Ok(sent.map_err(reqwest::Error::without_url)?.status())
    }

    /// Posts, and reads the answer.
    pub(crate) async fn exchange(
        &self,
        url: &reqwest::Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), OutboundError> {
        if !self.may_ask(url) {
            return Err(OutboundError::Address);
        }
        let sent = self.http.post(url.clone()).headers(headers).body(body).send().await;
        let answer = sent.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        Ok((status, read(answer).await?))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
        let request = reqwest::Request::try_from(request)?;
        if !self.may_ask(request.url()) {
            return Err(OutboundError::Address);
        }
        let answer = self.http.execute(request).await?;
        let mut response = openidconnect::http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let body = read(answer).await?;
        response.body(body).map_err(|error| OutboundError::Response(Box::new(error)))
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, OutboundError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len().saturating_add(chunk.len()) > LARGEST {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl<'c> AsyncHttpClient<'c> for Outbound {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

/// Resolves names to public addresses alone, so that a name cannot lead inside either.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                let error: Box<dyn Error + Send + Sync> =
                    Box::new(io::Error::other("the name leads to no public address"));
                return Err(error);
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| is_public_v6(ip), is_public_v4),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special =
        matches!((a, b, c), (0 | 240..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _));
    !(special
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast())
}

/// Global unicast without what carries IPv4 addresses inside, documentation and benchmarks.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    (0x2000..0x4000).contains(&a) && a != 0x2002 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inside_is_asked_by_a_tenants_word() {
        let outbound = Outbound::new(false).unwrap();
        let may = |url: &str| outbound.may_ask(&url.parse().unwrap());
        assert!(may("https://login.example.com/x") && may("https://93.184.215.14/"));
        for inside in [
            "http://login.example.com/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[2002:7f00:1::]/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "file:///etc/passwd",
        ] {
            assert!(!may(inside), "{inside}");
        }
        let at_home = Outbound::new(true).unwrap();
        assert!(at_home.may_ask(&"http://127.0.0.1:3000/".parse().unwrap()));
        assert!(!at_home.may_ask(&"http://10.1.2.3/".parse().unwrap()), "not in the clear over a network");
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_followed() {
        let found = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err());
    }
}
