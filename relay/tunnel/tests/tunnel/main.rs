//! The tunnel over a real loopback: who gets in, who does not and what they are told.

#[cfg(test)]
mod away;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod direct;
#[cfg(test)]
mod direct_tcp;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod haste;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod world;
