//! Bundles of the emergency role: they may take away, and nothing else.

use super::*;
use daam_model::{Mask, PolicySet, Verb};

pub(super) fn cases() -> Vec<Case> {
    let with = |name, description, set: &PolicySet, expect| Case {
        held: Some(signed(input(5), &[KEY_A])),
        ..case(name, description, emergency(set, &[KEY_C]), expect)
            .with_trust(&emergency_trust())
            .with_head(head(5))
    };
    let plain = policies("shop");
    let mut narrower = plain.clone();
    narrower.policies[0].grants.clear();
    let mut wider = plain.clone();
    wider.policies[0].grants[0].allow.insert(Verb::Delete);
    let mut unmasked = plain.clone();
    unmasked.policies[0].masks[0].with = Mask::Null;
    vec![
        with("accept-emergency-narrower", "an emergency key takes every grant away", &narrower, "new"),
        with(
            "reject-emergency-wider",
            "an emergency key allows another verb",
            &wider,
            "refused:signature:emergency-widens",
        ),
        with(
            "reject-emergency-unmasks",
            "an emergency key weakens a mask",
            &unmasked,
            "refused:signature:emergency-widens",
        ),
        case(
            "reject-emergency-without-policies-in-force",
            "there is nothing an emergency bundle could narrow",
            emergency(&narrower, &[KEY_C]),
            "refused:signature:emergency-widens",
        )
        .with_trust(&emergency_trust()),
        case(
            "reject-emergency-without-role",
            "the trust file has no emergency role",
            emergency(&narrower, &[KEY_A]),
            "refused:signature:no-emergency-role",
        ),
        case(
            "reject-emergency-by-policy-key",
            "a policy key signed for an emergency",
            emergency(&narrower, &[KEY_A]),
            "refused:signature:threshold",
        )
        .with_trust(&emergency_trust()),
        case(
            "reject-policy-by-emergency-key",
            "an emergency key signed an ordinary bundle",
            signed(input(6), &[KEY_C]),
            "refused:signature:threshold",
        )
        .with_trust(&emergency_trust()),
    ]
}

fn emergency_trust() -> TrustFile {
    trust_with(&trust(), |draft| {
        draft.roles.insert(Role::Emergency, role(&[KEY_C], 1));
    })
}

fn emergency(set: &PolicySet, seeds: &[u8]) -> Vec<u8> {
    let mut bundle = build(set, input(6)).unwrap().for_emergency();
    for seed in seeds {
        bundle.sign(&key(*seed)).unwrap();
    }
    bundle.to_bytes()
}
