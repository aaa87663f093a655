//! `[leads]` in the node's configuration.

use std::path::{Path, PathBuf};

use hyper::Uri;
use serde::Deserialize;

/// Where playbooks are, and where notices go.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadSettings {
    /// Directory of the agency's playbooks; `playbooks` beside the policy's rules when absent.
    pub playbooks: Option<PathBuf>,
    /// Whether what came of leads is the data set `AGENCY.outcomes`, which policies then decide about.
    #[serde(default)]
    pub outcomes: bool,
    /// Program that notices are posted to.
    pub webhook: Option<Webhook>,
    /// Directory that notices are put in as e-mail.
    pub mail: Option<Mail>,
}

/// A local program that is told of leads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://…`, or `http://` to this machine.
    #[serde(deserialize_with = "url")]
    pub url: Uri,
    /// PEM file of the authorities that may have signed the certificate of an `https` URL.
    pub authorities: Option<PathBuf>,
}

/// A directory from which a mail server sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Each e-mail is a file of its own that appears whole.
    pub directory: PathBuf,
    /// Address that e-mail comes from.
    pub from: String,
    /// A person's address is their name at this domain.
    pub domain: String,
}

fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl LeadSettings {
    /// Makes paths relative to the configuration's folder.
    pub(crate) fn anchor(&mut self, folder: &Path) {
        let webhook = self.webhook.as_mut().and_then(|webhook| webhook.authorities.as_mut());
        let mail = self.mail.as_mut().map(|mail| &mut mail.directory);
        for path in self.playbooks.iter_mut().chain(webhook).chain(mail) {
            *path = folder.join(&*path);
        }
    }

    /// Directory of the playbooks, for a policy that lies in `policies`.
    pub(crate) fn playbooks(&self, policies: &Path) -> PathBuf {
        self.playbooks.clone().unwrap_or_else(|| policies.join("playbooks"))
    }

    /// What is wrong, and what to write.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        if let Some(webhook) = &self.webhook {
            let is_here = matches!(webhook.url.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
            match (webhook.url.scheme_str(), &webhook.authorities) {
                (Some("http"), _) if is_here => {}
                (Some("https"), Some(_)) if webhook.url.host().is_some() => {}
                (Some("https"), None) => return Err("webhook: an https URL needs `authorities`"),
                _ => return Err("webhook: write an https URL, or an http URL on 127.0.0.1"),
            }
        }
        let fits = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        match &self.mail {
            Some(mail) if !fits(&mail.from, b".-_@+") || mail.from.split('@').count() != 2 => {
                Err("mail: `from` is an address such as sallyport@cbp.example")
            }
            Some(mail) if !fits(&mail.domain, b".-") => Err("mail: `domain` is a domain such as cbp.example"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_go_to_this_machine_or_over_tls() {
        let valid = |text: &str| toml::from_str::<LeadSettings>(text).unwrap().validate().is_ok();
        for url in ["http://127.0.0.1:90/x", "http://[::1]/", "http://localhost:1"] {
            assert!(valid(&format!("[webhook]\nurl = \"{url}\"")), "{url}");
        }
        for url in ["http://10.0.0.1/", "https://hooks.example/", "ftp://127.0.0.1/", "/x"] {
            assert!(!valid(&format!("[webhook]\nurl = \"{url}\"")), "{url}");
        }
        assert!(valid("[webhook]\nurl = \"https://hooks.example/\"\nauthorities = \"ca.pem\""));
        let mail = |from: &str, domain: &str| {
            valid(&format!("[mail]\ndirectory = \"m\"\nfrom = \"{from}\"\ndomain = \"{domain}\""))
        };
        assert!(mail("a@b.example", "b.example"));
        assert!(!mail("a", "b.example") && !mail("a@b@c", "b.example") && !mail("a@b", "b example"));
        assert!(!mail("a@b\\r\\nBcc: x", "b"));
        assert!(toml::from_str::<LeadSettings>("webhok = 1").is_err());
    }
}
