//! Which statement stands behind the name of a prepared statement or portal, as PostgreSQL itself would say.
//!
//! Every request that gives, takes or may change a name is a [`Step`]: registered when it is sent, settled when it is
//! answered. What is *confirmed* follows from answers alone, in their order. What is sent next may rely on more: on
//! the steps of its own batch that have no answer yet, because if one of them fails the server passes over it, too.
//! Whatever else depends on outstanding answers is [`Belief::Unsettled`], and the message has to wait for them.
//!
//! PostgreSQL's rules, which this repeats: a `Parse` or `Bind` that fails leaves a named one as it was and takes the
//! unnamed one away (of a portal perhaps: nothing else can come into its place, so it goes on being known for what it is
//! if it is there); a simple query takes both unnamed ones away; after an error everything up to `Sync` is passed
//! over; portals end with their transaction or with the savepoint they were made under, and prepared statements do not.
//! What only SQL has given a name (`PREPARE`, `DECLARE`) is no answer to what stands behind it; of `PREPARE` it is known
//! that it did.

mod answer;

use bytes::Bytes;
use daam_enforce::rewrite::Effect;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Savepoints of one transaction whose portals are told apart.
const MOST_SAVEPOINTS: usize = 10_000;

/// A request that concerns names, between being sent and being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step(u64);

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The client.
    Client,
    /// The agent: what it does to the server's names is not the client's doing.
    Agent,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should be.
    Done,
    /// With an error.
    Failed,
    /// Not at all: something before it failed.
    Skipped,
}

/// What stands behind a name for what is sent next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Belief<T> {
    /// This and nothing else.
    Known(T),
    /// Nothing that came by the protocol.
    Unknown,
    /// That depends on answers that are outstanding.
    Unsettled,
}

impl<T> Belief<T> {
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    pub(super) fn is_unsettled(&self) -> bool {
        matches!(self, Self::Unsettled)
    }

    pub(super) fn known(self) -> Option<T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown | Self::Unsettled => None,
        }
    }
}

/// A prepared statement the client has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held<S> {
    pub(super) statement: S,
    /// Whether the server has it, too: something of the agent's own may have taken it away.
    pub(super) at_server: bool,
}

/// What a statement does when it runs.
type Effects = Arc<[Effect]>;

#[derive(Debug)]
enum Action<S> {
    Parse {
        name: Bytes,
        statement: S,
        whose: Whose,
    },
    /// A `Parse` that will fail.
    Refused {
        name: Bytes,
    },
    CloseStatement {
        name: Bytes,
        whose: Whose,
    },
    Bind {
        portal: Bytes,
        statement: Option<S>,
    },
    ClosePortal {
        name: Bytes,
    },
    /// `Execute`.
    Run(Running<S>),
    /// A simple query.
    Query(Running<S>, Whose),
    /// `Sync`, or something else that ends a batch.
    End,
}

/// What runs, how far it is, and what of it `PREPARE` would have to be given again.
#[derive(Debug)]
struct Running<S> {
    effects: Effects,
    done: usize,
    source: Option<S>,
}

#[derive(Debug)]
struct Pending<S> {
    step: Step,
    batch: u64,
    action: Action<S>,
}

#[derive(Debug)]
struct Portal<S> {
    statement: S,
    /// How many savepoints were open when it was made.
    level: usize,
}

/// The client's prepared statements and portals.
#[derive(Debug)]
pub(super) struct Names<S> {
    statements: HashMap<Bytes, Held<S>>,
    portals: BTreeMap<Bytes, Portal<S>>,
    /// What SQL's `PREPARE` made, and of what if that is known.
    prepared: BTreeMap<Bytes, Option<S>>,
    savepoints: Vec<String>,
    /// There are more savepoints than are told apart: no portal is known until the transaction is over.
    lost_count: bool,
    pending: VecDeque<Pending<S>>,
    steps: u64,
    batch: u64,
}

