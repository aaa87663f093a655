//! `sallyport policy sign`: a directory's policy as a bundle that a party will take.

use std::path::{Path, PathBuf};

use sallyport_trust::{
    clock::Clock,
    identity::{Identity, Role, TlsFiles},
    policy::{BundleContent, PolicyFiles},
};

use super::refused;
use crate::failure::Failure;

/// Arguments of `sallyport policy sign`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directory of the policy.
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Version of the policy, higher than every one before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    version: u64,
    /// The signer's certificate: that of a node or a person whom the party's `[policy] signers` names.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The signer's private key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The federation's authorities; without it, `authority.pem` beside the certificate.
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// Whose policy it is: an agency, or `gateway`; without it, the signer's agency.
    #[arg(long, value_name = "PARTY")]
    party: Option<String>,
    /// Where to write the bundle.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Tests the policy, signs it and writes the bundle in one step.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let files = PolicyFiles::read(&arguments.directory).map_err(|error| refused(&arguments.directory, &error))?;
    let review = files.review();
    if review.has_errors() {
        return Err(Failure::check(
            "policy_has_errors",
            format!(
                "the policy has errors and is not signed; `sallyport policy check {}` tells them",
                arguments.directory.display()
            ),
        ));
    }
    let identity = Identity::load(&signer_files(arguments), Clock::system())
        .map_err(|error| Failure::input("identity", error.to_string()))?;
    let party = match (&arguments.party, &identity.id().role) {
        (Some(party), _) => party.clone(),
        (None, Role::Node { agency } | Role::User { agency, .. }) => agency.clone(),
        (None, _) => {
            return Err(Failure::input("signer_role", "a policy is signed by a node or a person of an agency"));
        }
    };
    let content = BundleContent { party: party.clone(), version: arguments.version, files };
    let bundle = content.sign(&identity).map_err(|error| refused(&arguments.directory, &error))?;
    write(&arguments.out, &bundle)?;
    println!(
        "{}: policy of {party}, version {}, {} rules and {} cases, signed by {}.\nIts hash is {}.",
        arguments.out.display(),
        arguments.version,
        review.rules,
        review.cases,
        identity.id(),
        review.policy
    );
    Ok(())
}

fn signer_files(arguments: &Arguments) -> TlsFiles {
    let beside = || arguments.certificate.with_file_name("authority.pem");
    TlsFiles {
        certificate: arguments.certificate.clone(),
        key: arguments.key.clone(),
        authorities: arguments.authorities.clone().unwrap_or_else(beside),
        revocations: None,
    }
}

/// In one step, so that a process that watches the file never sees half of it.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let aside = path.with_extension("new");
    std::fs::write(&aside, text)
        .and_then(|()| std::fs::rename(&aside, path))
        .map_err(|error| Failure::machine(&format!("{} cannot be written", path.display()), &error))
}
