//! Proof that a peer receives at the address it sends from, without remembering anything.
//!
//! A cookie is the millisecond it was made and an HMAC over that, the peer's address, its instance and its ticket. It is
//! refused from any other address, for any other ticket, and after two minutes; which of two is older can be seen, so
//! that a packet recorded before a peer moved does not move it back.

use daam_tunnel::wire::COOKIE_BYTES;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const LIFE_MILLIS: u32 = 120_000;

/// Whom a cookie is for.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Where the packet came from.
    pub from: SocketAddr,
    /// The number the peer chose.
    pub instance: u64,
    /// The ticket it showed.
    pub ticket: &'a str,
}

/// Makes and checks cookies.
pub struct CookieJar {
    secret: [u8; 32],
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieJar").finish_non_exhaustive()
    }
}

impl CookieJar {
    /// `secret` must be random; a restart with another one only costs peers a round trip.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The cookie for this peer now.
    pub fn make(&self, asker: Asker<'_>, now: Duration) -> [u8; COOKIE_BYTES] {
        self.cookie(stamp_at(now), asker)
    }

    /// Whether `cookie` was made for this peer within the last minutes.
    pub fn check(&self, cookie: &[u8; COOKIE_BYTES], asker: Asker<'_>, now: Duration) -> bool {
        let made = stamp_of(cookie);
        // One from the future is very old.
        if stamp_at(now).wrapping_sub(made) >= LIFE_MILLIS {
            return false;
        }
        // Compared in constant time: the difference of every byte is gathered before the decision.
        let expected = self.cookie(made, asker);
        expected.iter().zip(cookie).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }

    fn cookie(&self, stamp: u32, asker: Asker<'_>) -> [u8; COOKIE_BYTES] {
        let ip = match asker.from.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut parts = Vec::with_capacity(64);
        parts.extend_from_slice(&stamp.to_be_bytes());
        parts.extend_from_slice(&ip.octets());
        parts.extend_from_slice(&asker.from.port().to_be_bytes());
        parts.extend_from_slice(&asker.instance.to_be_bytes());
        parts.extend_from_slice(&Sha256::digest(asker.ticket.as_bytes()));
        let tag = self.tag(b"cookie", &parts);
        let mut cookie = [0; COOKIE_BYTES];
        let head = stamp.to_be_bytes().into_iter().chain(tag);
        for (byte, value) in cookie.iter_mut().zip(head) {
            *byte = value;
        }
        cookie
    }

    /// An unpredictable number for each drawing.
    pub fn draw(&self, drawing: u64) -> u32 {
        let [a, b, c, d, ..] = self.tag(b"draw", &drawing.to_be_bytes());
        u32::from_be_bytes([a, b, c, d])
    }

    fn tag(&self, purpose: &[u8], parts: &[u8]) -> [u8; 32] {
        // HMAC takes keys of any length, so this arm is never taken; the zero tag would match nothing useful.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return [0; 32] };
        mac.update(purpose);
        mac.update(parts);
        mac.finalize().into_bytes().into()
    }
}

/// When it was made; meaningful only in one that was checked.
pub fn stamp_of(cookie: &[u8; COOKIE_BYTES]) -> u32 {
    let [a, b, c, d, ..] = *cookie;
    u32::from_be_bytes([a, b, c, d])
}

/// Whether the first was made before the second; they wrap around every seven weeks.
pub fn is_older(stamp: u32, than: u32) -> bool {
    (1..1 << 31).contains(&than.wrapping_sub(stamp))
}

fn stamp_at(now: Duration) -> u32 {
    u32::try_from(now.as_millis() & u128::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_fits_one_address_ticket_and_time() {
        let jar = CookieJar::new([7; 32]);
        let here: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let now = Duration::from_secs(600);
        let asker = Asker { from: here, instance: 1, ticket: "t" };
        let cookie = jar.make(asker, now);
        assert!(jar.check(&cookie, asker, now + Duration::from_secs(60)));
        assert!(!jar.check(&cookie, asker, now + Duration::from_secs(120)));
        let port = Asker { from: "192.0.2.1:5001".parse().unwrap(), ..asker };
        let host = Asker { from: "192.0.2.2:5000".parse().unwrap(), ..asker };
        let instance = Asker { instance: 2, ..asker };
        let ticket = Asker { ticket: "u", ..asker };
        for other in [port, host, instance, ticket] {
            assert!(!jar.check(&cookie, other, now));
        }
        assert!(!CookieJar::new([8; 32]).check(&cookie, asker, now));
        // Made a moment later, and not so long ago that the clock went round.
        let later = jar.make(asker, now + Duration::from_millis(1));
        assert!(
            is_older(stamp_of(&cookie), stamp_of(&later)) && !is_older(stamp_of(&later), stamp_of(&cookie))
        );
        assert!(!is_older(stamp_of(&cookie), stamp_of(&cookie)) && is_older(u32::MAX, 3));
        assert!(!jar.check(&later, asker, now));
    }
}
