//! The truck that leaves its corridor: from a carrier's positions to an outcome, while the screen watches.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use chrono::DateTime;
use sallyport_proto::node::v1::{
    ActOnLeadRequest, ArmWatchRequest, ClearSubjectRequest, Conclude, DeskAnswer, Lead, LeadOutcome, Pursue,
    RuleOnException, Seizure, act_on_lead_request::Act, arm_watch_request::What, lead_outcome::Outcome,
};
use sallyport_track::{Corridor, geometry::Place, picture};
use sallyport_trust::{clock::Clock, question::parse_question};
use serde_json::{Value, json};

use super::{
    Story,
    trips::{DIVERTED, MINUTES, SUSPECT, Trips},
};
use crate::{answer, desk::Desk, failure::Failure, federation::Federation, feed, lead};

/// The question that stands, as the demonstration's directory has it.
pub(crate) const QUESTION: (&str, &str) =
    ("in-bond-off-corridor.toml", include_str!("../../demo/in-bond-off-corridor.toml"));
/// A corridor for Acme's node to measure its trucks against.
pub(super) const CORRIDOR: (&str, &str) =
    ("corridors/laredo-detroit.geojson", include_str!("../../../policies/corridors/laredo-detroit.geojson"));
const WATCH: &str = "in-bond-off-corridor";
const PLAYBOOK: &str = "in-bond-corridor";
const EXCEPTION: &str = "port-diversion";
/// All positions that were sent, as a file.
pub(super) const POSITIONS: &str = "data/acme/positions.csv";
/// Who acts at CBP.
const ANALYST: &str = "okafor";
const CARRIER: &str = "acme";

/// Minutes of the road that are sent at once, and how long the screen rests on them.
const SLICE_MINUTES: u32 = 15;
const SLICE_REST: Duration = Duration::from_millis(400);
/// How long the lead may take after the last position.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the playbook says of those who are far away for long.
const LAST_SEVERITY: &str = "stop";
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of it.
pub(super) struct Told {
    /// Of how many trucks there is a lead, and whether it is the one that was planted.
    leads: usize,
    is_the_planted: bool,
    lead: Lead,
    answer: DeskAnswer,
}

impl Told {
    pub(super) fn is_right(&self) -> bool {
        self.leads == 1 && self.is_the_planted
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "lead": lead::to_json(&self.lead),
            "answer": answer::to_json(&self.answer),
            "truth": { "planted": 1, "leads": self.leads, "found": self.is_the_planted },
        })
    }
}

/// Where the trucks were until now, and what CBP knows of their movements: written before CBP's node starts.
pub(super) struct Road {
    corridor: Corridor,
    now_ms: i64,
}

impl Road {
    pub(super) fn write(directory: &Path) -> Result<Self, Failure> {
        let road = Self { corridor: corridor()?, now_ms: Clock::system().now_ms() };
        fs::write(directory.join("data/cbp/inbond.csv"), road.trips()?.movements())
            .map_err(|error| Failure::machine("data/cbp/inbond.csv cannot be written", &error))?;
        Ok(road)
    }

    fn trips(&self) -> Result<Trips<'_>, Failure> {
        Trips::new(&self.corridor, self.now_ms)
            .ok_or_else(|| Failure::machine("the sample's corridor", &"it is shorter than the sample's trips"))
    }
}

/// The corridor that trucks are measured against.
pub(crate) fn corridor() -> Result<Corridor, Failure> {
    Corridor::parse(CORRIDOR.1).map_err(|error| Failure::machine("the sample's corridor", &error))
}

/// Tells it.
pub(super) async fn tell(
    federation: &Federation,
    road: &Road,
    directory: &Path,
    story: &Story,
) -> Result<Told, Failure> {
    let mut desk = federation.desk(ANALYST)?;
    story.tell(
        "\nA truck under bond must keep to its corridor from Laredo to Detroit. okafor, an analyst at CBP, has a watch\n\
         armed for those that do not; its playbook is ready. One diversion is approved, and is written down at once.\n",
    );
    arm(&mut desk).await?;
    story.step(&format!("watch {WATCH} armed under playbook {PLAYBOOK}; {DIVERTED} cleared: {EXCEPTION}"));
    story.tell(&format!(
        "\n16 trucks of Acme are on the road, 15 of them under bond. Acme's system sends the last {} hours of their\n\
         positions to Acme's node; CBP sees none of them. {SUSPECT} is the one to look at:\n",
        f64::from(MINUTES) / 60.0
    ));
    let trips = road.trips()?;
    let found = drive(federation, &mut desk, &trips, &road.corridor, story).await?;
    let picture = draw(directory, &trips, &road.corridor)?;
    story.step(&format!("its way, as only Acme can draw it: {picture}"));
    story.tell(&format!("\nWhat okafor sees (`lead show {}`):\n", found.id));
    if story.told {
        lead::print(&found);
    }
    story.tell("");
    let lead = act(&mut desk, &found.id, story).await?;
    story.tell("\nThe next answer to the same question knows it:\n");
    let question = parse_question(QUESTION.1, Clock::system().now_ms())?.question;
    let answer = desk.ask(&question, Vec::new(), |_| {}).await?;
    if story.told {
        answer::print(&answer);
    }
    let leads = desk.list_leads(true).await?.leads;
    let told = Told { leads: leads.len(), is_the_planted: lead.subject.eq_ignore_ascii_case(SUSPECT), lead, answer };
    story.tell(&format!(
        "\n3 trucks left the corridor: {SUSPECT}; {DIVERTED}, whose diversion was approved; and one that is not under \
         bond.\nThere is {} lead{}.",
        told.leads,
        if told.is_right() { ", of the right one" } else { ", and it should be one, of the first" }
    ));
    Ok(told)
}

