//! Characters that make a text look like another one.
//!
//! Refused everywhere in a project, comments included: direction marks, zero-width characters, blanks that are not a
//! space, and control characters other than tab and line ends. Letters of other scripts are allowed; mixing Latin
//! with look-alikes of other scripts inside one word is not, nor are letters that are only another shape of a Latin
//! one, nor accents written as characters of their own: the same word could then be written in two ways.

/// The first such character, as `U+200B`.
pub(crate) fn first(text: &str) -> Option<String> {
    let found = text.chars().find(|c| is_hidden(*c) || is_shape(*c) || is_accent(*c));
    found.or_else(|| text.split(|c: char| !c.is_alphabetic()).find_map(mixed)).map(named)
}

/// The first character that does not show or that moves others.
pub(crate) fn hidden(text: &str) -> Option<String> {
    text.chars().find(|c| is_hidden(*c)).map(named)
}

fn named(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// Letters and digits that look like ASCII ones and are others: full width, mathematical, long s, Kelvin.
fn is_shape(c: char) -> bool {
    matches!(c, '\u{017F}' | '\u{212A}' | '\u{FF01}'..='\u{FF5E}' | '\u{1D400}'..='\u{1D7FF}' | '\u{2100}'..='\u{214F}')
}

fn is_accent(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}')
}

fn is_hidden(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{00A0}'
        | '\u{00AD}'
        | '\u{034F}'
        | '\u{061C}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{1680}'
        | '\u{180E}'
        | '\u{2000}'..='\u{200F}'
        | '\u{2028}'..='\u{202F}'
        | '\u{205F}'..='\u{206F}'
        | '\u{3000}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{E0000}'..='\u{E007F}' => true,
        c => c.is_control(),
    }
}

fn mixed(word: &str) -> Option<char> {
    let latin = word.chars().any(|c| c.is_ascii_alphabetic());
    word.chars().find(|c| latin && is_look_alike(*c))
}

/// Scripts with letters that look like Latin ones: Greek, Coptic, Cyrillic, Armenian, Cherokee, Lisu.
fn is_look_alike(c: char) -> bool {
    matches!(
        c,
        '\u{0370}'..='\u{058F}'
            | '\u{13A0}'..='\u{13FF}'
            | '\u{1C80}'..='\u{1C8F}'
            | '\u{1F00}'..='\u{1FFF}'
            | '\u{2C80}'..='\u{2DFF}'
            | '\u{A4D0}'..='\u{A4FF}'
            | '\u{A640}'..='\u{A69F}'
            | '\u{AB70}'..='\u{ABBF}'
    )
}

#[cfg(test)]
mod tests {
    use super::{first, hidden};

    #[test]
    fn hidden_and_mixed_characters_are_found_and_plain_words_are_not() {
        assert_eq!(first("sup\u{200B}port").as_deref(), Some("U+200B"));
        assert_eq!(first("a\u{202E}b").as_deref(), Some("U+202E"));
        assert_eq!(first("p\u{0430}yments").as_deref(), Some("U+0430"));
        assert_eq!(first("sup\u{0585}rt").as_deref(), Some("U+0585"));
        assert_eq!(first("\u{FF44}ba").as_deref(), Some("U+FF44"));
        assert_eq!(first("caf\u{0065}\u{0301}").as_deref(), Some("U+0301"));
        assert_eq!(hidden("p\u{0430}yments"), None);
        assert_eq!(first("größe, поддержка, 東京 — “fine”\n"), None);
    }
}
