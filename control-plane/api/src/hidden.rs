//! Messages that carry a secret, as logs may show them: without it.

use crate::link::RelayOffer;
use crate::v1::{
    Bootstrapped, DeviceSignIn, Enrolled, FetchSignIn, LinkCreated, NewAuditExport, NewProvider,
    ScimTokenCreated, SignedIn, TokenCreated, TokenExchanged, WebhookCreated,
};
use std::fmt::{Debug, Formatter, Result};

impl Debug for Bootstrapped {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { org, user_id, token: _, sign_in_link: _ } = self;
        f.debug_struct("Bootstrapped").field("org", org).field("user_id", user_id).finish_non_exhaustive()
    }
}

impl Debug for TokenCreated {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { id, token: _, expires_at } = self;
        f.debug_struct("TokenCreated").field("id", id).field("expires_at", expires_at).finish_non_exhaustive()
    }
}

impl Debug for TokenExchanged {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TokenExchanged").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl Debug for ScimTokenCreated {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ScimTokenCreated").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Debug for LinkCreated {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { id, link: _, expires_at } = self;
        f.debug_struct("LinkCreated").field("id", id).field("expires_at", expires_at).finish_non_exhaustive()
    }
}

impl Debug for WebhookCreated {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("WebhookCreated").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Debug for NewAuditExport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("NewAuditExport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Debug for NewProvider {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { name, issuer, client_id, client_secret: _, rules } = self;
        let mut shown = f.debug_struct("NewProvider");
        shown.field("name", name).field("issuer", issuer).field("client_id", client_id).field("rules", rules);
        shown.finish_non_exhaustive()
    }
}

impl Debug for DeviceSignIn {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("DeviceSignIn").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Debug for FetchSignIn {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("FetchSignIn").finish_non_exhaustive()
    }
}

impl Debug for SignedIn {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SignedIn").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Debug for Enrolled {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Enrolled").field("id", &self.id).field("org", &self.org).finish_non_exhaustive()
    }
}

impl Debug for RelayOffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RelayOffer").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::ToAgent;

    #[test]
    fn secrets_are_not_printed() {
        let secret = || "hush".to_owned();
        let made =
            Bootstrapped { org: "o".into(), user_id: "u".into(), token: secret(), sign_in_link: secret() };
        let link = LinkCreated { id: None, link: secret(), expires_at: "e".into() };
        let token = TokenCreated { id: "i".into(), token: secret(), expires_at: "e".into() };
        let enrolled = Enrolled {
            id: "i".into(),
            org: "o".into(),
            certificate_pem: None,
            ca_pem: String::new(),
            link_token: secret(),
            ticket_key: None,
            authorities: Vec::new(),
        };
        let offer = RelayOffer { address: "a:1".into(), ticket: secret() };
        let update = ToAgent::RelayUpdate { relays: vec![offer] };
        let printed = format!("{made:?} {link:?} {token:?} {enrolled:?} {update:?}");
        assert!(!printed.contains("hush"), "{printed}");
    }
}
