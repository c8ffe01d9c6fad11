//! Organization slugs: the server makes them, so that nobody can squat on a name that looks like someone else's.

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "amber", "apt", "azure", "bold", "brave", "bright", "brisk", "calm", "candid", "clear",
    "clever", "cosmic", "crisp", "deft", "eager", "early", "fair", "fleet", "fond", "frank", "fresh",
    "gentle", "glad", "golden", "grand", "hardy", "honest", "humble", "ideal", "jolly", "keen", "kind",
    "lively", "loyal", "lucid", "lunar", "mellow", "merry", "mild", "modest", "neat", "nimble", "noble",
    "patient", "plain", "polite", "proud", "quick", "quiet", "ready", "royal", "serene", "sharp", "silver",
    "solid", "spry", "steady", "sunny", "swift", "tidy", "vivid", "warm",
];
const NOUNS: [&str; 64] = [
    "acorn", "alder", "badger", "basin", "beacon", "birch", "bison", "brook", "canyon", "cedar", "cliff",
    "comet", "coral", "cove", "crane", "delta", "dune", "eagle", "elm", "ember", "falcon", "fern", "finch",
    "fjord", "forest", "fox", "garnet", "glade", "harbor", "hawk", "heron", "island", "jasper", "lagoon",
    "lark", "linden", "lynx", "maple", "marsh", "meadow", "mesa", "moose", "oak", "orchid", "osprey",
    "otter", "owl", "pebble", "pine", "prairie", "quartz", "rapid", "raven", "reef", "ridge", "robin",
    "sequoia", "spruce", "summit", "tern", "tiger", "valley", "willow", "wren",
];

/// A slug from random bytes; later attempts get a number, so that they never run out.
pub(crate) fn slug(random: [u8; 4], attempt: u32) -> String {
    let [first, second, high, low] = random;
    let adjective = ADJECTIVES.get(usize::from(first % 64)).copied().unwrap_or("plain");
    let noun = NOUNS.get(usize::from(second % 64)).copied().unwrap_or("otter");
    if attempt == 0 {
        return format!("{adjective}-{noun}");
    }
    format!("{adjective}-{noun}-{}", u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_an_adjective_and_a_noun_and_always_fit_a_certificate() {
        assert_eq!(slug([6, 45, 0, 0], 0), "brave-otter");
        assert_eq!(slug([70, 109, 1, 2], 1), "brave-otter-258");
        for byte in 0..=u8::MAX {
            assert!(daam_identity::principal::check_org(&slug([byte, byte, byte, byte], 1)).is_ok());
        }
    }
}
