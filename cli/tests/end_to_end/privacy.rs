//! What the gateway gets to see: searched for in its memory and in all that it writes.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::Path,
    process::Command,
};

use sallyport_node::linkage::tag_file;

use crate::{
    answers::{CALLS, CROSSINGS, QUESTION, calls, crossings, walk},
    federation::{Agency, Federation},
};

/// All that the process can read of its own memory.
fn memory(process: u32) -> Vec<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut regions = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, until) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, until] = [from, until].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; (until - from) as usize];
        if memory.seek(SeekFrom::Start(from)).is_ok() && memory.read_exact(&mut bytes).is_ok() {
            regions.push(bytes);
        }
    }
    regions
}

fn holds(haystacks: &[Vec<u8>], needle: &[u8]) -> bool {
    haystacks.iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}

fn tags(directory: &Path) -> Vec<[u8; 16]> {
    let files = walk(directory).into_iter().filter(|path| path.extension().is_some_and(|end| end == "tags"));
    files
        .flat_map(|path| {
            let bytes = fs::read(path).unwrap();
            bytes.chunks(tag_file::RECORD_BYTES).map(|r| tag_file::read_record(r).unwrap().1).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_gateway_never_holds_an_identifier_a_tag_or_a_key() {
    let (crossings, calls) = ([crossings()], calls());
    let federation = Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    let question = QUESTION.replace("T-1", "CASE-THAT-THE-GATEWAY-READS");
    assert_eq!(federation.ask("hsi", &question, &[])["subjects_matched"], 2);
    assert_eq!(federation.ask("hsi", &question, &["--phone", "(603) 903-1234"])["subjects_matched"], 1);
    assert_eq!(federation.ask("cbp", &question, &["--phone", "(303) 555-0199"])["subjects_matched"], 0);

    let mut seen = memory(federation.process_id("gateway"));
    seen.extend(walk(&federation.audit("gateway")).into_iter().map(|path| fs::read(path).unwrap()));
    seen.push(federation.log("gateway").into_bytes());
    assert!(holds(&seen, b"CASE-THAT-THE-GATEWAY-READS"), "the search finds what is there");
    for phone in ["6039031234", "4155552671", "2125550188", "2079460958", "3035550199", "(603) 903-1234", "603.903"] {
        assert!(!holds(&seen, phone.as_bytes()), "{phone} reached the gateway");
    }
    let all: Vec<[u8; 16]> = ["cbp", "hsi"].iter().flat_map(|agency| tags(&federation.path().join(agency))).collect();
    assert_eq!(all.len(), 6, "three subjects at each node");
    assert!(all.iter().all(|tag| !holds(&seen, tag)), "a tag reached the gateway");
    // Nobody writes identifiers where operators read: neither into logs nor into audit entries.
    for name in ["gateway", "cbp", "hsi"] {
        let mut written = vec![federation.log(name).into_bytes()];
        written.extend(walk(&federation.audit(name)).into_iter().map(|path| fs::read(path).unwrap()));
        assert!(!holds(&written, b"6039031234") && !holds(&written, b"3035550199"), "{name}");
    }
}

#[test]
fn a_subject_has_another_reference_in_every_question() {
    let (crossings, calls) = ([crossings()], calls());
    let federation = Federation::start(&[Agency::new("cbp", CROSSINGS, &crossings), Agency::new("hsi", CALLS, &calls)]);
    let references = |answer: serde_json::Value| -> Vec<String> {
        answer["matches"].as_array().unwrap().iter().map(|found| found["ref"].as_str().unwrap().to_owned()).collect()
    };
    let (first, second) =
        (references(federation.ask("hsi", QUESTION, &[])), references(federation.ask("hsi", QUESTION, &[])));
    assert_eq!((first.len(), second.len()), (2, 2));
    assert!(first.iter().all(|reference| !second.contains(reference)));
}

#[test]
fn the_gateway_has_no_engine_for_data_and_no_type_for_an_identifier() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "sallyport-gateway", "--prefix", "none", "-e", "normal"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("sallyport-join"), "{}", String::from_utf8_lossy(&output.stderr));
    for absent in ["datafusion", "parquet", "sallyport-node", "phonenumber"] {
        assert!(!tree.contains(absent), "{absent}");
    }
}
