//! The relays to be reachable through: names become addresses beside the link, never inside of it.
//!
//! Bounded: so many relays, all names at once, each for a few seconds. A name that does not resolve is tried again;
//! the newest list replaces what is being worked on.

use daam_api::link::RelayOffer;
use daam_tunnel::{Listener, RelayTarget};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Most relays joined; a client tries two of them.
pub const MOST: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(30);

/// The part of a list that is used.
pub fn used(mut offers: Vec<RelayOffer>) -> Vec<RelayOffer> {
    if offers.len() > MOST {
        tracing::warn!(offered = offers.len(), used = MOST, "more relays were named than are joined");
        offers.truncate(MOST);
    }
    offers
}

/// Joins whatever is offered, until the sender is gone.
pub async fn join(mut offers: watch::Receiver<Vec<RelayOffer>>, listener: Arc<Listener>) {
    if offers.changed().await.is_err() {
        return;
    }
    loop {
        let wanted = offers.borrow_and_update().clone();
        let joining = async {
            let found = resolve(&wanted).await;
            let complete = found.len() == wanted.len();
            listener.set_relays(found);
            if complete {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(AGAIN).await;
        };
        tokio::select! {
            changed = offers.changed() => if changed.is_err() { return },
            () = joining => {}
        }
    }
}

/// Those whose names have an address.
async fn resolve(offers: &[RelayOffer]) -> Vec<RelayTarget> {
    let looking = offers.iter().map(|offer| async move {
        let relay = &offer.address;
        match tokio::time::timeout(PATIENCE, tokio::net::lookup_host(relay.as_str())).await {
            Ok(Ok(mut found)) => {
                if let Some(addr) = found.next() {
                    return Some(RelayTarget::new(addr, relay, offer.ticket.clone()));
                }
                tracing::warn!(relay, "the relay's name has no address");
            }
            Ok(Err(error)) => tracing::warn!(relay, %error, "the relay's name does not resolve"),
            Err(_) => tracing::warn!(relay, "the relay's name took too long to resolve"),
        }
        None
    });
    futures_util::future::join_all(looking).await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(address: &str) -> RelayOffer {
        RelayOffer { address: address.to_owned(), ticket: "t".to_owned() }
    }

    #[tokio::test]
    async fn of_very_many_relays_a_few_are_looked_up_and_bad_names_left_out() {
        let offers = used((0..20_000).map(|n| offer(&format!("relay-{n}.invalid:443"))).collect());
        assert_eq!(offers.len(), MOST);
        let began = tokio::time::Instant::now();
        let mut mixed = vec![offer("127.0.0.1:443"), offer("no port"), offer("[::1]:8443")];
        mixed.extend(offers.into_iter().take(3));
        let found: Vec<_> = resolve(&mixed).await.iter().map(|relay| relay.addr).collect();
        assert_eq!(found, ["127.0.0.1:443".parse().unwrap(), "[::1]:8443".parse().unwrap()]);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
}
