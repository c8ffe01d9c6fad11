//! Which of two ways that work is worth a free change: by kind, unless the round trips say otherwise. Pure.

use super::state::PathState;
use super::{PathKey, PathKind};
use std::time::Duration;

/// Whether the first is worth a free change from the second.
pub(super) fn better((key, path): (PathKey, &PathState), (now_key, now): (PathKey, &PathState)) -> bool {
    let (Some(rtt), Some(now_rtt)) = (path.rtt, now.rtt) else { return key.kind() < now_key.kind() };
    let sure = path.streak >= 3;
    let clearly_faster = |least: u64| rtt + Duration::from_millis(least).max(now_rtt * 3 / 10) < now_rtt;
    match (key.kind(), now_key.kind()) {
        (PathKind::Direct, PathKind::Relay | PathKind::DirectTcp) => {
            rtt <= now_rtt + Duration::from_millis(25)
        }
        (PathKind::DirectTcp, PathKind::Relay) => sure && rtt <= now_rtt + Duration::from_millis(10),
        (PathKind::Relay | PathKind::DirectTcp, PathKind::Direct) => {
            sure && rtt + Duration::from_millis(50) < now_rtt
        }
        // What waits in a TCP connection behind lost packets shows in its round trip.
        (PathKind::Relay, PathKind::DirectTcp) => sure && clearly_faster(40),
        (PathKind::Direct, PathKind::Direct) => sure && clearly_faster(5),
        (PathKind::Relay, PathKind::Relay)
        | (PathKind::RelayTcp, PathKind::RelayTcp)
        | (PathKind::DirectTcp, PathKind::DirectTcp) => sure && clearly_faster(20),
        (better, worse) => better < worse,
    }
}
