//! Whether the other computer is there: one that sleeps or is offline says nothing for a while, and comes back.
//!
//! The connection itself outlives hours of silence; here is decided how long that is worth it, pure, time passed in. The
//! listening side tells its sessions, so that nobody who is away keeps locks, and gives up after the time it is told;
//! the dialling side gives up much sooner, but counts only time that it was awake and online.

use crate::close::{CloseCode, reason_bytes};
use quinn::{Connection, ConnectionStats};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Keep-alives come every 15 seconds; without anything for so long, the other side is away.
pub const AWAY: Duration = Duration::from_secs(45);
/// How long the dialling side, awake and online, waits for an agent that says nothing.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// More time than this cannot have passed awake between two looks.
pub const LONGEST_LOOK: Duration = Duration::from_secs(31);
const LOOK: Duration = Duration::from_secs(5);

/// How it stands with the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It was heard lately.
    Here,
    /// It was not.
    Away,
    /// Not for longer than is waited for.
    Gone,
}

/// Counts what was heard.
#[derive(Debug)]
pub struct Silence {
    heard: u64,
    looked: Duration,
    silent: Duration,
}

impl Silence {
    /// Begins with the other side here.
    pub fn new(now: Duration) -> Self {
        Self { heard: 0, looked: now, silent: Duration::ZERO }
    }

    /// `heard` grows with everything genuine that came; after `longest` of silence the other side is gone.
    pub fn look(&mut self, heard: u64, longest: Duration, now: Duration) -> Presence {
        // If this side itself stood still, what came meanwhile has not been read yet.
        let passed = now.saturating_sub(self.looked).min(LOOK * 2);
        self.looked = now;
        self.silent = self.silent.saturating_add(passed);
        if heard != self.heard {
            (self.heard, self.silent) = (heard, Duration::ZERO);
        }
        match self.silent {
            silent if silent >= longest.max(AWAY) => Presence::Gone,
            silent if silent >= AWAY => Presence::Away,
            _ => Presence::Here,
        }
    }
}

/// The dialling side's patience: it counts only while this computer is awake and packets can leave it.
#[derive(Debug, Default)]
pub struct Waiting {
    heard: Duration,
    looked: Duration,
    waited: Duration,
}

impl Waiting {
    /// Something came at `at`.
    pub fn heard(&mut self, at: Duration) {
        if at > self.heard {
            (self.heard, self.waited) = (at, Duration::ZERO);
        }
    }

    /// Whether there is nothing to wait for any more. Must be asked at least every [`LONGEST_LOOK`].
    pub fn is_over(&mut self, online: bool, now: Duration) -> bool {
        // Where the clock goes on while the computer sleeps, sleep is one long pause between two looks.
        let passed = now.saturating_sub(self.looked.max(self.heard)).min(LONGEST_LOOK);
        self.looked = now;
        if online {
            self.waited = self.waited.saturating_add(passed);
        } else {
            self.waited = Duration::ZERO;
        }
        self.waited >= PATIENCE
    }
}

/// Frames that only the other end of the connection can have sent.
fn heard(stats: &ConnectionStats) -> u64 {
    let frames = stats.frame_rx;
    [frames.acks, frames.ping, frames.stream, frames.crypto, frames.path_challenge, frames.path_response]
        .into_iter()
        .fold(0, u64::wrapping_add)
}

/// Tells whether the client is here, until its connection ends; ends it when it was away for longer than `longest`.
pub(crate) async fn attend(
    connection: Connection,
    here: watch::Sender<bool>,
    mut longest: watch::Receiver<Duration>,
) {
    let started = Instant::now();
    let mut silence = Silence::new(started.elapsed());
    loop {
        tokio::select! {
            _ = connection.closed() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let most = *longest.borrow_and_update();
        match silence.look(heard(&connection.stats()), most, started.elapsed()) {
            Presence::Here => here.send_if_modified(|here| !std::mem::replace(here, true)),
            Presence::Away => here.send_if_modified(|here| std::mem::replace(here, false)),
            Presence::Gone => {
                let minutes = most.max(AWAY).as_secs().div_ceil(60);
                let reason =
                    format!("your computer was away for {minutes} minutes, which is all the agent waits");
                connection.close(CloseCode::Done.wire(), reason_bytes(&reason));
                return;
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    /// Looks every five seconds from `from` on, `times` times; what the last look said.
    fn looks(silence: &mut Silence, heard: u64, longest: Duration, from: u64, times: u64) -> Presence {
        (0..times).fold(Presence::Here, |_, n| silence.look(heard, longest, S(from + 5 * n)))
    }

    #[test]
    fn who_is_silent_is_away_comes_back_and_is_gone_in_the_end() {
        let mut silence = Silence::new(S(0));
        assert_eq!(silence.look(1, S(600), S(5)), Presence::Here);
        assert_eq!(looks(&mut silence, 1, S(600), 10, 8), Presence::Here);
        assert_eq!(silence.look(1, S(600), S(50)), Presence::Away);
        assert_eq!(silence.look(2, S(600), S(55)), Presence::Here);
        assert_eq!(looks(&mut silence, 2, S(600), 60, 119), Presence::Away);
        assert_eq!(silence.look(2, S(600), S(655)), Presence::Gone);
    }

    #[test]
    fn an_agent_that_stood_still_itself_takes_nobody_for_away() {
        let mut silence = Silence::new(S(0));
        assert_eq!(silence.look(1, S(600), S(5)), Presence::Here);
        assert_eq!(silence.look(1, S(600), S(3_605)), Presence::Here);
        assert_eq!(silence.look(2, S(600), S(3_610)), Presence::Here);
    }

    #[test]
    fn an_agent_that_says_nothing_is_given_up_after_minutes_awake_and_online_and_not_after_a_night_asleep() {
        let mut waiting = Waiting::default();
        waiting.heard(S(10));
        let mut now = S(10);
        let mut look = |waiting: &mut Waiting, online: bool, pause: u64| {
            now += S(pause);
            waiting.is_over(online, now)
        };
        assert!((0..8).all(|_| !look(&mut waiting, true, 20)), "160 seconds");
        assert!(!look(&mut waiting, false, 20), "offline: counted from the beginning");
        assert!((0..8).all(|_| !look(&mut waiting, true, 20)));
        waiting.heard(S(360));
        assert!(!look(&mut waiting, true, 30_000), "asleep");
        assert!((0..7).all(|_| !look(&mut waiting, true, 20)));
        assert!(look(&mut waiting, true, 20));
    }

    #[test]
    fn no_setting_makes_a_moment_of_silence_an_end() {
        let mut silence = Silence::new(S(0));
        assert_eq!(looks(&mut silence, 0, S(0), 5, 8), Presence::Here);
        assert_eq!(silence.look(0, S(0), S(45)), Presence::Gone);
    }
}
