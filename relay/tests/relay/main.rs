//! The relay: its decisions under virtual time, and the tunnel through its real socket.

#[cfg(test)]
mod acme;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod network;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod over_tcp;
#[cfg(test)]
mod program;
#[cfg(test)]
mod roaming;
#[cfg(test)]
mod through_relay;
