//! Which reply answers which request.

#[cfg(test)]
mod tests;
