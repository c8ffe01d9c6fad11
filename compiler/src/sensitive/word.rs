//! Names → words: separators, case and digits do not matter, and run-together words are taken apart.
//!
//! `cust_email_addr`, `custEmailAddr`, `CUST-EMAIL-ADDR` and `custemailaddr` are the same words. A run is taken
//! apart only where known words cover all of it, so `membership` is never read as `member`.

use super::phrase;

/// Longest run that is taken apart; longer ones are no names.
const LONGEST_RUN: usize = 48;

/// The words of a name, lower-case, without accents and digits.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    for token in tokens(name) {
        if phrase::is_known(&token) {
            out.push(token);
        } else if let Some(single) = singular(&token) {
            out.push(single.to_owned());
        } else {
            match apart(&token) {
                Some(parts) => out.extend(parts),
                None => out.push(token),
            }
        }
    }
    out
}

fn tokens(name: &str) -> Vec<String> {
    let shouted = !name.chars().any(char::is_lowercase);
    let mut out: Vec<String> = Vec::new();
    let mut open = String::new();
    let mut before: Option<char> = None;
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        if !letter.is_alphabetic() {
            out.extend((!open.is_empty()).then(|| std::mem::take(&mut open)));
            before = None;
            continue;
        }
        let after_lower = before.is_some_and(char::is_lowercase);
        // In `IPAddress` a word begins at the `A`.
        let ends_acronym =
            before.is_some_and(char::is_uppercase) && letters.peek().is_some_and(|next| next.is_lowercase());
        if !shouted && letter.is_uppercase() && (after_lower || ends_acronym) {
            out.extend((!open.is_empty()).then(|| std::mem::take(&mut open)));
        }
        fold(letter, &mut open);
        before = Some(letter);
    }
    out.extend((!open.is_empty()).then_some(open));
    out
}

fn fold(letter: char, out: &mut String) {
    for letter in letter.to_lowercase() {
        match letter {
            'ä' | 'á' | 'à' | 'â' | 'ã' => out.push('a'),
            'é' | 'è' | 'ê' | 'ë' => out.push('e'),
            'í' | 'ì' | 'î' | 'ï' => out.push('i'),
            'ö' | 'ó' | 'ò' | 'ô' | 'õ' => out.push('o'),
            'ü' | 'ú' | 'ù' | 'û' => out.push('u'),
            'ñ' => out.push('n'),
            'ç' => out.push('c'),
            'ß' => out.push_str("ss"),
            other => out.push(other),
        }
    }
}

fn singular(word: &str) -> Option<&str> {
    ["es", "s"].into_iter().filter_map(|ending| word.strip_suffix(ending)).find(|word| phrase::is_known(word))
}

/// The fewest known words that make up the whole run.
fn apart(run: &str) -> Option<Vec<String>> {
    let length = run.len();
    if !(5..=LONGEST_RUN).contains(&length) || !run.is_ascii() {
        return None;
    }
    // For each end: how many words, and the last of them.
    let mut best: Vec<Option<(usize, &str)>> = vec![None; length + 1];
    if let Some(start) = best.first_mut() {
        *start = Some((0, ""));
    }
    for end in 2..=length {
        let mut shortest: Option<(usize, &str)> = None;
        for start in 0..end - 1 {
            let Some((count, _)) = best.get(start).copied().flatten() else { continue };
            let Some(part) = run.get(start..end) else { continue };
            let known = phrase::is_known(part) || (end == length && singular(part).is_some());
            if known && shortest.is_none_or(|(fewest, _)| count + 1 < fewest) {
                shortest = Some((count + 1, part));
            }
        }
        if let Some(slot) = best.get_mut(end) {
            *slot = shortest;
        }
    }
    let mut parts = Vec::new();
    let mut end = length;
    while end > 0 {
        let (_, part) = best.get(end).copied().flatten()?;
        parts.push(singular(part).filter(|_| !phrase::is_known(part)).unwrap_or(part).to_owned());
        end -= part.len();
    }
    parts.reverse();
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_case_and_digits_do_not_matter() {
        for name in [
            "cust_email_addr",
            "custEmailAddr",
            "CUST-EMAIL-ADDR",
            "CustEmailAddr2",
            "cust email addr",
            "custemailaddr",
        ] {
            assert_eq!(words(name), ["cust", "email", "addr"], "{name}");
        }
        assert_eq!(words("clientIPAddress"), ["client", "ip", "address"]);
        assert_eq!(words("Straße"), ["strasse"]);
    }

    #[test]
    fn a_run_is_taken_apart_only_as_a_whole() {
        assert_eq!(words("emailverified"), ["email", "verified"]);
        assert_eq!(words("membership"), ["membership"]);
        assert_eq!(words("description"), ["description"]);
    }
}
