//! An error with its causes in one line, for logs and messages that have room for one line only.

use std::error::Error;

/// `what: why: why`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn causes_follow_the_error() {
        assert_eq!(chain(&Outer(std::fmt::Error)), format!("outer: {}", std::fmt::Error));
    }
}
