//! The agent link: one WebSocket per agent. The agent says hello; then whatever the store says has changed is pushed,
//! and what the agent observes is stored.
//!
//! A wake-up says only *that* something changed; what is sent is read from the store then, so a slow agent gets the
//! latest and never a queue. Decoding is strict: a message this version does not know ends the link with a reason.

use crate::app::App;
use crate::briefing::{self, Present};
use crate::hub::Wakes;
use crate::problem::Refusal;
use crate::serve::Meter;
use daam_api::link::{FromAgent, RelayOffer, ToAgent, VERSION};
use daam_identity::ticket::{TicketGrant, TicketSigner};
use daam_store::{AgentAuth, Hello};
use daam_wire::Event;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

mod access;
mod audit;
mod observe;
mod push;
mod refused;
mod roll;
mod seats;
mod socket;
pub(crate) mod text;

use push::Pushed;
use roll::Linked;
pub(crate) use roll::{Roll, keep as keep_the_roll};
pub(crate) use seats::{Seat, Seats};
use socket::Socket;
pub(crate) use socket::{Accepted, accept};
use text::Text;

/// Largest message read; a schema report is the large one.
pub(crate) const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;
/// An agent whose link was not heard of for this long is not online.
pub(crate) const ONLINE_SECONDS: i64 = 60;

/// Read of an agent before its hello; what it sends behind that may come with it.
const BEFORE_HELLO: u64 = 512 * 1024;
/// Messages of an agent take this long each, once it has sent many.
const EACH: Duration = Duration::from_millis(5);
/// As many as take this long come at once.
const BURST: Duration = Duration::from_secs(20);
const HELLO: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_secs(5);
/// For the words that a link ends with.
const CLOSE: Duration = Duration::from_secs(20);
const MOST_ADDRESSES: usize = 16;

/// Why a link ends, as the close frame says it.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer left.
    Gone,
    /// We end it.
    Close {
        /// A WebSocket close code.
        code: u16,
        /// For people.
        reason: String,
    },
}

/// Close codes of our own range.
pub(crate) mod code {
    /// The first message was not a usable hello.
    pub(crate) const HELLO: u16 = 4001;
    /// The agent speaks another version.
    pub(crate) const VERSION: u16 = 4002;
    /// A message this version does not know.
    pub(crate) const UNKNOWN: u16 = 4003;
    /// Another link of the same agent took its place, or the agent was removed.
    pub(crate) const REPLACED: u16 = 4004;
    /// Going away: the server stops.
    pub(crate) const STOPPING: u16 = 1001;
    /// A failure of ours.
    pub(crate) const INTERNAL: u16 = 1011;
}

impl End {
    pub(crate) fn close(code: u16, reason: impl Into<String>) -> Self {
        Self::Close { code, reason: reason.into() }
    }
}

impl From<Refusal> for End {
    fn from(_: Refusal) -> Self {
        Self::close(code::INTERNAL, "the control plane could not go on; connect again")
    }
}

impl From<daam_store::StoreError> for End {
    fn from(error: daam_store::StoreError) -> Self {
        Refusal::from(error).into()
    }
}

/// One connected agent.
pub(crate) struct Link {
    app: Arc<App>,
    agent: AgentAuth,
    linked: Linked,
    socket: Socket,
    /// What it is told was read no earlier than this count of wake-ups.
    woken: u64,
    /// The version of the directory the agent came with, and what that is known by.
    directory: (u64, Option<String>),
    /// When the messages it sent have had their time.
    paced: Instant,
    meter: Meter,
    /// How many texts and bytes are on their way, and since when there is what they tell.
    telling: (usize, usize, Option<Instant>),
    /// There may be news since then that it was not told because others were on their way.
    owed: Option<Instant>,
}

