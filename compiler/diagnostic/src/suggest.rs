//! "Did you mean": the nearest known name, if it is near enough to be a slip.

/// The candidate nearest to what was written, by edits including swaps; the first one in order among equals.
///
/// Nothing is suggested when more than a third of the name would have to change: a wrong suggestion in an access
/// policy is worse than none.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let length = lower.chars().count();
    let limit = (length / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != written)
        // Every edit changes the length by one at most: most candidates need no closer look.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The sentence that goes into help, or nothing.
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, candidates).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        assert_eq!(nearest("e_mail", ["email", "name"]), Some("email"));
        assert_eq!(nearest("maks", ["masks", "mask"]), Some("mask"));
        assert_eq!(nearest("Email", ["email"]), Some("email"));
        assert_eq!(nearest("salary", ["email", "name"]), None);
    }
}