impl<S> Default for Names<S> {
    fn default() -> Self {
        Self {
            statements: HashMap::new(),
            portals: BTreeMap::new(),
            prepared: BTreeMap::new(),
            savepoints: Vec::new(),
            lost_count: false,
            pending: VecDeque::new(),
            steps: 0,
            batch: 0,
        }
    }
}

impl<S: Clone> Names<S> {
    /// A `Parse`.
    pub(super) fn parse(&mut self, name: &[u8], statement: S, whose: Whose) -> Step {
        self.push(Action::Parse { name: Bytes::copy_from_slice(name), statement, whose })
    }

    /// A `Parse` of a text that no server accepts.
    pub(super) fn refused_parse(&mut self, name: &[u8]) -> Step {
        self.push(Action::Refused { name: Bytes::copy_from_slice(name) })
    }

    /// A `Close` of a statement.
    pub(super) fn close_statement(&mut self, name: &[u8], whose: Whose) -> Step {
        self.push(Action::CloseStatement { name: Bytes::copy_from_slice(name), whose })
    }

    /// A `Bind`; of what, if that is known.
    pub(super) fn bind(&mut self, portal: &[u8], statement: Option<S>) -> Step {
        self.push(Action::Bind { portal: Bytes::copy_from_slice(portal), statement })
    }

    /// A `Close` of a portal.
    pub(super) fn close_portal(&mut self, name: &[u8]) -> Step {
        self.push(Action::ClosePortal { name: Bytes::copy_from_slice(name) })
    }

    /// An `Execute` of a text with these effects; none if it has none.
    pub(super) fn run(&mut self, effects: &Effects, source: Option<S>) -> Option<Step> {
        let nothing = effects.iter().all(|effect| *effect == Effect::None);
        let running = Running { effects: Arc::clone(effects), done: 0, source };
        (!nothing).then(|| self.push(Action::Run(running)))
    }

    /// A simple query.
    pub(super) fn query(&mut self, effects: &Effects, source: Option<S>, whose: Whose) -> Step {
        let running = Running { effects: Arc::clone(effects), done: 0, source };
        let step = self.push(Action::Query(running, whose));
        self.batch = self.batch.wrapping_add(1);
        step
    }

    /// A `Sync` or a `FunctionCall`.
    pub(super) fn end(&mut self) -> Step {
        let step = self.push(Action::End);
        self.batch = self.batch.wrapping_add(1);
        step
    }

    fn push(&mut self, action: Action<S>) -> Step {
        self.steps = self.steps.wrapping_add(1);
        let step = Step(self.steps);
        self.pending.push_back(Pending { step, batch: self.batch, action });
        step
    }

    /// It was not sent after all.
    pub(super) fn withdraw(&mut self, step: Step) {
        if self.pending.back().is_some_and(|last| last.step == step) {
            self.pending.pop_back();
        }
    }
}

impl<S: Clone> Names<S> {
    /// What stands behind the name of a statement.
    pub(super) fn statement(&self, name: &[u8]) -> Belief<Held<S>> {
        for pending in self.pending.iter().rev() {
            let earlier = pending.batch != self.batch;
            match &pending.action {
                Action::Parse { name: given, .. } | Action::CloseStatement { name: given, .. }
                    if given == name && earlier =>
                {
                    return Belief::Unsettled;
                }
                Action::Parse { name: given, statement, .. } if given == name => {
                    return Belief::Known(Held { statement: statement.clone(), at_server: true });
                }
                Action::CloseStatement { name: given, .. } if given == name => return Belief::Unknown,
                Action::Refused { name: given } if given == name => return Belief::Unsettled,
                Action::Query(..) if name.is_empty() => return Belief::Unsettled,
                Action::Run(running) | Action::Query(running, _)
                    if running.effects.iter().any(|effect| concerns_statement(effect, name)) =>
                {
                    return Belief::Unsettled;
                }
                _ => {}
            }
        }
        self.statements.get(name).cloned().map_or(Belief::Unknown, Belief::Known)
    }

