//! daam-bundle: the sealed artefact.