/// Serves a link to its end.
pub(crate) async fn run(app: Arc<App>, agent: AgentAuth, (seat, meter): (Seat, Meter), accepted: Accepted) {
    let socket = match accepted.open(LARGEST_MESSAGE).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(agent = agent.agent_id(), %error, "a link was never opened");
            return;
        }
    };
    let linked = app.roll().enter(&agent);
    let mut link = Link {
        app,
        agent,
        linked,
        socket,
        woken: 0,
        directory: (0, None),
        paced: Instant::now(),
        meter,
        telling: (0, 0, None),
        owed: None,
    };
    let end = tokio::select! {
        () = seat.ends().cancelled() => End::close(code::REPLACED, "newer links of this agent took its place"),
        end = link.until_its_end() => end,
    };
    if let Err(error) = link.app.db().agent_disconnected(&link.agent, link.linked.id()).await {
        tracing::warn!(%error, "could not record that an agent left; trying again");
        link.app.roll().ended(&link.agent, link.linked.id());
    }
    tracing::info!(agent = link.agent.agent_id(), database = link.agent.database(), ?end, "agent link ended");
    if let End::Close { code, mut reason } = end {
        // A close frame carries at most 123 bytes of reason.
        while reason.len() > 123 {
            reason.pop();
        }
        drop(timeout(CLOSE, link.socket.close(code, reason)).await);
    }
}

/// What a connection may send before its hello, from now on.
pub(crate) fn before_hello(meter: &Meter) {
    meter.allow(BEFORE_HELLO);
}

