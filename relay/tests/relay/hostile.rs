//! A relay that drops, doubles, reorders, truncates, corrupts, replays and lies breaks nothing but speed, and becomes
//! nobody.

use crate::program::say;
use crate::through_relay::{DEADLINE, World, echoes, now};
use daam_identity::ticket::TicketRole;
use daam_tunnel::wire::{Answer, FromRelay};
use daam_tunnel::{DialPlan, PathPreference, RelayTarget, dial};
use std::net::SocketAddr;
use tokio::net::UdpSocket;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Malice {
    Drops,
    Doubles,
    Reorders,
    Truncates,
    Corrupts,
    Replays,
    LiesAboutAddresses,
}

/// Stands in front of the real relay and mistreats one packet in seven.
async fn mistreat(relay: SocketAddr, malice: Malice) -> SocketAddr {
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = near.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        let (mut peer, mut count) = (None, 0_u64);
        let mut held: [Option<Vec<u8>>; 2] = [None, None];
        let mut old: [Vec<Vec<u8>>; 2] = Default::default();
        loop {
            let (way, packet) = tokio::select! {
                Ok((length, from)) = near.recv_from(&mut up) => {
                    peer = Some(from);
                    (0, up[..length].to_vec())
                }
                Ok((length, _)) = far.recv_from(&mut down) => (1, down[..length].to_vec()),
            };
            count += 1;
            let out = treated(packet, malice, count, (&mut held[way], &mut old[way]));
            for packet in out {
                let sent = match (way, peer) {
                    (0, _) => far.send_to(&packet, relay).await,
                    (_, Some(peer)) => near.send_to(&packet, peer).await,
                    _ => continue,
                };
                sent.unwrap_or_default();
            }
        }
    });
    at
}

fn treated(
    mut packet: Vec<u8>,
    malice: Malice,
    count: u64,
    (held, old): (&mut Option<Vec<u8>>, &mut Vec<Vec<u8>>),
) -> Vec<Vec<u8>> {
    if malice == Malice::LiesAboutAddresses {
        if let Some(FromRelay::Answer(Answer::Bound { instance, session, .. })) = FromRelay::read(&packet) {
            let observed = "192.0.2.66:6666".parse().unwrap();
            return vec![Answer::Bound { instance, session, observed }.encode()];
        }
        return vec![packet];
    }
    if old.len() < 2000 {
        old.push(packet.clone());
    }
    if !count.is_multiple_of(7) {
        return match held.take() {
            Some(before) => vec![packet, before],
            None => vec![packet],
        };
    }
    match malice {
        Malice::Drops => Vec::new(),
        Malice::Doubles => vec![packet.clone(), packet],
        Malice::Reorders => {
            *held = Some(packet);
            Vec::new()
        }
        Malice::Truncates => {
            packet.truncate(packet.len() / 2);
            vec![packet]
        }
        Malice::Corrupts => {
            let at = usize::try_from(count).unwrap() % packet.len();
            packet[at] ^= 0x55;
            vec![packet]
        }
        Malice::Replays => {
            let again = old[usize::try_from(count * 31).unwrap() % old.len()].clone();
            vec![packet, again]
        }
        Malice::LiesAboutAddresses => vec![packet],
    }
}

async fn survives(malice: Malice) {
    let world = World::new().await;
    let (theirs, ours) = (mistreat(world.relay, malice).await, mistreat(world.relay, malice).await);
    world.join(theirs);
    let relays = vec![RelayTarget::new(ours, "localhost:1", world.ticket(TicketRole::Client, now() + 300))];
    let plan = DialPlan { relays, prefer: PathPreference::Relay, ..world.plan(ours) };
    let tunnel = tokio::time::timeout(DEADLINE, dial(plan)).await.unwrap().unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    echoes(&tunnel, &bytes).await;
    tunnel.shutdown("done").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_mistreats_packets_changes_no_byte_of_a_session() {
    for malice in [
        Malice::Drops,
        Malice::Doubles,
        Malice::Reorders,
        Malice::Truncates,
        Malice::Corrupts,
        Malice::Replays,
    ] {
        say(&format!("{malice:?}"));
        survives(malice).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_lies_about_addresses_gains_nothing() {
    survives(Malice::LiesAboutAddresses).await;
}

/// It may claim to be the agent: it has no certificate for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_answers_itself_is_not_taken_for_the_agent() {
    let world = World::new().await;
    let impostor = World::new().await;
    impostor.join(impostor.relay);
    // The ticket is good there, the agent behind it is another organization's CA's.
    let ticket = impostor.ticket(TicketRole::Client, now() + 300);
    let relays = vec![RelayTarget::new(impostor.relay, "localhost:1", ticket)];
    let refused = dial(DialPlan { relays, ..world.plan(world.relay) }).await.unwrap_err().to_string();
    assert!(refused.contains("not from the organization's CA"), "{refused}");
}
