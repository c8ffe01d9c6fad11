//! Words, texts and brackets of a filter or a path.

use std::iter::Peekable;
use std::str::Chars;

/// The longest text that is read.
pub(crate) const LONGEST: usize = 8 * 1024;
/// The most tokens.
const MOST_TOKENS: usize = 2048;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Open,
    Close,
    OpenValue,
    CloseValue,
    /// A name, an operator, `true`, or a number.
    Word(String),
    Text(String),
}

/// `None` if it is not made of tokens, or of too many.
pub(crate) fn tokens(text: &str) -> Option<Vec<Token>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.peek().copied() {
        if tokens.len() >= MOST_TOKENS {
            return None;
        }
        match c {
            ' ' => drop(chars.next()),
            '(' | ')' | '[' | ']' => {
                chars.next();
                tokens.push(match c {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    '[' => Token::OpenValue,
                    _ => Token::CloseValue,
                });
            }
            '"' => tokens.push(Token::Text(quoted(&mut chars)?)),
            _ => tokens.push(Token::Word(word(&mut chars)?)),
        }
    }
    Some(tokens)
}

/// As JSON writes it.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut raw = String::new();
    raw.push(chars.next()?);
    loop {
        let c = chars.next()?;
        raw.push(c);
        match c {
            '\\' => raw.push(chars.next()?),
            '"' => return serde_json::from_str(&raw).ok(),
            _ => {}
        }
    }
}

fn word(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || ":._-$+".contains(*c)) {
        word.push(c);
    }
    (!word.is_empty()).then_some(word)
}
