//! Authentic bundles that are not for here or not for now.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = targets();
    cases.extend(minimums());
    cases.extend(successions());
    cases.extend(times());
    cases
}

fn targets() -> Vec<Case> {
    vec![
        case(
            "reject-dirty-protected",
            "built from uncommitted files for a protected database",
            changed(|input| input.source.dirty = true),
            "refused:signature:dirty",
        )
        .with_trust(&trust_with(&trust(), |draft| {
            draft.databases.entry("shop".into()).or_default().protected = true;
        })),
        case(
            "reject-new-under-expired-trust",
            "something new under a trust file that has expired",
            changed(|_| {}),
            "refused:expired:trust-expired",
        )
        .with_trust(&expired_trust()),
        case(
            "reject-other-organization",
            "another organization's bundle",
            changed(|input| input.org = "evil".into()),
            "refused:wrong-target:organization",
        ),
        Case {
            database: "hr",
            ..case(
                "reject-other-database",
                "another database's bundle",
                changed(|_| {}),
                "refused:wrong-target:database",
            )
        },
        case(
            "reject-trust-version-ahead",
            "made under a trust file that is not installed",
            changed(|input| input.trust_version = 3),
            "refused:wrong-target:trust-version",
        ),
        case(
            "reject-unknown-requirement",
            "requires a feature nobody knows",
            with_statement(|text| text.replace("\"requires\":[]", "\"requires\":[\"time-travel\"]")),
            "refused:wrong-target:requires",
        ),
        case(
            "reject-minimum-agent",
            "needs a later agent",
            changed(|input| input.min_agent = "9999.0.0".into()),
            "refused:wrong-target:minimum-agent",
        ),
    ]
}

fn minimums() -> Vec<Case> {
    let behind = Head { trust_version: 4, ..head(5) };
    vec![
        Case {
            minimum: Some(Minimum { epoch: 1, serial: 6 }),
            ..case(
                "reject-below-minimum",
                "an agent that lost its state, or is new, is handed an older bundle than it was told of",
                changed(|_| {}),
                "refused:rollback:below-minimum",
            )
        },
        case(
            "reject-below-trust-minimum",
            "the trust file knows of a later bundle than the first one offered",
            changed(|_| {}),
            "refused:rollback:below-minimum",
        )
        .with_trust(&trust_with(&trust(), |draft| {
            draft.databases.entry("shop".into()).or_default().minimum_serial = 6;
        })),
        case(
            "reject-trust-rolled-back",
            "an earlier trust file than was seen already",
            changed(|input| input.serial = 6),
            "refused:rollback:trust-behind",
        )
        .with_head(behind),
    ]
}

fn successions() -> Vec<Case> {
    let epoch_two = || trust().with_epoch("shop", 2).unwrap();
    let other = || changed(|input| input.compiler = "daam 0.0.1".into());
    vec![
        case("reject-fork", "another statement under the serial held", other(), "refused:rollback:fork")
            .with_head(head(5)),
        case(
            "reject-lower-serial",
            "the serial before the one held",
            changed(|input| input.serial = 4),
            "refused:rollback:serial",
        )
        .with_head(head(5)),
        case(
            "reject-serial-jump",
            "a serial more than a million ahead",
            changed(|input| input.serial = 1_000_006),
            "refused:rollback:serial-jump",
        )
        .with_head(head(5)),
        case(
            "reject-lower-epoch",
            "an epoch before the trust file's",
            changed(|_| {}),
            "refused:rollback:epoch",
        )
        .with_trust(&epoch_two()),
        case(
            "reject-higher-epoch",
            "an epoch only the bundle claims",
            changed(|input| input.epoch = 2),
            "refused:rollback:epoch",
        ),
        case(
            "reject-epoch-before-head",
            "an old trust file does not bring back an old epoch",
            changed(|input| input.serial = 9),
            "refused:rollback:epoch",
        )
        .with_head(Head { epoch: 2, ..head(5) }),
    ]
}

fn times() -> Vec<Case> {
    vec![
        Case {
            now: NOW + 86_400,
            ..case("reject-expired", "at the second it expires", changed(|_| {}), "refused:expired:expired")
        },
        case(
            "reject-not-yet-valid",
            "valid from six minutes ahead",
            changed(|input| input.not_before = NOW + 360),
            "refused:expired:not-yet-valid",
        ),
        case(
            "reject-issued-in-the-future",
            "issued an hour ahead, which would raise the time floor",
            changed(|input| input.issued_at = NOW + 3600),
            "refused:expired:not-yet-valid",
        ),
        case(
            "reject-clock-set-back",
            "expired by the proven time, whatever the clock says",
            changed(|input| input.serial = 6),
            "refused:expired:expired",
        )
        .with_head(Head { time_floor: NOW + 90_000, ..head(5) }),
        Case {
            now: NOW + 86_400,
            ..case(
                "reject-held-but-expired",
                "the bundle held, after its end",
                changed(|_| {}),
                "refused:expired:expired",
            )
        }
        .with_head(head(5)),
    ]
}
