//! What waits to be said, and what comes meanwhile.

use crate::Counts;
use futures_util::{Sink as _, SinkExt as _, Stream as _};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// The largest frame sent, in bytes.
const FRAME: usize = 16 * 1024;

/// What an end puts up with.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// As many messages wait to be sent before no more is read; so an end must not wait for answers to more than this.
    pub waiting: usize,
    /// Nothing comes for longer than this from an end that is there.
    pub silence: Duration,
    /// Something was to be sent for longer than this and nothing of it was taken.
    pub stall: Duration,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// This came.
    Received(Message),
    /// Everything that waited is sent.
    Sent,
}

/// One end of a link.
#[derive(Debug)]
pub struct Duplex<S> {
    socket: WebSocketStream<S>,
    counts: Counts,
    most: Most,
    waiting: VecDeque<Bytes>,
    /// What the next frame of the first message is; a text before anything of it was sent.
    kind: Option<Data>,
    ping: bool,
    /// Something was given to the socket that may not have left it.
    unsent: bool,
    read: (u64, Instant),
    written: (u64, Instant),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex<S> {
    /// An open WebSocket, best without a write buffer of its own (what waits, waits here), and what moves over it.
    pub fn new(socket: WebSocketStream<S>, counts: Counts, most: Most) -> Self {
        let now = Instant::now();
        let (read, written) = ((counts.read(), now), (counts.written(), now));
        let waiting = VecDeque::new();
        Self { socket, counts, most, waiting, kind: None, ping: false, unsent: false, read, written }
    }

    /// Says a message, after those that wait.
    pub fn say(&mut self, text: Utf8Bytes) {
        self.begins();
        self.waiting.push_back(text.into());
    }

    /// Asks for a sign of life, before what waits.
    pub fn ping(&mut self) {
        self.begins();
        self.ping = true;
    }

    /// Whether nothing waits to be sent.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.ping && !self.unsent
    }

    /// Whether the other end is not there any more: it said nothing for too long, or took nothing.
    pub fn is_lost(&mut self) -> bool {
        self.look();
        self.read.1.elapsed() > self.most.silence
            || !self.is_idle() && self.written.1.elapsed() > self.most.stall
    }

