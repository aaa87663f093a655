//! For which devices a partner may send: names, and beginnings of names.

use serde::Deserialize;

use crate::position::{DEVICE_MAX, is_device};

/// The devices of a feed, as its configuration lists them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Devices {
    names: Vec<String>,
    beginnings: Vec<String>,
}

impl TryFrom<Vec<String>> for Devices {
    type Error = String;

    /// `NAME` is one device, `BEGINNING*` all whose names begin so.
    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        let (mut names, mut beginnings) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let beginning = pattern.strip_suffix('*');
            let text = beginning.unwrap_or(&pattern);
            if !(is_device(text) || text.is_empty() && beginning.is_some()) {
                return Err(format!(
                    "`{pattern}` names no device: write a name of at most {DEVICE_MAX} letters, digits and - _ . : \
                     with * at its end for all that begin so"
                ));
            }
            let list = if beginning.is_some() { &mut beginnings } else { &mut names };
            list.push(text.to_owned());
        }
        names.sort_unstable();
        Ok(Self { names, beginnings })
    }
}

impl Devices {
    /// Whether `device` is a well-formed name and among these.
    pub fn allow(&self, device: &str) -> bool {
        is_device(device)
            && (self.names.binary_search_by(|name| name.as_str().cmp(device)).is_ok()
                || self.beginnings.iter().any(|beginning| device.starts_with(beginning.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(patterns: &[&str]) -> Devices {
        Devices::try_from(patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_partner_may_send_for_what_is_listed_and_nothing_else() {
        let ours = devices(&["T-9", "ACME-*", "A1"]);
        for device in ["T-9", "A1", "ACME-", "ACME-0042"] {
            assert!(ours.allow(device), "{device}");
        }
        for device in ["T-91", "acme-0042", "BOLT-1", "", "ACME-0042 ", "ACME-*"] {
            assert!(!ours.allow(device), "{device}");
        }
        assert!(!devices(&[]).allow("A1"));
        assert!(devices(&["*"]).allow("A1"));
    }

    #[test]
    fn what_names_no_device_is_refused() {
        for bad in ["", "A*B", "A B", "**"] {
            assert!(Devices::try_from(vec![bad.to_owned()]).is_err(), "{bad:?}");
        }
    }
}
