//! A first packet of any content: refused, or read; what is read and built again reads the same.

use daam_pgwire::FrameBuffer;
use daam_pgwire::startup::{Startup, encode_cancel, encode_session, encode_ssl_request, parse_startup};

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(startup) = parse_startup(bytes) else { return };
    let built = match &startup {
        Startup::Ssl => encode_ssl_request(),
        Startup::GssEnc => return,
        Startup::Cancel(key) => encode_cancel(key),
        Startup::Session(parameters) => {
            let _ = (parameters.user(), parameters.database(), parameters.needs_negotiation());
            for (name, _) in parameters.option_settings().unwrap_or_default() {
                assert!(!name.contains('-'), "a setting's name as the server does not know it");
            }
            encode_session(parameters)
        }
    };
    let mut buffer = FrameBuffer::with_bytes(&built);
    let Ok(Some(packet)) = buffer.take_startup() else {
        assert!(built.len() > 10_000, "what we build is a packet");
        return;
    };
    assert_eq!(parse_startup(&packet).ok(), Some(startup));
    assert!(buffer.is_empty());
}
