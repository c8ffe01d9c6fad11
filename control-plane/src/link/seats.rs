//! How many links there are: two of one agent, because a new one comes before the old one is known to be dead, and a most
//! in all. A third one of an agent ends its oldest at once, and with it what that one had begun to send: whoever stole a
//! token takes no more memory than its agent does.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

const OF_ONE_AGENT: usize = 2;
const IN_ALL: usize = 20_000;

/// The links of a server.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    count: usize,
    of_agents: HashMap<String, VecDeque<(u64, CancellationToken)>>,
}

impl Seats {
    /// How many are taken.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// For one more link of an agent; `None` if there are too many of all.
    pub(crate) fn take(self: &Arc<Self>, agent: &str) -> Option<Seat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.count >= IN_ALL {
            return None;
        }
        let number = taken.next;
        taken.next = number.saturating_add(1);
        taken.count = taken.count.saturating_add(1);
        let ends = CancellationToken::new();
        let links = taken.of_agents.entry(agent.to_owned()).or_default();
        links.push_back((number, ends.clone()));
        // They are counted until they are gone.
        let over = links.len().saturating_sub(OF_ONE_AGENT);
        links.iter().take(over).for_each(|(_, older)| older.cancel());
        drop(taken);
        Some(Seat { seats: Arc::clone(self), agent: agent.to_owned(), number, ends })
    }
}

/// One link, as long as it lasts.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    agent: String,
    number: u64,
    ends: CancellationToken,
}

impl Seat {
    /// Cancelled when it has to end for newer ones.
    pub(crate) fn ends(&self) -> &CancellationToken {
        &self.ends
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.count = taken.count.saturating_sub(1);
        if let Some(links) = taken.of_agents.get_mut(&self.agent) {
            links.retain(|(number, _)| *number != self.number);
            if links.is_empty() {
                taken.of_agents.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_link_of_an_agent_ends_its_first_and_nobody_elses() {
        let seats = Arc::new(Seats::default());
        let [first, second, other] = ["a", "a", "b"].map(|agent| seats.take(agent).unwrap());
        assert!(!first.ends().is_cancelled());
        let third = seats.take("a").unwrap();
        assert!(first.ends().is_cancelled());
        assert!(
            !second.ends().is_cancelled() && !third.ends().is_cancelled() && !other.ends().is_cancelled()
        );
        drop((first, second, third, other));
        let taken = seats.0.lock().unwrap();
        assert!(taken.of_agents.is_empty() && taken.count == 0);
    }

    #[test]
    fn there_is_a_most_of_all_together() {
        let seats = Arc::new(Seats::default());
        let held: Vec<Seat> = (0..IN_ALL).map(|agent| seats.take(&agent.to_string()).unwrap()).collect();
        assert!(seats.take("one more").is_none());
        drop(held);
        assert!(seats.take("one more").is_some());
    }
}
