//! The first pass: a text cut into fields by their first characters (`ParseDateTime`).

use super::Wrong;
use crate::typing::literal::scan::{Scan, digit, is_space};

/// What a field looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Number,
    Date,
    Time,
    /// A sign and a number.
    Zone,
    Word,
}

/// A field, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) token: Token,
    pub(crate) text: String,
}

const MOST: usize = 25;

pub(crate) fn split(text: &str) -> Result<Vec<Field>, Wrong> {
    let mut scan = Scan::new(text);
    let mut fields = Vec::new();
    loop {
        scan.skip_space();
        let Some(c) = scan.peek() else { return Ok(fields) };
        if fields.len() >= MOST {
            return Err(Wrong::Format);
        }
        if digit(c) || c == '.' || c.is_ascii_alphabetic() || c == '+' || c == '-' {
            fields.push(field(&mut scan, c)?);
        } else if c.is_ascii_punctuation() {
            scan.next();
        } else {
            return Err(Wrong::Format);
        }
    }
}

fn field(scan: &mut Scan<'_>, first: char) -> Result<Field, Wrong> {
    let mut text = String::new();
    let token = if digit(first) {
        number(scan, &mut text)
    } else if first == '.' {
        scan.next();
        text.push('.');
        text.push_str(scan.take_while(digit));
        Token::Number
    } else if first.is_ascii_alphabetic() {
        word(scan, &mut text)
    } else {
        text.extend(scan.next());
        scan.take_while(is_space);
        match scan.peek() {
            Some(c) if digit(c) => {
                text.push_str(scan.take_while(|c| digit(c) || matches!(c, ':' | '.' | '-')));
                Token::Zone
            }
            Some(c) if c.is_ascii_alphabetic() => {
                text.push_str(scan.take_while(|c| c.is_ascii_alphabetic()));
                Token::Word
            }
            _ => return Err(Wrong::Format),
        }
    };
    Ok(Field { token, text: text.to_ascii_lowercase() })
}

fn number(scan: &mut Scan<'_>, text: &mut String) -> Token {
    text.push_str(scan.take_while(digit));
    match scan.peek() {
        Some(':') => {
            text.push_str(scan.take_while(|c| digit(c) || matches!(c, ':' | '.')));
            Token::Time
        }
        Some(mark @ ('-' | '/' | '.')) => {
            scan.next();
            text.push(mark);
            if scan.peek().is_some_and(digit) {
                text.push_str(scan.take_while(digit));
                if scan.peek() == Some(mark) {
                    text.push_str(scan.take_while(|c| digit(c) || c == mark));
                    return Token::Date;
                }
                if mark == '.' { Token::Number } else { Token::Date }
            } else {
                text.push_str(scan.take_while(|c| c.is_ascii_alphanumeric() || c == mark));
                Token::Date
            }
        }
        _ => Token::Number,
    }
}

fn word(scan: &mut Scan<'_>, text: &mut String) -> Token {
    text.push_str(scan.take_while(|c| c.is_ascii_alphabetic()));
    let is_date = match scan.peek() {
        Some('-' | '/' | '.') => true,
        Some(c) if c == '+' || digit(c) => super::word::word(&text.to_ascii_lowercase(), 0).is_none(),
        _ => false,
    };
    if is_date {
        text.push_str(
            scan.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '/' | '_' | '.' | ':')),
        );
        Token::Date
    } else {
        Token::Word
    }
}
