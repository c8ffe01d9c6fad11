//! Requests and replies in any order: every request is answered, skipped or waiting, exactly once, and a reply is
//! attributed to the oldest one that waits or refused.

use daam_pgwire::pipeline::{Pipeline, Request, Sent};

const REQUESTS: [Request; 9] = [
    Request::Query,
    Request::Parse,
    Request::Bind,
    Request::DescribeStatement,
    Request::DescribePortal,
    Request::Execute,
    Request::Close,
    Request::Sync,
    Request::FunctionCall,
];
const REPLIES: &[u8] = b"ZECDdGHcsIT12n3tVNSAWx";

pub(crate) fn holds(bytes: &[u8]) {
    let mut pipeline = Pipeline::new();
    let (mut next, mut over) = (0_usize, 0_usize);
    for byte in bytes {
        let index = usize::from(byte >> 1);
        if byte & 1 == 0 {
            let request = REQUESTS[index % REQUESTS.len()];
            if pipeline.sent(request, next) == Sent::Expected {
                next += 1;
            } else {
                assert!(pipeline.skipping() && request != Request::Sync);
            }
        } else {
            let tag = REPLIES[index % REPLIES.len()];
            let oldest = pipeline.current().copied();
            let status: &[u8] = if tag == b'Z' { &[b"ITE"[index % 3]] } else { b"" };
            let Ok(reply) = pipeline.reply(tag, status) else { return };
            assert_eq!(reply.owner, oldest, "another request is answered than the oldest");
            if reply.finished {
                assert_eq!(oldest, Some(over));
                over += 1;
            }
            for skipped in reply.skipped {
                assert_eq!(skipped, over, "skipped out of order");
                over += 1;
            }
        }
        assert_eq!(pipeline.in_flight(), next - over, "a request is lost or counted twice");
        assert!(pipeline.notes().copied().eq(over..next));
        assert!(!pipeline.is_settled() || pipeline.in_flight() == 0);
        if *byte == 0xfe {
            pipeline.copy_ended();
        }
    }
}
