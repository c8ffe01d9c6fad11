//! Mask presets as policies write them.

use daam_model::{JsonMask, Mask};

/// The preset with its parameters, e.g. `email` or `{ truncate: year }`.
pub fn written(mask: &Mask) -> String {
    let preset = mask.preset();
    match mask {
        Mask::Constant(value) => format!("{{ {preset}: {value} }}"),
        Mask::Truncate(unit) => format!("{{ {preset}: {} }}", unit.as_str()),
        Mask::Bucket(number) | Mask::Round(number) => format!("{{ {preset}: {number} }}"),
        Mask::Network(bits) => format!("{{ {preset}: {bits} }}"),
        Mask::Partial { prefix, suffix } => {
            format!("{{ {preset}: {{ prefix: {prefix}, suffix: {suffix} }} }}")
        }
        Mask::Json(JsonMask { paths, with }) => {
            let paths: Vec<String> = paths.iter().map(|path| path.join(".")).collect();
            format!("{{ {preset}: {{ paths: [{}], with: {} }} }}", paths.join(", "), written(with.mask()))
        }
        _ => preset.to_owned(),
    }
}

/// What a preset shows, and of which types, for people who hover over it.
pub fn about(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" => "**null** — any type: NULL. Nothing leaks.",
        "redact" => "**redact** — text becomes `***`, every other type NULL. Only that a text exists leaks.",
        "constant" => "**constant** — a fixed value of the column's type. Nothing leaks.",
        "hash" => "**hash** — text and uuid: a keyed pseudonym, stable per database. Equality leaks.",
        "credit_card" => "**credit_card** — text: `****-****-****-1111`. The last four digits leak.",
        "ssn" => "**ssn** — text: `***-**-6789`. The last four digits leak.",
        "phone" => "**phone** — text: `***-***-1234`. The last four digits leak.",
        "name" => "**name** — text: `A*** J***`. Initials leak.",
        "email" => "**email** — text: `j***@e***.com`. First characters and the top-level domain leak.",
        "domain" => "**domain** — text: `***@example.com`. The domain leaks.",
        "truncate" => {
            "**truncate** — dates and timestamps, to `year`, `quarter`, `month`, `day` or `hour`. Coarse time leaks."
        }
        "bucket" => "**bucket** — numbers: down to a multiple. The magnitude leaks.",
        "round" => "**round** — numbers: to the nearest multiple. The magnitude leaks.",
        "network" => "**network** — inet and cidr: the network of that many bits leaks.",
        "json" => "**json** — json and jsonb: the listed paths are masked, the rest is shown.",
        "partial" => "**partial** — text: the first `prefix` and last `suffix` characters leak.",
        _ => return None,
    })
}
