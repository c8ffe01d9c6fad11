//! Keeps a relayed session on a living relay: when the one in use is lost, the other takes over.
//!
//! Only the route under the tunnel's virtual address changes; QUIC and the streams notice nothing but delay. A
//! relay that comes back is not returned to while the other one works.

use crate::relay_link::{LinkState, RelayLink};
use crate::socket::{PathSocket, Route};
use futures_util::future::select_all;
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

/// The relays of one tunnel, kept bound until this is dropped.
#[derive(Debug)]
pub(crate) struct Standby {
    _links: Vec<RelayLink>,
    _following: AbortOnDropHandle<()>,
}

impl Standby {
    /// Follows `links`, the first of which is in use, for the virtual peer `slot`.
    pub(crate) fn start(socket: Arc<PathSocket>, slot: u8, links: Vec<RelayLink>) -> Self {
        let mut states: Vec<_> = links.iter().map(|link| (link.relay(), link.state())).collect();
        let following = tokio::spawn(async move {
            let mut current = 0;
            loop {
                if states.is_empty() {
                    return;
                }
                let pending = states.iter_mut().map(|(_, state)| Box::pin(state.changed()));
                let (changed, ..) = select_all(pending).await;
                if changed.is_err() {
                    return;
                }
                let now: Vec<LinkState> = states.iter().map(|(_, state)| *state.borrow()).collect();
                let Some((chosen, session)) = choose(current, &now) else { continue };
                let Some((relay, _)) = states.get(chosen) else { continue };
                if chosen != current {
                    tracing::info!(%relay, "moved to the other relay");
                }
                current = chosen;
                socket.point(slot, Route::Relay { relay: *relay, session });
            }
        });
        Self { _links: links, _following: AbortOnDropHandle::new(following) }
    }
}

/// The relay to use and its session: the current one while it is bound, else any that is.
fn choose(current: usize, states: &[LinkState]) -> Option<(usize, u32)> {
    let bound = |n: usize| match states.get(n) {
        Some(LinkState::Bound { session, .. }) => Some((n, *session)),
        _ => None,
    };
    bound(current).or_else(|| (0..states.len()).find_map(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(session: u32) -> LinkState {
        LinkState::Bound { session, observed: "192.0.2.1:1".parse().unwrap() }
    }

    #[test]
    fn the_current_relay_is_kept_while_it_lives() {
        assert_eq!(choose(1, &[bound(5), bound(6)]), Some((1, 6)));
        assert_eq!(choose(1, &[bound(5), LinkState::Asking]), Some((0, 5)));
        assert_eq!(choose(0, &[LinkState::Asking, LinkState::Asking]), None);
        assert_eq!(choose(7, &[]), None);
    }
}
