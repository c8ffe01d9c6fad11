//! What a session reports: an event, and what people wrote about it.

use daam_audit::{Detail, Event};

/// Something to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// What.
    pub event: Event,
    /// What people wrote.
    pub said: Said,
}

/// What people wrote, not yet cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The statement without literals.
    pub text: Option<String>,
    /// The statement as it came.
    pub raw: Option<String>,
    /// Why something was refused or ended.
    pub reason: Option<String>,
    /// What the client calls itself.
    pub application: Option<String>,
}

impl Happened {
    /// Without any texts.
    pub fn plain(event: Event) -> Self {
        Self { event, said: Said::default() }
    }

    /// With a reason.
    pub fn because(event: Event, reason: &str) -> Self {
        Self { event, said: Said { reason: Some(reason.to_owned()), ..Said::default() } }
    }
}

impl Said {
    pub(super) fn into_detail(self, salt: [u8; 16]) -> Detail {
        Detail::salted(salt)
            .with_text(self.text.as_deref())
            .with_raw(self.raw.as_deref())
            .with_reason(self.reason.as_deref())
            .with_application(self.application.as_deref().filter(|name| !name.is_empty()))
    }
}
