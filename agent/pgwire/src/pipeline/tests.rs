//! The queue against a model of the server's own loop.

use super::*;
use proptest::prelude::*;

/// What the model answers: the reply and the number of the request it is for.
type Said = (u8, &'static [u8], usize);

/// PostgreSQL's main loop, as far as it decides who is answered: `fails` says which requests raise an error.
fn server(requests: &[(Request, bool)]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut skip = false;
    for (number, (request, fails)) in requests.iter().enumerate() {
        if *request == Request::Sync {
            skip = false;
        } else if skip {
            continue;
        }
        if *fails {
            said.push((b'E', b"", number));
            match request {
                Request::Query | Request::Sync | Request::FunctionCall => said.push((b'Z', b"E", number)),
                _ => skip = true,
            }
            continue;
        }
        let replies: &[(u8, &'static [u8])] = match request {
            Request::Query => &[(b'T', b""), (b'N', b""), (b'C', b""), (b'I', b""), (b'Z', b"T")],
            Request::Parse => &[(b'1', b"")],
            Request::Bind => &[(b'2', b"")],
            Request::DescribeStatement => &[(b't', b""), (b'n', b"")],
            Request::DescribePortal => &[(b'T', b"")],
            Request::Execute => &[(b'N', b""), (b'C', b"")],
            Request::Close => &[(b'3', b"")],
            Request::Sync => &[(b'Z', b"I")],
            Request::FunctionCall => &[(b'V', b""), (b'Z', b"I")],
        };
        said.extend(replies.iter().map(|(tag, body)| (*tag, *body, number)));
    }
    said
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Query),
        Just(Request::Parse),
        Just(Request::Bind),
        Just(Request::DescribeStatement),
        Just(Request::DescribePortal),
        Just(Request::Execute),
        Just(Request::Close),
        Just(Request::Sync),
        Just(Request::FunctionCall),
    ]
}

proptest! {
    /// However sending and receiving interleave, every reply goes to the request the server meant.
    #[test]
    fn every_reply_is_attributed_to_its_request(
        requests in prop::collection::vec((request(), prop::bool::weighted(0.2)), 0..40),
        turns in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let mut pipeline = Pipeline::new();
        let mut sent: Vec<(Request, bool)> = Vec::new();
        let mut numbers: Vec<usize> = Vec::new();
        let mut heard = 0;
        let mut waiting = requests.iter().enumerate();
        let mut turns = turns.into_iter();
        loop {
            // What was ignored was not sent, which must make no difference to the server's answers.
            let said = server(&sent);
            let more = said.get(heard).copied();
            let send = turns.next().unwrap_or(false) || more.is_none();
            if send {
                let Some((number, (request, fails))) = waiting.next() else {
                    if more.is_none() {
                        break;
                    }
                    continue;
                };
                if pipeline.sent(*request, number) == Sent::Expected {
                    sent.push((*request, *fails));
                    numbers.push(number);
                }
            } else if let Some((tag, body, index)) = more {
                let reply = pipeline.reply(tag, body).unwrap();
                prop_assert_eq!(reply.owner, numbers.get(index).copied());
                heard += 1;
            }
        }
        prop_assert_eq!(pipeline.in_flight(), 0);
        let full: Vec<_> = server(&requests).into_iter().map(|(tag, _, number)| (tag, number)).collect();
        let ours: Vec<_> = server(&sent)
            .into_iter()
            .map(|(tag, _, index)| (tag, numbers[index]))
            .collect();
        prop_assert_eq!(full, ours);
    }

    #[test]
    fn no_reply_panics(replies in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..3)), 0..40)) {
        let mut pipeline = Pipeline::new();
        for request in [Request::Query, Request::Parse, Request::Execute, Request::Sync] {
            pipeline.sent(request, ());
        }
        for (tag, body) in replies {
            let before = pipeline.in_flight();
            let _ = pipeline.reply(tag, &body);
            prop_assert!(pipeline.in_flight() <= before);
        }
    }
}

#[test]
fn an_error_skips_to_sync_whether_sync_was_sent_or_not() {
    let mut pipeline = Pipeline::new();
    for (request, note) in [(Request::Parse, 1), (Request::Bind, 2), (Request::Execute, 3)] {
        assert_eq!(pipeline.sent(request, note), Sent::Expected);
    }
    let reply = pipeline.reply(b'E', b"").unwrap();
    assert_eq!((reply.owner, reply.finished, reply.skipped), (Some(1), true, vec![2, 3]));
    assert!(pipeline.skipping() && !pipeline.is_settled());
    assert_eq!(pipeline.sent(Request::Query, 4), Sent::Ignored);
    assert_eq!(pipeline.sent(Request::Sync, 5), Sent::Expected);
    assert_eq!(pipeline.reply(b'Z', b"E").unwrap().owner, Some(5));
    assert!(pipeline.is_settled());
    assert_eq!(pipeline.status(), TransactionStatus::Failed);
}

#[test]
fn a_suspended_portal_ends_its_execute() {
    let mut pipeline = Pipeline::new();
    pipeline.sent(Request::Execute, 1);
    pipeline.sent(Request::Execute, 2);
    assert!(!pipeline.reply(b'D', b"").unwrap().finished);
    assert!(pipeline.reply(b's', b"").unwrap().finished);
    assert_eq!(pipeline.reply(b'C', b"").unwrap().owner, Some(2));
    assert!(!pipeline.is_settled(), "no Sync yet");
}

#[test]
fn copy_in_lasts_from_its_response_to_its_end() {
    let mut pipeline = Pipeline::new();
    pipeline.sent(Request::Query, ());
    pipeline.reply(b'G', b"").unwrap();
    assert!(pipeline.copy_in());
    pipeline.copy_ended();
    assert!(!pipeline.copy_in());
    pipeline.reply(b'C', b"").unwrap();
    pipeline.reply(b'Z', b"I").unwrap();
    assert!(pipeline.is_settled());
}

#[test]
fn what_the_server_says_on_its_own_belongs_to_nobody() {
    let mut pipeline = Pipeline::<()>::new();
    assert_eq!(pipeline.reply(b'A', b"").unwrap().owner, None);
    assert_eq!(pipeline.reply(b'E', b"").unwrap().owner, None);
    assert_eq!(pipeline.reply(b'C', b""), Err(OutOfStep::Unexpected(b'C')));
    assert_eq!(pipeline.reply(b'Z', b"I"), Err(OutOfStep::Unexpected(b'Z')));
}
