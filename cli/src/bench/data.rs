//! What the benchmark's agencies hold: as many subjects as asked for, a known part of them shared.
//!
//! Two types of identifier: carriers (USDOT numbers) to be tagged by all nodes together, and devices
//! whose tags are written beforehand, as a node would find them after a restart. Those tags come from
//! a hash and not from the nodes' keys; the join treats all tags alike.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use sallyport_node::linkage::tag_file;
use sha2::{Digest, Sha256};

use crate::{failure::Failure, federation::Member};

pub(super) const POLICY_PURPOSE: &str = "border-security";

/// Who holds what.
pub(super) struct Shape {
    pub(super) nodes: usize,
    pub(super) rows: u64,
    /// Part of each node's subjects that all nodes hold, 0 to 1.
    pub(super) overlap: f64,
}

impl Shape {
    /// Number of the `row`-th subject of a node: shared ones first, its own after them.
    fn subject(&self, node: usize, row: u64) -> u64 {
        let shared = (self.rows as f64 * self.overlap) as u64;
        if row < shared { row } else { shared + node as u64 * (self.rows - shared) + (row - shared) }
    }
}

pub(super) fn agency(node: usize) -> String {
    format!("agency{}", node + 1)
}

pub(super) fn device(subject: u64) -> String {
    format!("d{subject:09}")
}

/// Policies that let every agency's analysts ask everything: what is measured is the work, and the
/// policy is evaluated all the same.
pub(super) fn write_policies(directory: &Path, nodes: usize) -> Result<(), Failure> {
    let agencies: Vec<String> = (0..nodes).map(|node| format!("\"{}\"", agency(node))).collect();
    let agencies = agencies.join(", ");
    let rule = |id: &str, actions: &str, role: &str, more: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\neffect = \"allow\"\nactions = [{actions}]\n\
             [rule.subject]\nrole = {{ equals = \"{role}\" }}\n{more}"
        )
    };
    let of_members = format!("agency = {{ one_of = [{agencies}] }}\n");
    let analysts = format!(
        "{of_members}[rule.context]\npurpose = {{ equals = \"{POLICY_PURPOSE}\" }}\n\
         [rule.obligations]\nminimum_datasets = 2\nmaximum_results = 10000\nmask = \"last_four\"\n"
    );
    let rules = [
        rule("analysts-ask", "\"ask\", \"look_up\", \"federate\"", "analyst", &analysts),
        rule("analysts-read-catalog", "\"catalog\"", "analyst", &of_members),
        rule("nodes-link", "\"tag\", \"agree\", \"evaluate\", \"relay\", \"catalog\"", "node", &of_members),
        rule("gateway-accounts", "\"account\"", "gateway", ""),
    ];
    let cases = format!(
        "[subjects.analyst]\nagency = \"{}\"\nrole = \"analyst\"\n\
         [resources.all]\nkind = \"federation\"\nowner = \"any\"\n\
         [contexts.question]\npurpose = \"{POLICY_PURPOSE}\"\nminimum_datasets = 2\ntop = 10\n\
         [[case]]\nname = \"an analyst asks\"\nsubject = \"analyst\"\nresource = \"all\"\n\
         context = \"question\"\naction = \"ask\"\ndecision = \"allow\"\nrule = \"analysts-ask\"\n",
        agency(0)
    );
    let folder = directory.join("policies");
    let failed = |error: std::io::Error| Failure::machine("the benchmark's policies cannot be written", &error);
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::write(folder.join("model.conf"), include_str!("../../../policies/model.conf")).map_err(failed)?;
    fs::write(folder.join("rules.toml"), rules.join("\n")).map_err(failed)?;
    fs::write(folder.join("cases.toml"), cases).map_err(failed)
}

/// The members, each with one data set of the given type in `data/NAME.csv`.
pub(super) fn members(directory: &Path, nodes: usize, dataset: &str, kind: &str) -> Vec<Member> {
    (0..nodes)
        .map(|node| {
            let agency = agency(node);
            let datasets = format!(
                "[[dataset]]\nname = \"{agency}.{dataset}\"\nfiles = [\"{}\"]\nsensitivity = \"official\"\n\
                 [dataset.time]\ncolumn = \"seen_at\"\n\
                 [[dataset.identifier]]\nname = \"subject\"\ncolumn = \"subject\"\ntype = \"{kind}\"\n",
                file(node, dataset).display()
            );
            Member {
                people: vec![(format!("analyst{}", node + 1), "role = \"analyst\"\n".to_owned())],
                policies: directory.join("policies"),
                partners: Vec::new(),
                agency,
                datasets,
            }
        })
        .collect()
}

fn file(node: usize, dataset: &str) -> PathBuf {
    PathBuf::from("data").join(format!("{}-{dataset}.csv", agency(node)))
}

