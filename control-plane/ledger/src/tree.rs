//! The Merkle tree of RFC 6962, as far as it is needed to go on: one hash per complete subtree.

use crate::entry::Hash;
use serde::{Deserialize, Serialize};

/// The complete subtrees of a tree of some size, the largest first: at most 63, whatever the size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    size: u64,
    peaks: Vec<Hash>,
}

/// A frontier that no tree has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves does not have {peaks} complete subtrees")]
pub struct BadFrontier {
    size: u64,
    peaks: usize,
}

impl TryFrom<Parts> for Frontier {
    type Error = BadFrontier;

    fn try_from(Parts { size, peaks }: Parts) -> Result<Self, BadFrontier> {
        if usize::try_from(size.count_ones()) == Ok(peaks.len()) {
            return Ok(Self { size, peaks });
        }
        Err(BadFrontier { size, peaks: peaks.len() })
    }
}

impl From<Frontier> for Parts {
    fn from(Frontier { size, peaks }: Frontier) -> Self {
        Self { size, peaks }
    }
}

impl Frontier {
    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// One more leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut node = Hash::over(&[&[0], leaf]);
        // Every trailing one of the size is a subtree that this leaf completes to a larger one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent(left, node);
            }
        }
        self.peaks.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// The root of the whole.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else { return Hash::over(&[]) };
        peaks.fold(last, |right, left| parent(left, right))
    }
}

fn parent(left: Hash, right: Hash) -> Hash {
    Hash::over(&[&[1], left.bytes(), right.bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962, 2.1, as it is written there.
    fn of_all(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Hash::over(&[]),
            [leaf] => Hash::over(&[&[0], leaf]),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                parent(of_all(left), of_all(right))
            }
        }
    }

    #[test]
    fn the_roots_are_those_certificate_transparency_publishes() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(tree.root().to_string(), empty);
        for (leaf, root) in leaves.iter().zip(roots) {
            tree.push(leaf);
            assert_eq!(tree.root().to_string(), root);
        }
    }

    #[test]
    fn a_frontier_no_tree_has_is_not_read() {
        let mut tree = Frontier::default();
        (0_u8..5).for_each(|leaf| tree.push(&[leaf]));
        let text = serde_json::to_string(&tree).unwrap();
        assert_eq!(serde_json::from_str::<Frontier>(&text).unwrap(), tree);
        assert!(serde_json::from_str::<Frontier>(&text.replace("\"size\":5", "\"size\":4")).is_err());
    }

    proptest! {
        #[test]
        fn leaf_by_leaf_is_the_same_as_all_at_once(leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..40)) {
            let mut tree = Frontier::default();
            for leaf in &leaves {
                tree.push(leaf);
            }
            prop_assert_eq!(tree.root(), of_all(&leaves));
        }
    }
}
