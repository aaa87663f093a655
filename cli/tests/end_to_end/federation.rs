//! A federation of real processes in a directory of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_sallyport");

/// Longer than anything takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Everybody may do what their role does; what is refused is tested with policies of its own.
pub(crate) const OPEN_RULES: &str = r#"
[[rule]]
id = "analysts"
effect = "allow"
actions = ["ask", "look_up", "federate", "catalog"]
[rule.subject]
role = { equals = "analyst" }
[rule.obligations]
minimum_datasets = 2
maximum_results = 500
mask = "last_four"
[[rule]]
id = "patterns"
effect = "allow"
actions = ["publish", "run_pattern"]
[rule.subject]
role = { equals = "analyst" }
[rule.resource]
kind = { equals = "pattern" }
[[rule]]
id = "nodes"
effect = "allow"
actions = ["tag", "agree", "evaluate", "relay", "catalog"]
[rule.subject]
role = { equals = "node" }
[[rule]]
id = "accounts"
effect = "allow"
actions = ["account"]
[rule.subject]
role = { equals = "gateway" }
"#;

/// Lets auditors read the log of whoever has it among the rules.
pub(crate) const AUDIT_RULE: &str = r#"
[[rule]]
id = "auditors"
effect = "allow"
actions = ["audit"]
[rule.subject]
role = { equals = "auditor" }
employer_name = { equals = "Inspector General" }
"#;

const CASES: &str = r#"
[subjects.nobody]
agency = "none"
role = "none"
[resources.all]
kind = "federation"
owner = "any"
[contexts.question]
purpose = "x"
minimum_datasets = 2
top = 10
[[case]]
name = "nobody in particular"
subject = "nobody"
resource = "all"
context = "question"
action = "federate"
decision = "deny"
reason = "no_rule_allows"
"#;

/// What every party knows of the auditor.
const AUDITOR_KNOWN: &str =
    "[[auditor]]\nname = \"chen\"\n[auditor.attributes]\nemployer_name = \"Inspector General\"\n";

/// One agency: its name, its data sets in TOML, its files by name.
#[derive(Clone)]
pub(crate) struct Agency<'a> {
    pub(crate) name: &'a str,
    pub(crate) datasets: &'a str,
    pub(crate) files: &'a [(&'a str, String)],
    /// Instead of [`OPEN_RULES`].
    pub(crate) rules: Option<&'a str>,
    /// Names and roles of people beside the analyst.
    pub(crate) people: &'a [(&'a str, &'a str)],
}

impl<'a> Agency<'a> {
    pub(crate) fn new(name: &'a str, datasets: &'a str, files: &'a [(&'a str, String)]) -> Self {
        Self { name, datasets, files, rules: None, people: &[] }
    }
}

impl Agency<'_> {
    /// Everybody by name and role: the analyst, and more.
    fn everybody(&self) -> impl Iterator<Item = (String, &str)> {
        let more = self.people.iter().map(|(name, role)| ((*name).to_owned(), *role));
        std::iter::once((format!("{}-analyst", self.name), "analyst")).chain(more)
    }
}

fn attributes(person: &str, role: &str) -> String {
    format!("[[person]]\nname = \"{person}\"\n[person.attributes]\nrole = \"{role}\"\n")
}

/// Running processes; they end with it.
pub(crate) struct Federation {
    directory: TempDir,
    pub(crate) ports: Vec<u16>,
    processes: Vec<(String, Child)>,
    people: Vec<String>,
}

