//! How often somebody may ask: each credential has an allowance of its own, and so has each address strangers come from.
//!
//! What is answered to a credential never depends on what strangers do, so that nobody who guesses tokens or fills a
//! sign-in locks anybody out. An allowance is a number that fills up again with time; of those that are full nothing is
//! kept, and there is a most. Behind a proxy an address is what the proxy says; where it says none, strangers are all one
//! address to us, and are not limited here.

use crate::metrics::one_more;
use crate::problem::Refusal;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use clap::Args;
use daam_store::{Caller, SessionAuth};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Requests per second, as options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct RateConfig {
    /// Requests per second of one credential in the long run; for a moment twenty times as many.
    #[arg(long, value_name = "COUNT", default_value_t = Self::default().rate, value_parser = clap::value_parser!(u32).range(1..=MOST))]
    pub rate: u32,
    /// Requests per second of one address without a valid credential in the long run; for a moment twenty times as many.
    #[arg(long, value_name = "COUNT", default_value_t = Self::default().stranger_rate, value_parser = clap::value_parser!(u32).range(1..=MOST))]
    pub stranger_rate: u32,
}

const MOST: i64 = 1_000_000;

impl Default for RateConfig {
    fn default() -> Self {
        Self { rate: 100, stranger_rate: 50 }
    }
}

/// Who the other end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// For so many seconds' worth at once.
const BURST_SECONDS: u64 = 20;
const SECOND: u64 = 1_000_000;
/// More than this many are not kept apart.
const MOST_KEPT: usize = 100_000;

/// Allowances by whom they are of. Time is told, in microseconds.
#[derive(Debug)]
struct Allowances<K> {
    /// One request's worth of time.
    each: u64,
    /// When whose is full again.
    full_at: HashMap<K, u64>,
    /// When that of everybody who is not kept apart is.
    others_full_at: u64,
    swept_at: u64,
}

impl<K: Hash + Eq> Allowances<K> {
    fn new(per_second: u32) -> Self {
        let each = SECOND.checked_div(u64::from(per_second)).unwrap_or(SECOND).max(1);
        Self { each, full_at: HashMap::new(), others_full_at: 0, swept_at: 0 }
    }

    /// Takes so many requests' worth; else after how many seconds it can.
    fn take(&mut self, key: K, cost: u32, now: u64) -> Result<(), u64> {
        if self.full_at.len() >= MOST_KEPT && self.swept_at.saturating_add(SECOND) <= now {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept_at = now;
        }
        let full_at = if self.full_at.len() < MOST_KEPT || self.full_at.contains_key(&key) {
            self.full_at.entry(key).or_default()
        } else {
            &mut self.others_full_at
        };
        let wanted = (*full_at).max(now).saturating_add(self.each.saturating_mul(u64::from(cost)));
        let over = wanted.saturating_sub(now).saturating_sub(BURST_SECONDS.saturating_mul(SECOND));
        if over > 0 {
            return Err(over.div_ceil(SECOND));
        }
        *full_at = wanted;
        Ok(())
    }
}

/// The allowances of a server.
#[derive(Debug)]
pub(crate) struct Rates {
    began: Instant,
    behind_proxy: bool,
    credentials: Mutex<Allowances<String>>,
    strangers: Mutex<Allowances<IpAddr>>,
    refused: [AtomicU64; 2],
}

impl Rates {
    pub(crate) fn new(config: RateConfig, behind_proxy: bool) -> Self {
        Self {
            began: Instant::now(),
            behind_proxy,
            credentials: Mutex::new(Allowances::new(config.rate)),
            strangers: Mutex::new(Allowances::new(config.stranger_rate)),
            refused: Default::default(),
        }
    }

    /// How many requests were refused: of credentials, of addresses.
    pub(crate) fn refused(&self) -> (u64, u64) {
        let [credentials, addresses] = &self.refused;
        (credentials.load(Ordering::Relaxed), addresses.load(Ordering::Relaxed))
    }

    /// Somebody with a token asks.
    pub(crate) fn caller(&self, caller: &Caller, request: &Request) -> Result<(), Refusal> {
        let id = match caller {
            Caller::User(user) => user.token_id().to_owned(),
            other => format!("{}/{}", other.scope().org(), other.scope().actor()),
        };
        self.credential(id, request)
    }

