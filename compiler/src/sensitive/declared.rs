//! What a comment or a security label says outright.

/// Words that say so, in any case.
const SAYS: &[&str] = &[
    "pii",
    "phi",
    "gdpr",
    "dsgvo",
    "rgpd",
    "personal data",
    "personal information",
    "personally identifiable",
    "sensitive",
    "confidential",
    "personenbezogen",
    "vertraulich",
    "données personnelles",
    "donnees personnelles",
    "datos personales",
    "masked with",
];

/// Wordings in which one of them means something else.
const MEANS_OTHERWISE: &[&str] = &[
    "case sensitive",
    "case-sensitive",
    "time sensitive",
    "time-sensitive",
    "accent sensitive",
    "accent-sensitive",
    "insensitive",
    "not sensitive",
    "non-sensitive",
    "not pii",
    "no pii",
    "non-pii",
    "no personal data",
    "not personal data",
    "not confidential",
];

/// The evidence, if label or comment says that the column is sensitive.
pub(super) fn declared(label: Option<&str>, comment: Option<&str>) -> Option<String> {
    let label = label.and_then(said).map(|word| format!("its security label says `{word}`"));
    label.or_else(|| comment.and_then(said).map(|word| format!("its comment says `{word}`")))
}

fn said(text: &str) -> Option<&'static str> {
    let mut text = text.to_lowercase();
    for wording in MEANS_OTHERWISE {
        text = text.replace(wording, " ");
    }
    SAYS.iter().copied().find(|phrase| {
        text.match_indices(phrase).any(|(start, _)| {
            let before = text.get(..start).and_then(|text| text.chars().next_back());
            let after = text.get(start + phrase.len()..).and_then(|text| text.chars().next());
            let letter = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
            // `personenbezogene` is still the word; `philosophy` is not `phi`.
            !letter(before) && (phrase.len() > 4 || !letter(after))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_that_says_pii_counts_and_one_that_talks_of_letter_case_does_not() {
        assert!(declared(None, Some("PII: do not export")).is_some());
        assert!(declared(None, Some("enthält personenbezogene Daten")).is_some());
        assert!(declared(Some("MASKED WITH FUNCTION anon.fake_name()"), None).is_some());
        assert_eq!(declared(None, Some("case-sensitive key")), None);
        assert_eq!(declared(None, Some("not PII")), None);
        assert_eq!(declared(None, Some("philosophy of the shop")), None);
    }
}