    /// What stands behind the name of a portal.
    pub(super) fn portal(&self, name: &[u8]) -> Belief<S> {
        for pending in self.pending.iter().rev() {
            let earlier = pending.batch != self.batch;
            match &pending.action {
                Action::Bind { portal, .. } | Action::ClosePortal { name: portal }
                    if portal == name && earlier =>
                {
                    return Belief::Unsettled;
                }
                Action::Bind { portal, statement } if portal == name => {
                    return statement.clone().map_or(Belief::Unknown, Belief::Known);
                }
                Action::ClosePortal { name: portal } if portal == name => return Belief::Unknown,
                Action::Run(running)
                    if running.effects.iter().any(|effect| concerns_portal(effect, name)) =>
                {
                    return Belief::Unsettled;
                }
                // Whether a transaction is open then is not known.
                Action::Query(..) | Action::End => return Belief::Unsettled,
                _ => {}
            }
        }
        let known = self.portals.get(name).map(|portal| portal.statement.clone());
        known.map_or(Belief::Unknown, Belief::Known)
    }

    /// The client's statement is read anew, and what the server has of it stands.
    pub(super) fn reread(&mut self, name: &[u8], read: S) {
        let on_its_way = self.pending.iter_mut().rev().find_map(|pending| match &mut pending.action {
            Action::Parse { name: given, statement, .. } if given == name => Some(statement),
            _ => None,
        });
        let confirmed = self.statements.get_mut(name).map(|held| &mut held.statement);
        if let Some(statement) = on_its_way.or(confirmed) {
            *statement = read;
        }
    }

    /// What SQL's `PREPARE` made, and of what if that is known.
    pub(super) fn prepared(&self) -> impl Iterator<Item = (&Bytes, Option<&S>)> {
        self.prepared.iter().map(|(name, source)| (name, source.as_ref()))
    }

    /// A statement of SQL's `PREPARE` is read anew, and what the server has of it stands.
    pub(super) fn reread_prepared(&mut self, name: &[u8], read: S) {
        if let Some(source) = self.prepared.get_mut(name) {
            *source = Some(read);
        }
    }

    /// How many statements there are, or may be soon.
    pub(super) fn statements(&self) -> usize {
        let confirmed = self.statements.len().saturating_add(self.prepared.len());
        confirmed.saturating_add(
            self.count(|action| matches!(action, Action::Parse { .. } | Action::Run(_) | Action::Query(..))),
        )
    }

    /// How many portals there are, or may be soon.
    pub(super) fn portals(&self) -> usize {
        self.portals.len().saturating_add(self.count(|action| matches!(action, Action::Bind { .. })))
    }

    fn count(&self, which: impl Fn(&Action<S>) -> bool) -> usize {
        self.pending.iter().filter(|pending| which(&pending.action)).count()
    }

    /// Whether anything has no answer yet.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether something stands, or may stand once all is answered, behind the portal without a name.
    pub(super) fn has_unnamed_portal(&self) -> bool {
        let bound = |action: &Action<S>| matches!(action, Action::Bind { portal, .. } if portal.is_empty());
        self.lost_count || self.portals.contains_key(b"".as_slice()) || self.count(bound) > 0
    }
}

fn concerns_statement(effect: &Effect, name: &[u8]) -> bool {
    match effect {
        Effect::Prepare(own) | Effect::Deallocate(Some(own)) => own.as_bytes() == name,
        Effect::Deallocate(None) | Effect::DiscardAll => true,
        _ => false,
    }
}

fn concerns_portal(effect: &Effect, name: &[u8]) -> bool {
    match effect {
        Effect::None | Effect::Prepare(_) | Effect::Deallocate(_) => false,
        Effect::Declare(own) | Effect::Close(Some(own)) => own.as_bytes() == name,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
