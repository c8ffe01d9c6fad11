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
