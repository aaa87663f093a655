//! The parties of the benchmark: a carrier's node, a home node with a watch, and a gateway.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sallyport_proto::node::v1::{ArmWatchRequest, arm_watch_request::What};
use sallyport_track::Corridor;
use sallyport_trust::clock::Clock;

use crate::{
    demo,
    failure::Failure,
    federation::{Federation, Member},
    people::Feed,
};

/// The carrier, first of the two nodes.
const CARRIER: &str = "acme";
const DISPATCHER: &str = "lind";
/// Who has the watch.
pub(super) const ANALYST: &str = "okafor";

const CARRIER_DATA: &str = r#"
[positions]
settle_seconds = 10
[[feed]]
name = "acme.positions"
partner = "acme"
devices = ["LOAD-*", "EXIT-*"]
[tracks]
corridors = "policies/corridors"
news_to = ["cbp"]
"#;

const HOME_DATA: &str = r#"
[[dataset]]
name = "cbp.inbond"
files = ["inbond.csv"]
sensitivity = "law_enforcement_sensitive"
[dataset.time]
column = "departed"
[[dataset.identifier]]
name = "truck"
column = "truck"
type = "device"
[[dataset.attribute]]
name = "destination"
column = "destination"
type = "text"
[[dataset.attribute]]
name = "diverted"
column = "diverted"
type = "boolean"
"#;

/// Running parties.
pub(super) struct Place {
    federation: Federation,
    pub(super) corridor: Corridor,
}

impl Place {
    /// Starts everybody and arms the watch; `exits` trucks are under bond.
    pub(super) async fn start(directory: &Path, exits: u32) -> Result<Self, Failure> {
        let corridor = demo::corridor()?;
        demo::write_policies(directory)?;
        write_movements(&directory.join("inbond.csv"), exits)?;
        let policies = directory.join("policies");
        // The playbook names both roles.
        let analyst = (ANALYST, "role = \"analyst\"\n\"28cfr_certification\" = \"true\"\n");
        let commander = ("reyes", "role = \"watch_commander\"\n");
        let members = [
            member(CARRIER, &[(DISPATCHER, "role = \"dispatcher\"\n")], CARRIER_DATA, &policies),
            member("cbp", &[analyst, commander], HOME_DATA, &policies),
        ];
        let federation = Federation::start(directory, &policies.join("gateway"), &members)?;
        federation.settled(&[DISPATCHER, ANALYST], Duration::from_secs(120), |_, _| {}).await?;
        let watch = ArmWatchRequest {
            name: "in-bond-off-corridor".to_owned(),
            what: Some(What::Question(demo::OFF_CORRIDOR.1.to_owned())),
            until_ms: Clock::system().now_ms() + 86_400_000,
            reason: "benchmark".to_owned(),
        };
        federation.desk(ANALYST)?.arm_watch(watch).await?;
        Ok(Self { federation, corridor })
    }

    /// Where positions are sent, and as whom.
    pub(super) fn feed(&self) -> Result<Feed, Failure> {
        self.federation.feed(CARRIER)
    }

    pub(super) fn federation(&self) -> &Federation {
        &self.federation
    }

    /// Processor seconds that the carrier's node has used.
    pub(super) fn processor_s(&self) -> Result<f64, Failure> {
        self.of_carrier(|node| node.processor_s())
    }

    /// The most memory that the carrier's node has had.
    pub(super) fn peak_memory_bytes(&self) -> Result<f64, Failure> {
        self.of_carrier(|node| node.peak_memory_bytes().map(|bytes| bytes as f64))
    }

    fn of_carrier(&self, read: impl Fn(&crate::federation::Process) -> Option<f64>) -> Result<f64, Failure> {
        let node = self.federation.processes.iter().find(|process| process.name == CARRIER);
        node.and_then(read).ok_or_else(|| Failure::machine("the node cannot be measured", &"/proc does not tell of it"))
    }
}

fn member(agency: &str, people: &[(&str, &str)], data: &str, policies: &Path) -> Member {
    let partners = if agency == CARRIER { vec![CARRIER.to_owned()] } else { Vec::new() };
    Member {
        agency: agency.to_owned(),
        people: people.iter().map(|&(name, attributes)| (name.to_owned(), attributes.to_owned())).collect(),
        datasets: data.to_owned(),
        partners,
        policies: policies.join(agency),
    }
}

fn write_movements(path: &PathBuf, exits: u32) -> Result<(), Failure> {
    let mut text = String::from("truck,destination,departed,diverted\n");
    for number in 1..=exits {
        let _ = writeln!(text, "{},3801,{},false", exit_name(number), chrono::Utc::now().date_naive());
    }
    fs::write(path, text).map_err(|error| Failure::machine("inbond.csv cannot be written", &error))
}

/// A truck that will leave its corridor.
pub(super) fn exit_name(number: u32) -> String {
    format!("EXIT-{number:03}")
}