async fn arm(desk: &mut Desk) -> Result<(), Failure> {
    let request = ArmWatchRequest {
        name: WATCH.to_owned(),
        what: Some(What::Question(QUESTION.1.to_owned())),
        until_ms: Clock::system().now_ms() + 30 * 86_400_000,
        reason: "in-bond trucks".to_owned(),
    };
    desk.arm_watch(request).await?;
    let clear = ClearSubjectRequest {
        playbook: PLAYBOOK.to_owned(),
        exception: EXCEPTION.to_owned(),
        subject_type: "device".to_owned(),
        subject: DIVERTED.to_owned(),
        note: "diverted to Eagle Pass".to_owned(),
    };
    desk.clear_subject(clear).await?;
    Ok(())
}

/// Sends the trips slice by slice, and waits for the lead.
async fn drive(
    federation: &Federation,
    desk: &mut Desk,
    trips: &Trips<'_>,
    corridor: &Corridor,
    story: &Story,
) -> Result<Lead, Failure> {
    let partner = federation.feed(CARRIER)?;
    let mut seen = Lead::default();
    for start in (0..MINUTES).step_by(SLICE_MINUTES as usize) {
        let end = (start + SLICE_MINUTES).min(MINUTES);
        feed::send(&partner, trips.positions(start..end)).await?;
        story.step(&whereabouts(trips, corridor, end - 1));
        let until = Instant::now() + SLICE_REST;
        while Instant::now() < until {
            look(desk, &mut seen, story).await?;
        }
    }
    let until = Instant::now() + PATIENCE;
    while seen.severity != LAST_SEVERITY && Instant::now() < until {
        look(desk, &mut seen, story).await?;
    }
    if seen.severity != LAST_SEVERITY {
        let told = "the truck left its corridor and nobody must stop it; see cbp.log and acme.log";
        return Err(Failure::check("no_lead", told));
    }
    Ok(desk.show_lead(seen.id).await?)
}

/// Whether there is a lead by now; tells of it, and again when it has become graver.
async fn look(desk: &mut Desk, seen: &mut Lead, story: &Story) -> Result<(), Failure> {
    if let Some(lead) = desk.list_leads(false).await?.leads.into_iter().next() {
        if lead.severity != seen.severity {
            let qe = f64::from(lead.qe_millionths) / 1e6;
            story.step(&format!("LEAD {} at CBP: {}; {}, QE {qe:.2}", lead.id, lead.title, lead.severity));
        }
        *seen = lead;
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}

/// Draws the truck's way beside Acme's positions; gives the file's name.
fn draw(directory: &Path, trips: &Trips<'_>, corridor: &Corridor) -> Result<String, Failure> {
    let name = "data/acme/off-corridor.svg";
    let places: Vec<Place> = (0..MINUTES).filter_map(|minute| trips.place(SUSPECT, minute)).collect();
    fs::write(directory.join(name), picture::track(corridor, SUSPECT, &places))
        .and_then(|()| fs::write(directory.join(POSITIONS), trips.positions(0..MINUTES)))
        .map_err(|error| Failure::machine("the truck's way cannot be written", &error))?;
    Ok(name.to_owned())
}

/// Where the truck is, in words.
fn whereabouts(trips: &Trips<'_>, corridor: &Corridor, minute: u32) -> String {
    let clock = DateTime::from_timestamp_millis(trips.at_ms(minute)).unwrap_or_default().format("%H:%M");
    let located = trips.place(SUSPECT, minute).and_then(|place| corridor.locate(place, 0, 0.0, f64::INFINITY));
    match located {
        None => format!("{clock} UTC  has not departed"),
        Some(at) if at.away_m > 0.0 => format!("{clock} UTC  {:.0} km outside of the corridor", at.away_m / 1e3),
        Some(at) => format!("{clock} UTC  {:.0} km from Laredo, within the corridor", at.station_m / 1e3),
    }
}

/// What okafor does, by the playbook's steps: the commands of `sallyport lead`.
async fn act(desk: &mut Desk, id: &str, story: &Story) -> Result<Lead, Failure> {
    let seized = Seizure { what: "cocaine".to_owned(), amount: 41.5, unit: "kg".to_owned() };
    let rejected = RuleOnException {
        exception: EXCEPTION.to_owned(),
        holds: false,
        note: "no diversion is filed for the bond".to_owned(),
    };
    let outcome = Some(LeadOutcome { outcome: Some(Outcome::Seizure(seized)) });
    let conclude = Conclude { outcome, note: "stopped at Uvalde, seal broken".to_owned() };
    let acts = [
        ("assign", Act::Assign(String::new())),
        ("reject-exception", Act::Exception(rejected)),
        ("pursue", Act::Pursue(Pursue {})),
        ("outcome", Act::Conclude(conclude)),
    ];
    let mut lead = Lead::default();
    for (command, act) in acts {
        lead = desk.act_on_lead(ActOnLeadRequest { id: id.to_owned(), act: Some(act) }).await?;
        story.step(&format!("lead {command:17} {}", lead::standing(&lead)));
    }
    Ok(lead)
}
