//! Where messages end in a stream of backend messages.
//!
//! When the tunnel breaks, the client is owed an error, but only between two messages can one be inserted
//! without the client reading garbage.

/// Follows a byte stream from message to message, whatever the size of the pieces it arrives in.
#[derive(Debug, Default)]
pub struct Boundary {
    header: Vec<u8>,
    remaining: usize,
    latest: Option<u8>,
    broken: bool,
}

const HEADER: usize = 5;

impl Boundary {
    /// At the start of the first message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && !self.broken {
            if self.remaining > 0 {
                let (_, rest) = piece.split_at(self.remaining.min(piece.len()));
                self.remaining -= piece.len() - rest.len();
                piece = rest;
                continue;
            }
            let (more, rest) = piece.split_at((HEADER - self.header.len()).min(piece.len()));
            self.header.extend_from_slice(more);
            piece = rest;
            self.finish_header();
        }
    }

    /// Whether everything so far is whole messages.
    pub fn is_between_messages(&self) -> bool {
        !self.broken && self.remaining == 0 && self.header.is_empty()
    }

    /// Whether the latest message was an error: a server that ends a session says why with its last message.
    pub fn ends_with_error(&self) -> bool {
        self.is_between_messages() && self.latest == Some(b'E')
    }

    fn finish_header(&mut self) {
        let Ok([tag, a, b, c, d]) = <[u8; HEADER]>::try_from(self.header.as_slice()) else { return };
        self.latest = Some(tag);
        let body = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok().and_then(|n| n.checked_sub(4));
        match body {
            Some(body) => self.remaining = body,
            None => self.broken = true,
        }
        self.header.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

    #[test]
    fn only_the_ends_of_messages_are_between_messages_however_the_bytes_arrive() {
        for step in 1..TWO.len() {
            let mut boundary = Boundary::new();
            for piece in TWO.chunks(step) {
                boundary.feed(piece);
            }
            assert!(boundary.is_between_messages(), "step {step}");
        }
        let mut boundary = Boundary::new();
        let ends: Vec<usize> = TWO
            .iter()
            .enumerate()
            .filter_map(|(at, byte)| {
                boundary.feed(&[*byte]);
                boundary.is_between_messages().then_some(at + 1)
            })
            .collect();
        assert_eq!(ends, [14, 20]);
    }

    #[test]
    fn a_stream_that_ended_with_an_error_has_explained_itself() {
        let mut boundary = Boundary::new();
        boundary.feed(b"E\0\0\0\x05");
        assert!(!boundary.ends_with_error());
        boundary.feed(b"\0");
        assert!(boundary.ends_with_error());
        boundary.feed(b"Z\0\0\0\x05I");
        assert!(!boundary.ends_with_error());
    }

    #[test]
    fn an_impossible_length_is_never_between_messages() {
        let mut boundary = Boundary::new();
        boundary.feed(b"C\0\0\0\x03");
        boundary.feed(b"Z\0\0\0\x05I");
        assert!(!boundary.is_between_messages());
    }
}
