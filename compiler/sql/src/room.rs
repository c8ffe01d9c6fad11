//! Threads with room for a tree.
//!
//! A tree costs stack to read, to climb and to let go, a level at a time; the stack of an ordinary thread is soon used up,
//! and that would take the whole process down. So whatever parses does it on a thread that was made for it.

use crate::depth;
use std::cell::Cell;

/// Stack for a text of up to so many bytes, and for any. A level takes at most some kilobytes, unoptimised; pages that
/// are not touched cost nothing.
const STACK: usize = 32 << 20;
const SHORT: usize = 1_000;
const LARGE_STACK: usize = 256 << 20;

/// Levels of a tree that may be climbed on any thread.
const SHALLOW: usize = 100;

/// What a thread has room for.
#[derive(Debug, Clone, Copy)]
struct Room {
    stack: usize,
    levels: usize,
}

thread_local! {
    /// Of a thread that was made to parse.
    static ROOM: Cell<Option<Room>> = const { Cell::new(None) };
}

/// Runs something that parses many texts, on one thread with room for all of them; nothing if it fell over.
pub fn with_room<R: Send>(work: impl FnOnce() -> R + Send) -> Option<R> {
    on_a_thread(Room { stack: STACK, levels: SHALLOW }, work)
}

/// Runs something that parses this text and climbs its tree however deep it is, as long as it is read at all; nothing
/// if it fell over. No node may leave it.
pub fn with_depth<R: Send>(text: &str, work: impl FnOnce() -> R + Send) -> Option<R> {
    on_a_thread(Room { stack: stack_for(text), levels: depth::MOST }, work)
}

/// Runs the parser for a text, here if there is room, and says how many levels there is room for.
pub(crate) fn with_room_for<R: Send>(
    text: &str,
    parse: impl FnOnce(usize) -> R + Send + std::panic::UnwindSafe,
) -> Option<R> {
    let stack = stack_for(text);
    let room = ROOM.get();
    let levels = room.map_or(SHALLOW, |room| room.levels);
    if room.is_some_and(|room| room.stack >= stack) {
        return std::panic::catch_unwind(|| parse(levels)).ok();
    }
    on_a_thread(Room { stack, levels }, || parse(levels))
}

fn stack_for(text: &str) -> usize {
    if text.len() <= SHORT { STACK } else { LARGE_STACK }
}

fn on_a_thread<R: Send>(room: Room, work: impl FnOnce() -> R + Send) -> Option<R> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(room.stack).spawn_scoped(scope, || {
            ROOM.set(Some(room));
            work()
        });
        thread.ok()?.join().ok()
    })
}
