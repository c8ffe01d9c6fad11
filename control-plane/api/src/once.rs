//! JSON objects read as maps, where a name twice is refused: an ordinary map keeps the last value in silence, so two
//! readers could see two different documents.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Reads an object whose names are all different.
pub(crate) fn map<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<String, V>, D::Error> {
    from.deserialize_map(Once(PhantomData))
}

struct Once<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Once<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = from.next_entry::<String, V>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name appears twice in an object"));
            }
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use crate::v1::PutUser;

    #[test]
    fn a_name_twice_is_refused() {
        let read = |attributes: &str| {
            serde_json::from_str::<PutUser>(&format!(r#"{{"groups":[],"attributes":{attributes}}}"#))
        };
        assert_eq!(read(r#"{"a":1,"b":2}"#).unwrap().attributes.len(), 2);
        assert!(read(r#"{"tenant":1,"tenant":2}"#).is_err());
        assert!(read("[]").is_err());
    }
}