    /// What happens next; what waits is sent meanwhile. Nothing is lost if this is not waited for to its end.
    /// `None` when the other end closed.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Says why the link ends, and nothing after.
    pub async fn close(&mut self, code: u16, reason: String) -> Result<(), Error> {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.send(Message::Close(Some(frame))).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let idle = self.is_idle();
        let sent = self.poll_send(cx);
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Some(Err(error)));
        }
        if sent.is_ready() && !idle {
            self.look();
            return Poll::Ready(Some(Ok(Event::Sent)));
        }
        let received = if self.waiting.len() < self.most.waiting {
            Pin::new(&mut self.socket).poll_next(cx)
        } else {
            Poll::Pending
        };
        self.look();
        received.map(|received| received.map(|received| received.map(Event::Received)))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_idle() {
            return Poll::Ready(Ok(()));
        }
        while self.ping || !self.waiting.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            let Some(message) = self.take() else { break };
            self.unsent = true;
            Pin::new(&mut self.socket).start_send(message)?;
        }
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.unsent = false;
        Poll::Ready(Ok(()))
    }

    /// What goes out next. No more of a message than a frame is in a buffer.
    fn take(&mut self) -> Option<Message> {
        if std::mem::take(&mut self.ping) {
            return Some(Message::Ping(Bytes::new()));
        }
        let first = self.waiting.front_mut()?;
        let part = first.split_to(first.len().min(FRAME));
        let last = first.is_empty();
        let kind = self.kind.take().unwrap_or(Data::Text);
        if last {
            self.waiting.pop_front();
            // A burst leaves no room behind.
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
        } else {
            self.kind = Some(Data::Continue);
        }
        Some(Message::Frame(Frame::message(part, OpCode::Data(kind), last)))
    }

    /// Time without sending counts for nothing.
    fn begins(&mut self) {
        if self.is_idle() {
            self.written.1 = Instant::now();
        }
    }

    fn look(&mut self) {
        for (known, count) in
            [(&mut self.read, self.counts.read()), (&mut self.written, self.counts.written())]
        {
            if known.0 != count {
                *known = (count, Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counted;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

    const MOST: Most = Most { waiting: 4, silence: Duration::from_secs(2), stall: Duration::from_secs(1) };

    const SOON: Duration = Duration::from_secs(20);

    type End = Duplex<Counted<DuplexStream>>;

    async fn end(io: DuplexStream, role: Role) -> End {
        let io = Counted::new(io);
        let counts = io.counts();
        let config = WebSocketConfig::default().write_buffer_size(0);
        Duplex::new(WebSocketStream::from_raw_socket(io, role, Some(config)).await, counts, MOST)
    }

    /// Until that many bytes of texts came; looks every few seconds whether anybody is there.
    async fn hear(end: &mut End, bytes: usize) {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let mut heard = 0;
        while heard < bytes || !end.is_idle() {
            tokio::select! {
                event = end.next() => {
                    if let Event::Received(Message::Text(text)) = event.unwrap().unwrap() {
                        heard += text.len();
                    }
                }
                _ = tick.tick() => {
                    assert!(!end.is_lost(), "{heard} of {bytes}");
                    end.ping();
                }
            }
        }
        assert_eq!(heard, bytes);
    }

    #[tokio::test]
    async fn two_that_say_more_than_fits_between_them_hear_each_other() {
        let (left, right) = duplex(1024);
        let (mut left, mut right) = (end(left, Role::Client).await, end(right, Role::Server).await);
        let large = "x".repeat(1 << 20);
        for end in [&mut left, &mut right] {
            end.say(large.clone().into());
            end.say("and".into());
        }
        let both =
            async { tokio::join!(hear(&mut left, large.len() + 3), hear(&mut right, large.len() + 3)) };
        timeout(SOON, both).await.unwrap();
    }

    /// Passes on a kibibyte every ten milliseconds each way.
    async fn slow_line(left: DuplexStream, right: DuplexStream) {
        async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
            let mut part = [0; 1024];
            while let Ok(read @ 1..) = from.read(&mut part).await {
                sleep(Duration::from_millis(10)).await;
                if to.write_all(&part[..read]).await.is_err() {
                    return;
                }
            }
        }
        let ((left_in, left_out), (right_in, right_out)) = (tokio::io::split(left), tokio::io::split(right));
        tokio::join!(pass(left_in, right_out), pass(right_in, left_out));
    }

    #[tokio::test]
    async fn a_message_that_takes_longer_than_a_silence_may_arrives_as_long_as_it_comes_on() {
        let ((left, near), (far, right)) = (duplex(1024), duplex(1024));
        let line = tokio::spawn(slow_line(near, far));
        let (mut left, mut right) = (end(left, Role::Client).await, end(right, Role::Server).await);
        let large = "x".repeat(400 << 10);
        left.say(large.clone().into());
        right.say(large.clone().into());
        let began = Instant::now();
        tokio::join!(hear(&mut left, large.len()), hear(&mut right, large.len()));
        assert!(began.elapsed() > MOST.silence);
        line.abort();
    }

    #[tokio::test]
    async fn one_that_takes_nothing_and_one_that_says_nothing_are_lost() {
        let (ours, theirs) = duplex(1024);
        let mut ours = end(ours, Role::Server).await;
        ours.say("x".repeat(1 << 20).into());
        assert!(!ours.is_lost());
        assert!(timeout(MOST.stall * 5 / 4, ours.next()).await.is_err());
        assert!(ours.is_lost(), "what was to be sent was not taken");
        drop(theirs);
        let (ours, _theirs) = duplex(1024);
        let mut ours = end(ours, Role::Server).await;
        assert!(!ours.is_lost());
        assert!(timeout(MOST.silence * 5 / 4, ours.next()).await.is_err());
        assert!(ours.is_lost(), "nothing came");
    }

    #[tokio::test]
    async fn where_too_many_wait_to_be_sent_no_more_is_read() {
        let (ours, theirs) = duplex(1024);
        let (mut ours, mut theirs) = (end(ours, Role::Server).await, end(theirs, Role::Client).await);
        for _ in 0..=MOST.waiting {
            ours.say("x".repeat(4096).into());
        }
        theirs.say("a question".into());
        assert!(matches!(theirs.next().await, Some(Ok(Event::Sent))));
        assert!(
            timeout(Duration::from_millis(200), ours.next()).await.is_err(),
            "read although nothing leaves"
        );
        let both = async { tokio::join!(hear(&mut ours, 10), hear(&mut theirs, 4096 * (MOST.waiting + 1))) };
        timeout(SOON, both).await.unwrap();
    }
}