/// Every node's subjects, one row each.
pub(super) fn write_rows(
    directory: &Path,
    shape: &Shape,
    dataset: &str,
    name: impl Fn(u64) -> String,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::machine("the benchmark's data cannot be written", &error);
    fs::create_dir_all(directory.join("data")).map_err(failed)?;
    for node in 0..shape.nodes {
        let mut out = BufWriter::new(File::create(directory.join(file(node, dataset))).map_err(failed)?);
        writeln!(out, "subject,seen_at").map_err(failed)?;
        for row in 0..shape.rows {
            let subject = shape.subject(node, row);
            let day = 1 + subject % 28;
            writeln!(out, "{},2026-01-{day:02}T12:00:00Z", name(subject)).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
    }
    Ok(())
}

/// So many events at every node, of `subjects` devices in turn, each at some minute of half a year.
pub(super) fn write_events(directory: &Path, nodes: usize, events: u64, subjects: u64) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::machine("the benchmark's data cannot be written", &error);
    fs::create_dir_all(directory.join("data")).map_err(failed)?;
    for node in 0..nodes {
        let mut out = BufWriter::new(File::create(directory.join(file(node, "devices"))).map_err(failed)?);
        writeln!(out, "subject,seen_at").map_err(failed)?;
        for event in 0..events {
            let moment = moment(scattered(event * nodes as u64 + node as u64));
            writeln!(out, "{},{moment}", device(event % subjects)).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
    }
    Ok(())
}

/// As [`write_events`], at the first node alone, and each with a carrier that the device met and a lane.
pub(super) fn write_meetings(directory: &Path, events: u64, subjects: u64, carriers: u64) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::machine("the benchmark's data cannot be written", &error);
    let mut out = BufWriter::new(File::create(directory.join(file(0, "devices"))).map_err(failed)?);
    writeln!(out, "subject,seen_at,carrier,lane").map_err(failed)?;
    for event in 0..events {
        let (chance, subject) = (scattered(event), subject_of(event, subjects));
        // Each device meets ten carriers mostly, as a measure of novelty should find it.
        let carrier = 1 + scattered(subject * 10 + chance % 10) % carriers;
        let lane = ["cargo", "pov", "pedestrian", "rail"][(chance >> 32) as usize % 4];
        writeln!(out, "{},{},{carrier},{lane}", device(subject), moment(chance)).map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// Whose event it is: everybody's first ones in turn, so that nodes number them so, the others at random.
pub(super) fn subject_of(event: u64, subjects: u64) -> u64 {
    if event < subjects { event } else { scattered(!event) % subjects }
}

/// A minute of half a year.
fn moment(chance: u64) -> String {
    let minute = chance % (180 * 24 * 60);
    let (day, minute) = (minute / 1_440, minute % 1_440);
    let (month, day) = (1 + day / 30, 1 + day % 28);
    format!("2026-{month:02}-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

/// A number that looks like chance; the same at every run (SplitMix64, Steele et al., OOPSLA 2014).
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The devices' tags of every node, in the epoch that the nodes have agreed on.
pub(super) fn write_device_tags(directory: &Path, shape: &Shape) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::machine("tags cannot be written", &error);
    for node in 0..shape.nodes {
        let epochs = directory.join(agency(node)).join("tags");
        let epoch = fs::read_dir(&epochs).map_err(failed)?.next().transpose().map_err(failed)?;
        let epoch = epoch.ok_or_else(|| Failure::machine("tags cannot be written", &"no epoch was agreed"))?;
        let mut out = BufWriter::new(File::create(epoch.path().join("device.tags")).map_err(failed)?);
        for row in 0..shape.rows {
            let digest = Sha256::digest(device(shape.subject(node, row)));
            let mut tag = [0; 16];
            tag.copy_from_slice(&digest[..16]);
            out.write_all(&tag_file::record(row as u32, tag)).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
    }
    Ok(())
}

/// Who was seen at the second node within a day after the first one?
pub(super) fn related_question() -> String {
    let mut text = question(2);
    text.push_str(&format!("after = \"{}.devices\"\nwithin = \"24h\"\n", agency(0)));
    text.replace("measure = \"recency\"\nhalf_life_hours = 240", "measure = \"frequency\"\nhalf_at = 10")
}

/// Whose events at the first node are out of the ordinary, of the devices that the second node holds?
pub(super) fn behaviour_question(measure: &str, settings: &str) -> String {
    let measured = format!("measure = \"{measure}\"\n{settings}");
    question(2)
        .replacen("measure = \"recency\"\nhalf_life_hours = 240", &measured, 1)
        .replace("deadline_seconds = 120\n", "deadline_seconds = 120\n[window]\nuntil = 2026-07-01\n")
}

/// The question over all nodes' devices.
pub(super) fn question(nodes: usize) -> String {
    let mut text = format!(
        "title = \"Benchmark\"\nsubject = \"device\"\npurpose = \"{POLICY_PURPOSE}\"\ncase_number = \"BENCH-1\"\n\
         reason = \"How fast is it\"\nminimum_datasets = 2\ntop = 10\ndeadline_seconds = 120\n"
    );
    for node in 0..nodes {
        text.push_str(&format!(
            "[[indicator]]\ndataset = \"{}.devices\"\nmeasure = \"recency\"\nhalf_life_hours = 240\n",
            agency(node)
        ));
    }
    text
}
