//! Batches are sorted as they should be, whatever is in them.

use super::batch::MAX_STASH;
use super::*;
use crate::path::probe::{KEY_BYTES, ProbeKey, ProbeKind, Side};
use proptest::prelude::*;

const RELAY: &str = "192.0.2.5:443";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn with_relay(socket: &PathSocket) -> mpsc::Receiver<Vec<u8>> {
    let (control, packets) = mpsc::channel(4);
    socket.routes().add_udp(at(RELAY), control);
    packets
}

fn received(from: &str, packets: &[Vec<u8>]) -> (Vec<u8>, RecvMeta) {
    let bytes: Vec<u8> = packets.concat();
    let stride = packets.first().map_or(0, Vec::len);
    (bytes.clone(), RecvMeta { addr: at(from), len: bytes.len(), stride, ..RecvMeta::default() })
}

fn data(session: u32, body: &[u8]) -> Vec<u8> {
    [&wire::data_header(session)[..], body].concat()
}

#[tokio::test]
async fn a_batch_of_one_session_is_unwrapped_in_place() {
    let (socket, _probes) = PathSocket::listening(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let _packets = with_relay(&socket);
    let (mut bytes, mut meta) =
        received(RELAY, &[data(9, b"\x40aaa"), data(9, b"\x40bbb"), data(9, b"\x40c")]);
    socket.sort(&mut bytes, &mut meta);
    assert_eq!((&bytes[..meta.len], meta.stride), (&b"\x40aaa\x40bbb\x40c"[..], 4));
    assert_eq!(socket.routes().route(meta.addr), Some(Route::Relay { via: Via::Udp(at(RELAY)), session: 9 }));
    assert_eq!(kind_of(meta.addr), crate::path::PathKind::Relay);
}

#[tokio::test]
async fn other_sessions_of_a_batch_come_later_and_control_goes_aside() {
    let (socket, _probes) = PathSocket::listening(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let mut control = with_relay(&socket);
    let alive = wire::alive(3);
    let (mut bytes, mut meta) = received(
        RELAY,
        &[data(1, b"\x40one"), data(2, b"\x40two"), alive.to_vec(), vec![0; 4], data(1, b"\x40")],
    );
    socket.sort(&mut bytes, &mut meta);
    assert_eq!((&bytes[..meta.len], meta.stride), (&b"\x40one\x40"[..], 4));
    let mut buffer = [0; 100];
    let mut metas = [RecvMeta::default(); 2];
    let mut second = [0; 100];
    let mut bufs = [IoSliceMut::new(&mut buffer), IoSliceMut::new(&mut second)];
    assert_eq!(
        socket.take_waiting(&mut Context::from_waker(std::task::Waker::noop()), &mut bufs, &mut metas),
        1
    );
    assert_eq!(&bufs[0][..metas[0].len], b"\x40two");
    assert_eq!(
        socket.routes().route(metas[0].addr),
        Some(Route::Relay { via: Via::Udp(at(RELAY)), session: 2 })
    );
    assert_eq!(control.try_recv().unwrap()[..8], alive);
}

#[tokio::test]
async fn unknown_senders_and_the_discard_prefix_are_dropped() {
    let (dialling, _probes) = PathSocket::dialling().unwrap();
    let known = virtual_peer(1);
    dialling.routes().point(known, Route::Direct(at("192.0.2.1:6432")));
    let (mut bytes, mut meta) = received("192.0.2.1:6432", &[b"\x40x".to_vec()]);
    dialling.sort(&mut bytes, &mut meta);
    assert_eq!((plain(meta.addr), meta.len), (known, 2));
    for stranger in ["192.0.2.1:6433", "198.18.1.1:4433"] {
        let (mut bytes, mut meta) = received(stranger, &[b"\x40x".to_vec()]);
        dialling.sort(&mut bytes, &mut meta);
        assert_eq!(meta.len, 0);
    }
    let (listening, _probes) =
        PathSocket::listening(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let (mut bytes, mut meta) = received("[100::1:0:0:9]:4433", &[b"\x40x".to_vec()]);
    listening.sort(&mut bytes, &mut meta);
    assert_eq!(meta.len, 0);
    // Relay packets count only from a relay.
    let (mut bytes, mut meta) = received("192.0.2.66:443", &[data(9, b"\x40x")]);
    listening.sort(&mut bytes, &mut meta);
    assert_eq!(meta.len, 0);
}

#[tokio::test]
async fn a_peer_is_heard_on_every_admitted_path_and_sent_to_on_one() {
    let (socket, _probes) = PathSocket::dialling().unwrap();
    let _packets = with_relay(&socket);
    let (peer, relayed) = (virtual_peer(1), Route::Relay { via: Via::Udp(at(RELAY)), session: 4 });
    let direct = Route::Direct(at("192.0.2.1:6432"));
    socket.routes().point(peer, direct);
    socket.routes().admit(peer, relayed);
    assert_eq!(socket.routes().route(peer), Some(direct));
    socket.routes().point(peer, relayed);
    assert_eq!(socket.routes().route(peer), Some(relayed));
    for route in [direct, relayed] {
        assert_eq!(socket.routes().source(route, false), Some(peer));
        assert!(socket.routes().take_seen(route).heard.is_some());
    }
    socket.routes().forget(direct);
    assert_eq!(socket.routes().source(direct, false), None);
    assert_eq!(socket.routes().source(Route::Relay { via: Via::Udp(at(RELAY)), session: 5 }, false), None);
}

#[tokio::test]
async fn probes_go_aside_and_a_strangers_relay_packet_goes_nowhere() {
    let (socket, mut probes) =
        PathSocket::listening(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let _packets = with_relay(&socket);
    let key = ProbeKey::new(Side::Dialling, &[1; KEY_BYTES]);
    let ping = key.seal(ProbeKind::Ping, 1);
    // As many as anybody likes of those that name no connection of ours take nobody's room.
    for n in 0..2000_u64 {
        let (mut bytes, mut meta) = received("192.0.2.1:9", &[key.seal(ProbeKind::Ping, n).to_vec()]);
        socket.sort(&mut bytes, &mut meta);
    }
    assert!(probes.try_recv().is_err());
    socket.listen_for(key.tag());
    for (from, packet, route) in [
        ("192.0.2.1:9", ping.to_vec(), Some(Route::Direct(at("192.0.2.1:9")))),
        (RELAY, data(7, &ping), Some(Route::Relay { via: Via::Udp(at(RELAY)), session: 7 })),
        ("192.0.2.1:9", data(7, &ping), None),
    ] {
        let (mut bytes, mut meta) = received(from, &[packet]);
        socket.sort(&mut bytes, &mut meta);
        assert_eq!(meta.len, 0);
        assert_eq!(probes.try_recv().ok(), route.map(|route| (route, ping.to_vec())));
    }
}

#[test]
fn arbitrary_batches_never_panic_and_never_grow() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let (socket, _probes) = PathSocket::listening(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let _packets = with_relay(&socket);
    let batches = (proptest::collection::vec(0u8..4, 0..400), 0usize..50, any::<bool>(), 0usize..500);
    let mut runner = proptest::test_runner::TestRunner::default();
    let checked = runner.run(&batches, |(mut bytes, stride, relayed, claimed)| {
        let length = bytes.len();
        let addr = at(if relayed { RELAY } else { "192.0.2.66:1" });
        let mut meta = RecvMeta { addr, len: claimed, stride, ..RecvMeta::default() };
        socket.sort(&mut bytes, &mut meta);
        prop_assert!(meta.len <= claimed.max(length));
        prop_assert!(socket.stash().len() <= MAX_STASH);
        Ok(())
    });
    assert_eq!(checked, Ok(()));
}
