//! Whose an address is, as far as it can be seen from it, and a table of buckets by that which never grows without bound.

use crate::limits::Bucket;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// IPv4 /24 and IPv6 /48: what one subscriber or attacker typically has.
pub(crate) fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// IPv4 /16 and IPv6 /32: what one provider typically has, and can number at will.
pub(crate) fn provider_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, 0, 0))
        }
        IpAddr::V6(ip) => {
            let [a, b, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0))
        }
    }
}

/// Takes one from the bucket of `who`; a full table takes nobody new.
pub(crate) fn may(
    table: &mut HashMap<IpAddr, Bucket>,
    who: IpAddr,
    (rate, most): (u64, usize),
    now: Duration,
) -> bool {
    if !table.contains_key(&who) && table.len() >= most {
        return false;
    }
    table.entry(who).or_insert_with(|| Bucket::new(rate, now)).take(1, rate, now)
}