impl Federation {
    /// Starts a gateway and a node for every agency, each with a person called `NAME-analyst`, and waits
    /// until everything can be asked. The auditor `chen` may read the gateway's log.
    pub(crate) fn start(agencies: &[Agency<'_>]) -> Self {
        let federation = Self::start_unsettled(agencies);
        federation.wait_until_settled();
        federation
    }

    pub(crate) fn start_unsettled(agencies: &[Agency<'_>]) -> Self {
        let mut federation = Self::prepare(agencies);
        federation.run("gateway");
        agencies.iter().for_each(|agency| federation.run(agency.name));
        federation
    }

    /// Writes everything that the processes need, and starts none.
    pub(crate) fn prepare(agencies: &[Agency<'_>]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let held: Vec<TcpListener> = (0..=agencies.len()).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(held);
        make_certificates(path, agencies);
        write_policy(&path.join("policies/gateway"), &format!("{OPEN_RULES}{AUDIT_RULE}"));
        let mut gateway = format!(
            "listen = \"127.0.0.1:{}\"\naudit = \"gateway-audit\"\npolicies = \"policies/gateway\"\n{}",
            ports[0],
            tls("gateway")
        );
        let members: Vec<String> = agencies.iter().map(|agency| format!("\"{}\"", agency.name)).collect();
        let mut people = String::new();
        for (agency, port) in agencies.iter().zip(&ports[1..]) {
            let name = agency.name;
            write_policy(&path.join("policies").join(name), agency.rules.unwrap_or(OPEN_RULES));
            for (file, text) in agency.files {
                fs::write(path.join(file), text).unwrap();
            }
            gateway.push_str(&format!("\n[[node]]\nagency = \"{name}\"\naddress = \"127.0.0.1:{port}\"\n"));
            let config = format!(
                "agency = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\ngateway = \"127.0.0.1:{}\"\nstate = \"{name}\"\n\
                 policies = \"policies/{name}\"\ncountry = \"US\"\n[federation]\nepoch = 1\nmembers = [{}]\n{}\n\
                 {}{AUDITOR_KNOWN}{}",
                ports[0],
                members.join(", "),
                tls(&format!("agency-{name}-node")),
                agency.everybody().map(|(person, role)| attributes(&person, role)).collect::<String>(),
                agency.datasets
            );
            fs::write(path.join(format!("{name}.toml")), config).unwrap();
            for (person, _) in agency.everybody() {
                let files = tls(&format!("agency-{name}-user-{person}")).replace("[tls]", "[person.tls]");
                people.push_str(&format!(
                    "[[person]]\nname = \"{person}\"\nagency = \"{name}\"\nnode = \"127.0.0.1:{port}\"\n{files}\n"
                ));
            }
        }
        let names = std::iter::once("gateway").chain(agencies.iter().map(|agency| agency.name));
        let places = names.zip(&ports).map(|(name, port)| format!("{name} = \"127.0.0.1:{port}\"\n"));
        people.push_str(&format!(
            "[[auditor]]\nname = \"chen\"\n[auditor.places]\n{}{}",
            places.collect::<String>(),
            tls("auditor-chen").replace("[tls]", "[auditor.tls]")
        ));
        gateway.push_str(AUDITOR_KNOWN);
        fs::write(path.join("gateway.toml"), gateway).unwrap();
        fs::write(path.join("people.toml"), people).unwrap();
        let people = agencies.iter().map(|agency| format!("{}-analyst", agency.name)).collect();
        Self { directory, ports, processes: Vec::new(), people }
    }

    /// Changes the configuration of `gateway` or an agency's node.
    pub(crate) fn configure(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path().join(format!("{name}.toml"));
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the process `gateway` or an agency's node.
    pub(crate) fn run(&mut self, name: &str) {
        let subcommand = if name == "gateway" { "gateway" } else { "agency-node" };
        let log = fs::File::options().create(true).append(true).open(self.path().join(format!("{name}.log"))).unwrap();
        let mut child = Command::new(PROGRAM)
            .args([subcommand, "--config"])
            .arg(self.path().join(format!("{name}.toml")))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{name} did not start: {}", self.log(name));
        self.processes.push((name.to_owned(), child));
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    pub(crate) fn process_id(&self, name: &str) -> u32 {
        self.processes.iter().find(|(process, _)| process == name).unwrap().1.id()
    }

    /// Sends a signal such as `KILL`, `STOP`, `CONT` or `TERM`.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let id = self.process_id(name).to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
    }

    /// Ends a process at once, as a power cut would.
    pub(crate) fn kill(&mut self, name: &str) {
        let place = self.processes.iter().position(|(process, _)| process == name).unwrap();
        let (_, mut child) = self.processes.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends a process in good order.
    pub(crate) fn stop(&mut self, name: &str) {
        self.signal(name, "TERM");
        let place = self.processes.iter().position(|(process, _)| process == name).unwrap();
        let (_, mut child) = self.processes.remove(place);
        child.wait().unwrap();
    }

    pub(crate) fn wait_until_settled(&self) {
        let until = Instant::now() + PATIENCE;
        let ready = |person: &String| {
            let agency = person.trim_end_matches("-analyst");
            self.log(agency).contains("every data set can be asked")
        };
        while !self.people.iter().all(ready) {
            assert!(Instant::now() < until, "not settled: {}", self.log("gateway"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a command of the person's, with the people's file in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.path()).env("SALLYPORT_PEOPLE", self.path().join("people.toml"));
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Asks a question, with more arguments such as look-ups, and expects an answer.
    pub(crate) fn ask(&self, agency: &str, question: &str, more: &[&str]) -> Value {
        let output = self.try_ask(agency, question, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn try_ask(&self, agency: &str, question: &str, more: &[&str]) -> Output {
        self.try_ask_as(&format!("{agency}-analyst"), question, more)
    }

    pub(crate) fn try_ask_as(&self, person: &str, question: &str, more: &[&str]) -> Output {
        let file = tempfile::Builder::new().suffix(".toml").tempfile_in(self.path()).unwrap();
        fs::write(file.path(), question).unwrap();
        let mut arguments = vec!["ask", file.path().to_str().unwrap(), "--as", person, "--json"];
        arguments.extend(more);
        self.output(&arguments)
    }

    /// Where the audit log of `gateway` or of an agency is.
    pub(crate) fn audit(&self, name: &str) -> PathBuf {
        if name == "gateway" { self.path().join("gateway-audit") } else { self.path().join(name).join("audit") }
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        for (_, child) in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn tls(name: &str) -> String {
    format!(
        "[tls]\ncertificate = \"certs/{name}.pem\"\nkey = \"certs/{name}.key\"\nauthorities = \"certs/authority.pem\"\n"
    )
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn make_certificates(path: &Path, agencies: &[Agency<'_>]) {
    let mut command = Command::new(PROGRAM);
    command.args(["certs", "--auditor", "chen", "--directory"]).arg(path.join("certs"));
    for agency in agencies {
        command.args(["--agency", agency.name]);
        for (person, _) in agency.everybody() {
            command.args(["--user", &format!("{}/{person}", agency.name)]);
        }
    }
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
}

pub(crate) fn write_policy(folder: &Path, rules: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("model.conf"), include_str!("../../../policies/model.conf")).unwrap();
    fs::write(folder.join("rules.toml"), rules).unwrap();
    fs::write(folder.join("cases.toml"), CASES).unwrap();
}

/// The reason that a failed command gives to scripts: what stands in brackets at the end.
pub(crate) fn reason(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    let line = told.lines().rev().find(|line| line.ends_with(']')).unwrap_or_else(|| panic!("no reason in: {told}"));
    line.rsplit('[').next().unwrap().trim_end_matches(']').to_owned()
}

/// What became of a data set.
pub(crate) fn outcome<'a>(answer: &'a Value, dataset: &str) -> &'a Value {
    answer["coverage"].as_array().unwrap().iter().find(|entry| entry["dataset"] == dataset).unwrap()
}
