//! Who takes part in the demonstration: agencies, their people, data sets and policies.

use std::{fs, path::Path};

use super::trucks;
use crate::{
    failure::Failure,
    federation::{AGENCIES, Federation, Member},
};

const DATASETS: [&str; 3] =
    [include_str!("../../demo/hsi.toml"), include_str!("../../demo/cbp.toml"), include_str!("../../demo/acme.toml")];
/// Who asks at each of [`AGENCIES`], and what their agency vouches for.
pub(super) const ASKERS: [(&str, &str); 3] = [
    (
        "rivera",
        "role = \"analyst\"\nemployer_name = \"Homeland Security Investigations\"\n\
         sworn_law_enforcement_officer = \"true\"\nintelligence_analyst = \"true\"\n\"28cfr_certification\" = \"true\"\n",
    ),
    (
        "okafor",
        "role = \"analyst\"\nemployer_name = \"Customs and Border Protection\"\n\
         intelligence_analyst = \"true\"\n\"28cfr_certification\" = \"true\"\n",
    ),
    ("lind", "role = \"dispatcher\"\nemployer_name = \"Acme Freight\"\n"),
];
/// Who decides at each of them about questions that a rule holds.
const RELEASE_OFFICERS: [&str; 3] = ["adeyemi", "novak", "silva"];
const RELEASE_OFFICER: &str = "role = \"release_officer\"\n";

/// Who answers at each of [`AGENCIES`] for what was disclosed.
pub(super) const PRIVACY_OFFICERS: [&str; 3] = ["laurent", "ito", "berg"];
const PRIVACY_OFFICER: &str = "role = \"privacy_officer\"\n";

/// Who decides at each of [`AGENCIES`] about its node's epochs.
const OPERATORS: [&str; 3] = ["weber", "santos", "kimura"];
const OPERATOR: &str = "role = \"operator\"\n";

/// Who is told at each of them when nobody acts on a lead.
const WATCH_COMMANDERS: [&str; 3] = ["marsh", "reyes", "olsen"];
const WATCH_COMMANDER: &str = "role = \"watch_commander\"\n";
/// Which of [`AGENCIES`] have trucks that report where they are, to their own node.
const CARRIERS: [&str; 1] = ["acme"];

/// The policies that the demonstration's parties start with, as they stand in the repository.
const POLICIES: [(&str, &str); 13] = [
    trucks::CORRIDOR,
    ("model.conf", include_str!("../../../policies/model.conf")),
    ("schema.toml", include_str!("../../../policies/schema.toml")),
    ("gateway/rules.toml", include_str!("../../../policies/gateway/rules.toml")),
    ("gateway/cases.toml", include_str!("../../../policies/gateway/cases.toml")),
    ("hsi/rules.toml", include_str!("../../../policies/hsi/rules.toml")),
    ("hsi/cases.toml", include_str!("../../../policies/hsi/cases.toml")),
    ("cbp/rules.toml", include_str!("../../../policies/cbp/rules.toml")),
    ("cbp/cases.toml", include_str!("../../../policies/cbp/cases.toml")),
    ("hsi/playbooks/in-bond-corridor.toml", include_str!("../../../policies/hsi/playbooks/in-bond-corridor.toml")),
    ("cbp/playbooks/in-bond-corridor.toml", include_str!("../../../policies/cbp/playbooks/in-bond-corridor.toml")),
    ("acme/rules.toml", include_str!("../../../policies/acme/rules.toml")),
    ("acme/cases.toml", include_str!("../../../policies/acme/cases.toml")),
];

/// Writes the policies.
pub(crate) fn write_policies(directory: &Path) -> Result<(), Failure> {
    for (name, text) in POLICIES {
        let path = directory.join("policies").join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|error| Failure::machine(&format!("{} cannot be written", path.display()), &error))?;
    }
    Ok(())
}

/// Makes certificates and starts everybody.
pub(super) fn start(directory: &Path) -> Result<Federation, Failure> {
    let members: Vec<Member> = AGENCIES
        .iter()
        .zip(ASKERS)
        .zip(RELEASE_OFFICERS)
        .zip(DATASETS)
        .zip(PRIVACY_OFFICERS.into_iter().zip(OPERATORS).zip(WATCH_COMMANDERS))
        .map(|((((agency, asker), officer), datasets), ((privacy_officer, operator), commander))| Member {
            agency: (*agency).to_owned(),
            people: [
                asker,
                (officer, RELEASE_OFFICER),
                (privacy_officer, PRIVACY_OFFICER),
                (operator, OPERATOR),
                (commander, WATCH_COMMANDER),
            ]
            .map(|(name, attributes)| (name.to_owned(), attributes.to_owned()))
            .to_vec(),
            datasets: datasets.to_owned(),
            partners: CARRIERS.iter().filter(|carrier| *carrier == agency).map(|&carrier| carrier.to_owned()).collect(),
            policies: directory.join("policies").join(agency),
        })
        .collect();
    Federation::start(directory, &directory.join("policies/gateway"), &members)
}
