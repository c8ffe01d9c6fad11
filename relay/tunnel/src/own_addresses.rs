//! Where this side may be reached: what relays see, and the interfaces that packets to the peer would leave by.

use crate::network::local_ip;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The addresses to tell the peer. `bound` is our socket's, `towards` whom we would send to.
pub(crate) fn own_addresses(
    bound: SocketAddr,
    observed: impl IntoIterator<Item = SocketAddr>,
    towards: impl IntoIterator<Item = SocketAddr>,
) -> Vec<SocketAddr> {
    let mut found: BTreeSet<SocketAddr> = observed.into_iter().collect();
    if bound.ip().is_unspecified() {
        let local = towards.into_iter().filter_map(local_ip);
        found.extend(local.map(|ip| SocketAddr::new(ip, bound.port())));
    } else {
        found.insert(bound);
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_on_every_interface_is_at_the_one_that_leads_to_the_peer() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = own_addresses(at("0.0.0.0:77"), [at("192.0.2.1:5")], [at("127.0.0.1:9")]);
        assert_eq!(found, [at("127.0.0.1:77"), at("192.0.2.1:5")]);
        assert_eq!(own_addresses(at("127.0.0.2:7"), [], [at("127.0.0.1:9")]), [at("127.0.0.2:7")]);
    }
}
