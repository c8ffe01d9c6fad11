//! Characters that make a text look like another one.
//!
//! Refused everywhere in a project: direction marks, zero-width characters, blanks that are not a space, and
//! control characters other than tab and line ends. Letters of other scripts are allowed; mixing Latin with
//! look-alikes from Cyrillic or Greek inside one word is not.

/// The first such character, as `U+200B`.
pub(crate) fn first(text: &str) -> Option<String> {
    let hidden = text.chars().find(|c| is_hidden(*c));
    let found = hidden.or_else(|| text.split(|c: char| !c.is_alphabetic()).find_map(mixed));
    found.map(|c| format!("U+{:04X}", u32::from(c)))
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
    word.chars().find(|c| latin && matches!(c, '\u{0370}'..='\u{03FF}' | '\u{0400}'..='\u{052F}'))
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn hidden_and_mixed_characters_are_found_and_plain_words_are_not() {
        assert_eq!(first("sup\u{200B}port").as_deref(), Some("U+200B"));
        assert_eq!(first("a\u{202E}b").as_deref(), Some("U+202E"));
        assert_eq!(first("p\u{0430}yments").as_deref(), Some("U+0430"));
        assert_eq!(first("größe, поддержка, 東京 — “fine”\n"), None);
    }
}
