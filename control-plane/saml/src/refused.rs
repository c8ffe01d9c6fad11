//! Why a message does not hold: a stable code each, and nothing of the message itself, which is written by strangers.

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is larger than a message may be.
    #[error("the message is larger than 256 KiB")]
    Size,
    /// It is not a message, or has in it what no message has.
    #[error("the message is not one that can be read: {0}")]
    Form(&'static str),
    /// Something in it is encrypted.
    #[error("something in the message is encrypted, and no key for that is registered")]
    Encrypted,
    /// No good signature covers it.
    #[error("the message is not signed as it must be: {0}")]
    Signature(&'static str),
    /// It is signed by an algorithm that is not taken.
    #[error(
        "the message is signed by an algorithm that is not taken; RSA or ECDSA with SHA-256 or better is"
    )]
    Algorithm,
    /// The provider did not sign anybody in.
    #[error("the identity provider says that it did not do it")]
    Status,
    /// It is for another address.
    #[error("the message is for another address")]
    Destination,
    /// It is from somebody else.
    #[error("the message is not from this identity provider")]
    Issuer,
    /// It is for somebody else.
    #[error("the assertion is not for us alone")]
    Audience,
    /// It is to be delivered elsewhere.
    #[error("the assertion is to be delivered to another address, or in another way")]
    Recipient,
    /// It answers something else, or nothing.
    #[error("the message does not answer what was asked")]
    Request,
    /// It is too old or too new.
    #[error("the message is not of now")]
    Time,
    /// Its name for the person is none that can be kept.
    #[error("the assertion names nobody who could be known again: {0}")]
    Subject(&'static str),
    /// It does not say how somebody signed in.
    #[error("the assertion does not say that anybody signed in")]
    Statement,
}

impl Refused {
    /// Stable.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Size => "saml.too-large",
            Self::Form(_) => "saml.malformed",
            Self::Encrypted => "saml.encrypted",
            Self::Signature(_) => "saml.signature",
            Self::Algorithm => "saml.algorithm",
            Self::Status => "saml.status",
            Self::Destination => "saml.destination",
            Self::Issuer => "saml.issuer",
            Self::Audience => "saml.audience",
            Self::Recipient => "saml.recipient",
            Self::Request => "saml.request",
            Self::Time => "saml.time",
            Self::Subject(_) => "saml.subject",
            Self::Statement => "saml.statement",
        }
    }
}