impl Link {
    async fn until_its_end(&mut self) -> End {
        match self.hello().await {
            Ok(()) => match self.serve().await {
                Ok(never) => match never {},
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    async fn hello(&mut self) -> Result<(), End> {
        let first = timeout(HELLO, self.receive())
            .await
            .map_err(|_| End::close(code::HELLO, "no hello within 10 seconds"))??;
        let FromAgent::Hello {
            version,
            agent_version,
            addresses,
            bundle_serial,
            directory_version,
            directory_digest,
        } = first
        else {
            return Err(End::close(code::HELLO, "the first message must be `hello`"));
        };
        if version != VERSION {
            let reason = format!("link version {version} is not spoken here; allowed is {VERSION}");
            return Err(End::close(code::VERSION, reason));
        }
        if addresses.len() > MOST_ADDRESSES || !addresses.iter().all(|address| crate::name::address(address))
        {
            return Err(End::close(code::HELLO, "`addresses` must be at most 16 of `host:port`"));
        }
        let agent_version: String = agent_version.chars().take(64).collect();
        let hello = Hello {
            link_id: self.linked.id(),
            addresses: &addresses,
            agent_version: &agent_version,
            bundle_serial,
            directory_version,
        };
        self.app.db().agent_connected(&self.agent, &hello, self.app.now()).await?;
        // What somebody else read before does not have this link.
        self.woken = self.app.hub().mark(self.agent.scope().org());
        self.directory = (directory_version, directory_digest);
        self.meter.lift();
        tracing::info!(agent = self.agent.agent_id(), database = self.agent.database(), "agent connected");
        Ok(())
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        // Subscribed before the first reading, so that no change falls between.
        let mut wake = self.app.hub().subscribe(self.agent.scope().org());
        let stop = self.app.stop().clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pushed = Pushed::to_holder_of(std::mem::take(&mut self.directory));
        let held = audit::held(&self.app, &self.agent).await?;
        self.say(&held)?;
        self.say(&ToAgent::SessionsRequest {})?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(End::close(code::STOPPING, "the control plane stops; connect again")),
                event = self.socket.next() => match event {
                    Some(Ok(Event::Sent)) => {
                        let (texts, bytes, since) = std::mem::take(&mut self.telling);
                        self.app.metrics().told(texts, bytes, since);
                        // What became news meanwhile.
                        if let Some(since) = self.owed.take() {
                            self.push_present(&mut pushed, Some(since)).await?;
                        }
                    }
                    event => if let Some(message) = decode(event)? {
                        self.pace().await;
                        self.hear(message, &mut pushed).await?;
                    }
                },
                // Several servers may share one database, so the tick also looks for what others changed.
                _ = tick.tick() => {
                    if self.socket.is_lost() {
                        return Err(End::Gone);
                    }
                    self.socket.ping();
                    let present = briefing::recent(&self.app, self.agent.scope(), self.woken).await?;
                    self.push(&present, &mut pushed, None).await?;
                }
                changed = wake.changed() => {
                    changed.map_err(|_| End::close(code::STOPPING, "the control plane stops; connect again"))?;
                    let Wakes { count, at } = *wake.borrow_and_update();
                    self.woken = self.woken.max(count);
                    self.push_present(&mut pushed, at).await?;
                }
            }
        }
    }

    async fn hear(&mut self, message: FromAgent, pushed: &mut Pushed) -> Result<(), End> {
        let wants = pushed.is_told(&message);
        if !matches!(message, FromAgent::DirectoryRequest {}) {
            // On the heap: what is seldom said does not make every link larger.
            Box::pin(self.take(message)).await?;
        }
        if wants {
            self.push_present(pushed, None).await?;
        }
        Ok(())
    }

    async fn push_present(&mut self, pushed: &mut Pushed, since: Option<Instant>) -> Result<(), End> {
        let present = briefing::at_least(&self.app, self.agent.scope(), self.woken).await?;
        self.push(&present, pushed, since).await
    }

    /// Tells what is news, if this is still the agent's link: once it took what it was told before, so that a slow one gets
    /// the latest then. `since` is when it was heard of.
    async fn push(
        &mut self,
        present: &Present,
        pushed: &mut Pushed,
        since: Option<Instant>,
    ) -> Result<(), End> {
        if !present.counts(&self.agent, self.linked.id()) {
            let reason = "another link of this agent took its place, or the agent was removed";
            return Err(End::close(code::REPLACED, reason));
        }
        if !self.socket.is_idle() {
            self.owed = self.owed.or(since).or_else(|| Some(Instant::now()));
            return Ok(());
        }
        let news = Box::pin(pushed.news(&self.app, &self.agent, present)).await?;
        for text in &news {
            self.socket.say(text.whole());
        }
        let bytes = news.iter().map(Text::len).fold(0, usize::saturating_add);
        self.telling = (news.len(), bytes, since);
        Ok(())
    }

    /// Reads on no sooner than an agent may go on: what it says is stored, and there is no end to what it can say.
    async fn pace(&mut self) {
        let now = Instant::now();
        self.paced = self.paced.max(now) + EACH;
        tokio::time::sleep((self.paced - now).saturating_sub(BURST)).await;
    }

    /// Stores what the agent says, and answers where it waits for one.
    async fn take(&mut self, message: FromAgent) -> Result<(), End> {
        match message {
            FromAgent::AuditBatch { chain, records, signature } => {
                let held = audit::store(&self.app, &self.agent, (&chain, signature), records).await?;
                self.say(&held)
            }
            FromAgent::AccessStatus { version, grants } => {
                access::store(&self.app, &self.agent, version, grants).await
            }
            message => observe::store(&self.app, &self.agent, message).await,
        }
    }

    fn say(&mut self, message: &ToAgent) -> Result<(), End> {
        self.socket.say(Text::of(message)?.whole());
        Ok(())
    }

    async fn receive(&mut self) -> Result<FromAgent, End> {
        loop {
            if let Some(message) = decode(self.socket.next().await)? {
                return Ok(message);
            }
        }
    }
}

/// `None` for the WebSocket's own housekeeping.
fn decode(event: Option<Result<Event, Error>>) -> Result<Option<FromAgent>, End> {
    match event {
        None | Some(Err(_) | Ok(Event::Received(Message::Close(_)))) => Err(End::Gone),
        Some(Ok(Event::Received(Message::Binary(_)))) => {
            Err(End::close(code::UNKNOWN, "binary messages are not part of this link"))
        }
        Some(Ok(Event::Received(Message::Text(text)))) => {
            serde_json::from_str(&text).map(Some).map_err(|error| {
                End::close(code::UNKNOWN, format!("not a message of link version {VERSION}: {error}"))
            })
        }
        Some(Ok(Event::Received(_) | Event::Sent)) => Ok(None),
    }
}

/// One ticket per relay, each for that relay alone.
pub(crate) fn relay_offers(
    signer: &TicketSigner,
    addresses: Vec<String>,
    grant: &TicketGrant,
) -> Result<Vec<RelayOffer>, Refusal> {
    addresses
        .into_iter()
        .map(|address| {
            let grant = TicketGrant { relay: address.clone(), ..grant.clone() };
            let ticket = signer.issue(&grant).map_err(|error| Refusal::internal("issue a ticket", &error))?;
            Ok(RelayOffer { address, ticket })
        })
        .collect()
}