    /// Somebody with a session asks.
    pub(crate) fn session(&self, session: &SessionAuth, request: &Request) -> Result<(), Refusal> {
        self.credential(session.id().to_owned(), request)
    }

    fn credential(&self, id: String, request: &Request) -> Result<(), Refusal> {
        let mut allowances = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        allowances.take(id, cost(request), self.now()).map_err(|seconds| {
            let [credentials, _] = &self.refused;
            one_more(credentials);
            let title = "this credential asks more often than it may";
            Refusal::later("rate.credential", title, seconds)
        })
    }

    /// Somebody nobody vouches for asks.
    pub(crate) fn stranger(&self, request: &Request) -> Result<(), Refusal> {
        let Some(address) = self.address(request) else { return Ok(()) };
        let mut allowances = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        allowances.take(address, cost(request), self.now()).map_err(|seconds| {
            let [_, addresses] = &self.refused;
            one_more(addresses);
            let title = "requests without a valid credential come more often from your address than they may";
            Refusal::later("rate.address", title, seconds)
        })
    }

    fn address(&self, request: &Request) -> Option<IpAddr> {
        if self.behind_proxy {
            return forwarded(request.headers()).map(network);
        }
        request.extensions().get::<Peer>().map(|peer| network(peer.0))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Whom the proxy in front speaks for: it adds them at the end, whatever was there before.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let said = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    said.rsplit(',').next()?.trim().parse().ok()
}

/// Whoever has one address of IPv6 has the network's 2⁶⁴.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What makes us ask somebody else, or keep something for a stranger, counts more.
fn cost(request: &Request) -> u32 {
    match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some(
            "/sign-in/oidc/{id}"
            | "/v1/identity-providers/{id}/backchannel-logout"
            | "/v1/workloads/{id}/token",
        ) => 10,
        // By SAML there are two, on the way there and on the way back.
        Some(
            "/v1/sign-in/device"
            | "/sign-in/passkey/begin"
            | "/sign-in/saml/{id}"
            | "/sign-in/saml/{id}/logout",
        ) => 5,
        // Whoever looks after servers is not to be told that a stranger asks too often.
        Some("/healthz" | "/readyz") => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_fills_with_time_and_is_nobody_elses() {
        let mut rates = Allowances::new(10);
        let taken = (0..500).take_while(|_| rates.take("a", 1, 0).is_ok()).count();
        assert_eq!(taken, 200, "twenty seconds' worth");
        assert_eq!(rates.take("a", 1, 0), Err(1));
        assert_eq!(rates.take("a", 50, 0), Err(5), "it says when it will be enough");
        assert_eq!(rates.take("b", 200, 0), Ok(()));
        assert_eq!(rates.take("a", 10, SECOND), Ok(()));
        assert!(rates.take("a", 1, SECOND).is_err());
        assert_eq!(rates.take("a", 200, 40 * SECOND), Ok(()), "full again, and no fuller");
        assert!(rates.take("a", 1, 40 * SECOND).is_err());
    }

    #[test]
    fn whoever_comes_from_everywhere_at_once_is_one_and_takes_no_more_memory() {
        let mut rates = Allowances::new(1);
        for key in 0..MOST_KEPT {
            rates.take(key, 1, SECOND).unwrap();
        }
        let taken = (MOST_KEPT..2 * MOST_KEPT).filter(|key| rates.take(*key, 1, SECOND).is_ok()).count();
        assert_eq!(taken, 20);
        assert_eq!(rates.full_at.len(), MOST_KEPT);
        assert!(rates.take(5, 1, SECOND).is_ok(), "who came before is not theirs to shut out");
        assert!(rates.take(2 * MOST_KEPT, 1, 3 * SECOND).is_ok());
        assert!(rates.full_at.len() < 3, "what is full again is not kept");
    }

    #[test]
    fn an_address_is_what_the_nearest_proxy_says_and_a_network_of_ipv6() {
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.append("x-forwarded-for", "203.0.113.9".parse().unwrap());
            headers.append("x-forwarded-for", text.parse().unwrap());
            forwarded(&headers).map(network).map(|address| address.to_string())
        };
        assert_eq!(said("198.51.100.7, 192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(said("2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1:2::"));
        assert_eq!(said("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(said("unknown"), None);
    }
}
