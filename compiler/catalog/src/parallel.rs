//! The same work on many things, on several threads.
//!
//! Only pure functions run here, and what they give comes back in the order of what they were given: how many
//! threads there were cannot be told from a result.

use std::num::NonZero;
use std::thread;

/// Below this many small things a thread costs more than it saves.
const WORTH_A_THREAD: usize = 32;

/// How many threads are worth starting here.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(8)
}

/// What `work` makes of consecutive parts of the list, put together again.
pub fn chunks<T: Sync, R: Send>(
    things: &[T],
    threads: usize,
    work: impl Fn(&[T]) -> Vec<R> + Sync,
) -> Vec<R> {
    parts(things, threads.min(things.len() / WORTH_A_THREAD), work)
}

/// What `work` makes of each of a few large things, each of them worth a thread.
pub fn map_large<T: Sync, R: Send>(things: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    parts(things, threads.min(things.len()), |part| part.iter().map(&work).collect())
}

fn parts<T: Sync, R: Send>(things: &[T], parts: usize, work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if parts < 2 {
        return work(things);
    }
    let size = things.len().div_ceil(parts);
    thread::scope(|scope| {
        let started: Vec<_> = things
            .chunks(size)
            .map(|part| {
                let work = &work;
                (part, thread::Builder::new().spawn_scoped(scope, move || work(part)))
            })
            .collect();
        // A part no thread could be started for, or whose thread died, is done here: the fault then shows here.
        let done = started.into_iter().map(|(part, thread)| {
            thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| work(part))
        });
        done.flatten().collect()
    })
}

/// What `work` makes of each.
pub fn map<T: Sync, R: Send>(things: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    chunks(things, threads, |part| part.iter().map(&work).collect())
}
