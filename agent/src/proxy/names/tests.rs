//! Against a server that carries everything out at once: what is believed of a name is what the server holds.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a client may send; statements are numbers.
#[derive(Debug, Clone)]
enum Message {
    Parse { name: u8, ok: bool },
    Bind { portal: u8, statement: u8, ok: bool },
    Execute { portal: u8 },
    ClosePortal(u8),
    CloseStatement(u8),
    Query(Vec<Sql>),
    Sync,
}

/// One statement; every fourth fails.
#[derive(Debug, Clone, PartialEq)]
struct Sql {
    effect: Effect,
    ok: bool,
}

const STATEMENTS: [&str; 3] = ["", "s", "t"];
const PORTALS: [&str; 3] = ["", "p", "q"];

fn name(names: [&'static str; 3], index: u8) -> &'static str {
    names[usize::from(index) % 3]
}

/// PostgreSQL, as far as names go.
#[derive(Debug, Default)]
struct Server {
    texts: Vec<Sql>,
    statements: BTreeMap<String, usize>,
    portals: BTreeMap<String, (Option<usize>, usize)>,
    savepoints: Vec<String>,
    block: Block,
    skipping: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Block {
    #[default]
    None,
    Open,
    Failed,
}

/// What was answered.
#[derive(Debug, Default)]
struct Answer {
    completed: usize,
    outcome: Option<Outcome>,
    idle: bool,
}

impl Server {
    fn fail(&mut self) {
        match self.block {
            Block::None => self.portals.clear(),
            Block::Open | Block::Failed => self.block = Block::Failed,
        }
    }

    /// Runs one statement; false if it fails.
    fn run(&mut self, sql: &Sql, begins: bool) -> bool {
        let exits = matches!(sql.effect, Effect::End | Effect::RollbackTo(_));
        if self.block == Block::Failed && !exits || !sql.ok {
            return false;
        }
        match &sql.effect {
            Effect::None if begins => self.block = Block::Open,
            Effect::None | Effect::Prepare(_) | Effect::MayEnd | Effect::DiscardAll => {}
            Effect::End => {
                self.portals.clear();
                self.savepoints.clear();
                self.block = Block::None;
            }
            Effect::Savepoint(_) | Effect::Release(_) | Effect::RollbackTo(_)
                if self.block == Block::None =>
            {
                return false;
            }
            Effect::Savepoint(name) => self.savepoints.push(name.clone()),
            Effect::Release(name) => {
                let Some(at) = self.savepoints.iter().rposition(|open| open == name) else { return false };
                self.savepoints.truncate(at);
                self.portals.values_mut().for_each(|(_, level)| *level = (*level).min(at));
            }
            Effect::RollbackTo(name) => {
                let Some(at) = self.savepoints.iter().rposition(|open| open == name) else { return false };
                self.savepoints.truncate(at + 1);
                self.portals.retain(|_, (_, level)| *level <= at);
                self.block = Block::Open;
            }
            Effect::Deallocate(Some(name)) => return self.statements.remove(name).is_some(),
            Effect::Deallocate(None) => self.statements.retain(|name, _| name.is_empty()),
            Effect::Declare(name) => {
                if self.block != Block::Open || self.portals.contains_key(name) {
                    return false;
                }
                self.portals.insert(name.clone(), (None, self.savepoints.len()));
            }
            Effect::Close(Some(name)) => return self.portals.remove(name).is_some(),
            Effect::Close(None) => self.portals.clear(),
        }
        true
    }

    fn take(&mut self, message: &Message, text: usize) -> Answer {
        let done = |ok: bool| Answer {
            outcome: Some(if ok { Outcome::Done } else { Outcome::Failed }),
            ..Answer::default()
        };
        if let Message::Sync = message {
            self.skipping = false;
            if self.block == Block::None {
                self.portals.clear();
            }
            return Answer { idle: self.block == Block::None, ..done(true) };
        }
        if self.skipping {
            return Answer { outcome: Some(Outcome::Skipped), ..Answer::default() };
        }
        let answer = match message {
            Message::Query(all) => return self.query(all),
            Message::Parse { name: own, ok } => {
                let own = name(STATEMENTS, *own);
                if own.is_empty() {
                    self.statements.remove("");
                }
                let ok = *ok && self.block != Block::Failed && !self.statements.contains_key(own);
                if ok {
                    self.statements.insert(own.to_owned(), text);
                }
                done(ok)
            }
            Message::Bind { portal, statement, ok } => {
                done(self.bind(name(PORTALS, *portal), name(STATEMENTS, *statement), *ok))
            }
            Message::Execute { portal } => {
                let Some((Some(text), _)) = self.portals.get(name(PORTALS, *portal)).copied() else {
                    return self.failed();
                };
                let sql = self.texts[text].clone();
                let ok = self.run(&sql, false);
                Answer { completed: usize::from(ok), ..done(ok) }
            }
            Message::ClosePortal(own) => {
                self.portals.remove(name(PORTALS, *own));
                done(true)
            }
            Message::CloseStatement(own) => {
                self.statements.remove(name(STATEMENTS, *own));
                done(true)
            }
            Message::Sync => done(true),
        };
        if answer.outcome == Some(Outcome::Failed) {
            return Answer { completed: answer.completed, ..self.failed() };
        }
        answer
    }

    fn bind(&mut self, portal: &str, source: &str, ok: bool) -> bool {
        let Some(found) = self.statements.get(source).copied() else { return false };
        let taken = !portal.is_empty() && self.portals.contains_key(portal);
        if taken || self.block == Block::Failed {
            return false;
        }
        self.portals.remove(portal);
        if ok {
            self.portals.insert(portal.to_owned(), (Some(found), self.savepoints.len()));
        }
        ok
    }

    fn failed(&mut self) -> Answer {
        self.skipping = true;
        self.fail();
        Answer { outcome: Some(Outcome::Failed), ..Answer::default() }
    }

    fn query(&mut self, all: &[Sql]) -> Answer {
        self.statements.remove("");
        let mut answer = Answer { outcome: Some(Outcome::Done), ..Answer::default() };
        for sql in all {
            self.portals.remove("");
            let begins = sql.effect == Effect::None && sql.ok;
            if !self.run(sql, begins) {
                self.fail();
                break;
            }
            answer.completed += 1;
        }
        if self.block == Block::None {
            self.portals.clear();
        }
        Answer { idle: self.block == Block::None, ..answer }
    }
}

fn effect() -> impl Strategy<Value = Effect> {
    let portal = || prop::sample::select(vec!["p", "q"]).prop_map(str::to_owned);
    let statement = || prop::sample::select(vec!["s", "t"]).prop_map(str::to_owned);
    let savepoint = || prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned);
    prop_oneof![
        4 => Just(Effect::None),
        3 => savepoint().prop_map(Effect::Savepoint),
        1 => savepoint().prop_map(Effect::Release),
        3 => savepoint().prop_map(Effect::RollbackTo),
        1 => Just(Effect::End),
        1 => prop::option::of(statement()).prop_map(Effect::Deallocate),
        2 => portal().prop_map(Effect::Declare),
        1 => prop::option::of(portal()).prop_map(Effect::Close),
    ]
}

fn sql() -> impl Strategy<Value = Sql> {
    (effect(), prop::bool::weighted(0.9)).prop_map(|(effect, ok)| Sql { effect, ok })
}

fn message() -> impl Strategy<Value = (Message, Sql)> {
    let any = || 0_u8..3;
    let ok = || prop::bool::weighted(0.8);
    let message = prop_oneof![
        4 => (any(), ok()).prop_map(|(name, ok)| Message::Parse { name, ok }),
        4 => (any(), any(), ok()).prop_map(|(portal, statement, ok)| Message::Bind { portal, statement, ok }),
        3 => any().prop_map(|portal| Message::Execute { portal }),
        1 => any().prop_map(Message::ClosePortal),
        1 => any().prop_map(Message::CloseStatement),
        2 => prop::collection::vec(sql(), 1..3).prop_map(Message::Query),
        4 => Just(Message::Sync),
    ];
    (message, sql())
}

/// A client, the names and the server; answers come when they are let through.
#[derive(Default)]
struct World {
    server: Server,
    names: Names<usize>,
    answers: VecDeque<(Option<Step>, Answer)>,
}

impl World {
    fn send(&mut self, message: &Message, text: &Sql) {
        let number = self.server.texts.len();
        self.server.texts.push(text.clone());
        let names = &mut self.names;
        // As the proxy does: what depends on outstanding answers waits for them.
        let unsettled = |names: &Names<usize>| match message {
            Message::Bind { statement, .. } => {
                names.statement(name(STATEMENTS, *statement).as_bytes()).is_unsettled()
            }
            Message::Execute { portal } => names.portal(name(PORTALS, *portal).as_bytes()).is_unsettled(),
            _ => false,
        };
        while unsettled(names) {
            let (step, answer) = self.answers.pop_front().expect("something is outstanding");
            settle(names, step, &answer);
        }
        let believed = match message {
            Message::Execute { portal } => names.portal(name(PORTALS, *portal).as_bytes()).known(),
            _ => None,
        };
        let step = match message {
            Message::Parse { name: own, .. } => {
                Some(names.parse(name(STATEMENTS, *own).as_bytes(), number, Whose::Client))
            }
            Message::Bind { portal, statement, .. } => {
                let known = names.statement(name(STATEMENTS, *statement).as_bytes()).known();
                Some(names.bind(name(PORTALS, *portal).as_bytes(), known.map(|held| held.statement)))
            }
            Message::Execute { portal } => {
                let known = names.portal(name(PORTALS, *portal).as_bytes()).known();
                let text = known.map_or(Effect::None, |text| self.server.texts[text].effect.clone());
                names.run(&Arc::from([text]), None)
            }
            Message::ClosePortal(own) => Some(names.close_portal(name(PORTALS, *own).as_bytes())),
            Message::CloseStatement(own) => {
                Some(names.close_statement(name(STATEMENTS, *own).as_bytes(), Whose::Client))
            }
            Message::Query(all) => {
                let effects = all.iter().map(|sql| sql.effect.clone()).collect();
                Some(names.query(&effects, None, Whose::Client))
            }
            Message::Sync => Some(names.end()),
        };
        let held = match message {
            Message::Execute { portal } => self.server.portals.get(name(PORTALS, *portal)).copied(),
            _ => None,
        };
        let skipped = self.server.skipping;
        let answer = self.server.take(message, number);
        if let Some((text, _)) = held.filter(|_| !skipped) {
            assert_eq!(believed, text, "what runs is not what is believed to run: {message:?}");
        }
        self.answers.push_back((step, answer));
        let unnamed = self.server.portals.contains_key("");
        assert!(self.names.has_unnamed_portal() || !unnamed, "it would be taken away after {message:?}");
    }

    fn answer(&mut self, count: usize) {
        for _ in 0..count {
            let Some((step, answer)) = self.answers.pop_front() else { return };
            settle(&mut self.names, step, &answer);
        }
    }

    /// With everything answered, belief and truth are the same.
    fn compare(&mut self) {
        self.answer(usize::MAX);
        for own in STATEMENTS {
            let believed = self.names.statement(own.as_bytes()).known().map(|held| held.statement);
            assert_eq!(believed, self.server.statements.get(own).copied(), "statement `{own}`");
        }
        for own in PORTALS {
            let believed = self.names.portal(own.as_bytes()).known();
            let held = self.server.portals.get(own).and_then(|(text, _)| *text);
            // Of the unnamed one it is not always known whether it is still there.
            if !own.is_empty() || held.is_some() {
                assert_eq!(believed, held, "portal `{own}`");
            }
        }
    }
}

fn settle(names: &mut Names<usize>, step: Option<Step>, answer: &Answer) {
    if let Some(step) = step {
        (0..answer.completed).for_each(|_| names.completed(step));
        names.settle(step, answer.outcome.unwrap());
    }
    if answer.idle {
        names.transaction_ended();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_believed_of_a_name_is_what_the_server_holds(
        messages in prop::collection::vec((message(), 0_usize..4), 1..60),
    ) {
        let mut world = World::default();
        for ((message, text), answered) in &messages {
            world.send(message, text);
            world.answer(*answered);
        }
        world.send(&Message::Sync, &Sql { effect: Effect::None, ok: true });
        world.compare();
    }
}

fn known(names: &Names<usize>, name: &str) -> Option<usize> {
    names.statement(name.as_bytes()).known().map(|held| held.statement)
}

#[test]
fn what_the_agent_takes_away_the_client_still_has() {
    let mut names = Names::default();
    let step = names.parse(b"", 1, Whose::Client);
    names.settle(step, Outcome::Done);
    let step = names.query(&Arc::default(), None, Whose::Agent);
    names.settle(step, Outcome::Done);
    assert_eq!(names.statement(b""), Belief::Known(Held { statement: 1, at_server: false }));
    // Prepared again, which fails: it can be tried once more.
    let step = names.parse(b"", 2, Whose::Agent);
    names.settle(step, Outcome::Failed);
    assert_eq!(names.statement(b""), Belief::Known(Held { statement: 1, at_server: false }));
    let step = names.parse(b"", 3, Whose::Agent);
    names.settle(step, Outcome::Done);
    assert_eq!(names.statement(b""), Belief::Known(Held { statement: 3, at_server: true }));
    let step = names.query(&Arc::default(), None, Whose::Client);
    names.settle(step, Outcome::Done);
    assert_eq!(known(&names, ""), None);
}

#[test]
fn a_transaction_with_very_many_savepoints_costs_what_is_known_of_its_portals_and_nothing_else() {
    let mut names = Names::default();
    let bind = |names: &mut Names<usize>| {
        let step = names.bind(b"p", Some(1));
        names.settle(step, Outcome::Done);
        names.portal(b"p").known()
    };
    for _ in 0..=MOST_SAVEPOINTS {
        assert_eq!(bind(&mut names), Some(1));
        let step = names.run(&Arc::from([Effect::Savepoint("a".to_owned())]), None).unwrap();
        names.completed(step);
        names.settle(step, Outcome::Done);
    }
    assert_eq!(names.savepoints.len(), MOST_SAVEPOINTS);
    assert_eq!((names.portal(b"p").known(), bind(&mut names)), (None, None));
    names.transaction_ended();
    assert_eq!(bind(&mut names), Some(1));
}
