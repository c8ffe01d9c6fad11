//! A client's message of any content: refused, or read from exactly its own bytes; what is read and built again is the
//! same message.

use daam_pgwire::FrameBuffer;
use daam_pgwire::frontend::{self, Message};

pub(crate) fn holds(bytes: &[u8]) {
    let mut buffer = FrameBuffer::with_bytes(bytes);
    while let Ok(Some(frame)) = buffer.take() {
        let Ok(message) = frontend::parse(&frame) else { continue };
        let text = |sql| std::str::from_utf8(sql).ok();
        let built = match message {
            Message::Query(sql) => text(sql).map(frontend::query),
            Message::Parse(parse) => {
                text(parse.sql).map(|sql| frontend::parse_statement(parse.name, sql, parse.types))
            }
            Message::Close(target) => Some(frontend::close(target)),
            Message::Sync => Some(frontend::sync()),
            Message::Flush => Some(frontend::flush()),
            Message::Terminate => Some(frontend::terminate()),
            Message::Execute(execute) if execute.rows == 0 => Some(frontend::execute(execute.portal)),
            Message::CopyFail(reason) => text(reason).map(frontend::copy_fail),
            Message::Bind(bind) => {
                assert!(bind.parameters <= frame.body().len(), "more values than bytes");
                None
            }
            _ => None,
        };
        if let Some(built) = built {
            assert_eq!(&built[..], frame.as_bytes(), "a message has two forms");
        }
    }
}
