//! A federation of real processes on this machine: certificates, configuration, start, end.
//!
//! The demonstration and the benchmarks use the same servers that an agency would, over loopback mTLS.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use sallyport_trust::{
    clock::Clock,
    identity::development_ca::{DevelopmentSet, development_set},
};

use crate::{
    desk::Desk,
    failure::Failure,
    people::{As, Auditor, Feed, People, Person},
};

/// Trust domain of the demonstration.
pub(crate) const FEDERATION: &str = "sallyport.demo";
/// Agencies of the demonstration.
pub(crate) const AGENCIES: [&str; 3] = ["hsi", "cbp", "acme"];
/// Who reviews access in the demonstration.
pub(crate) const AUDITOR: &str = "chen";
/// What every party of the demonstration knows of the auditor.
const AUDITOR_KNOWN: &str =
    "\n[[auditor]]\nname = \"chen\"\n[auditor.attributes]\nemployer_name = \"Office of Inspector General\"\n";

/// How often it is looked whether the processes still run.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One agency's part of a federation to start.
pub(crate) struct Member {
    pub(crate) agency: String,
    /// The people of this node, each with `[person.attributes]` in TOML.
    pub(crate) people: Vec<(String, String)>,
    /// `[[dataset]]` tables in TOML, files relative to the federation's directory.
    pub(crate) datasets: String,
    /// Partners that send positions to this node; their `[[feed]]` tables stand beside the data sets.
    pub(crate) partners: Vec<String>,
    /// Directory of the node's policy.
    pub(crate) policies: PathBuf,
}

/// Running processes; they end when this is dropped.
pub(crate) struct Federation {
    directory: PathBuf,
    pub(crate) processes: Vec<Process>,
}

/// A started server.
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    has_ended: bool,
}

impl Process {
    fn start(name: &str, subcommand: &str, config: &Path, log: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::machine(&format!("{name} cannot be started"), &error);
        let program = std::env::current_exe().map_err(failed)?;
        let log = fs::File::create(log).map_err(failed)?;
        let child = Command::new(program)
            .args([subcommand, "--config"])
            .arg(config)
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut process = Self { name: name.to_owned(), child, has_ended: false };
        process.wait_until_listening(config)?;
        Ok(process)
    }

    fn wait_until_listening(&mut self, config: &Path) -> Result<(), Failure> {
        let mut line = String::new();
        let out = self.child.stdout.take();
        let read = out.map(BufReader::new).map(|mut out| out.read_line(&mut line));
        if matches!(read, Some(Ok(length)) if length > 0) {
            return Ok(());
        }
        let log = config.with_extension("log");
        let said = fs::read_to_string(&log).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it said nothing");
        Err(Failure::machine(&format!("{} did not start (its log is {})", self.name, log.display()), &last))
    }

    /// The most memory the process has had, in bytes.
    pub(crate) fn peak_memory_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
    }

    /// Processor seconds that the process has used, in steps of 0.01.
    pub(crate) fn processor_s(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(ticks as f64 / 100.0)
    }

    /// How the process ended by itself, told once.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten().filter(|_| !self.has_ended);
        self.has_ended |= status.is_some();
        status
    }

    /// Asks the process to end and waits until it has drained.
    fn end(&mut self) {
        // Who has ended already has given its number back: it may be somebody else's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

impl Federation {
    /// Makes certificates under `directory`, then configuration, and starts a gateway and every node.
    pub(crate) fn start(directory: &Path, gateway_policies: &Path, members: &[Member]) -> Result<Self, Failure> {
        let directory =
            fs::canonicalize(directory).map_err(|error| Failure::machine("the directory is gone", &error))?;
        certificates(&directory, members)?;
        let mut federation = Self { directory, processes: Vec::new() };
        federation.launch(gateway_policies, members)?;
        Ok(federation)
    }

    /// Writes configuration and starts everything; who is running is ended first.
    pub(crate) fn launch(&mut self, gateway_policies: &Path, members: &[Member]) -> Result<(), Failure> {
        self.end();
        let ports = free_ports(members.len() + 1)?;
        write(&self.directory.join("gateway.toml"), &gateway_config(gateway_policies, members, &ports))?;
        let names: Vec<String> = members.iter().map(|member| format!("\"{}\"", member.agency)).collect();
        let (mut people, mut feeds) = (Vec::new(), Vec::new());
        for (member, port) in members.iter().zip(&ports[1..]) {
            let config = node_config(member, *port, ports[0], &names.join(", "));
            write(&self.directory.join(format!("{}.toml", member.agency)), &config)?;
            for (name, _) in &member.people {
                people.push(person(&member.agency, name, *port)?);
            }
            for partner in &member.partners {
                feeds.push(feed(&member.agency, partner, *port)?);
            }
        }
        let people = People { person: people, auditor: vec![auditor(members, &ports)?], feed: feeds };
        let people = toml::to_string(&people).map_err(|error| Failure::machine("people.toml", &error))?;
        write(&self.directory.join("people.toml"), &people)?;
        self.start_process("gateway", "gateway")?;
        members.iter().try_for_each(|member| self.start_process(&member.agency, "agency-node"))
    }

    fn start_process(&mut self, name: &str, subcommand: &str) -> Result<(), Failure> {
        let config = self.directory.join(format!("{name}.toml"));
        let log = self.directory.join(format!("{name}.log"));
        self.processes.push(Process::start(name, subcommand, &config, &log)?);
        Ok(())
    }

    /// A person's own node.
    pub(crate) fn desk(&self, person: &str) -> Result<Desk, Failure> {
        Desk::of(&As::new(person, &self.directory.join("people.toml")).person()?)
    }

    /// A partner's system, with the node that it sends to.
    pub(crate) fn feed(&self, partner: &str) -> Result<Feed, Failure> {
        As::new(partner, &self.directory.join("people.toml")).feed()
    }

    /// Waits until every node can be asked everything, telling how far they are.
    pub(crate) async fn settled(
        &self,
        people: &[&str],
        patience: Duration,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), Failure> {
        let until = Instant::now() + patience;
        let mut desks = people.iter().map(|person| self.desk(person)).collect::<Result<Vec<_>, _>>()?;
        loop {
            let (mut tagged, mut identifiers, mut ready, mut waiting) = (0, 0, 0, Vec::new());
            for desk in &mut desks {
                let told = desk.readiness().await?;
                tagged += told.tagged;
                identifiers += told.identifiers;
                ready += usize::from(told.ready);
                waiting.extend(told.waiting_for);
            }
            progress(tagged, identifiers);
            if ready == desks.len() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(Failure::machine("the nodes are not ready", &waiting.join("; ")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tells of every process that ends by itself, once; the others go on. Ends only when it is dropped.
    pub(crate) async fn tell_of_ends(&mut self, mut tell: impl FnMut(&str)) {
        loop {
            for process in &mut self.processes {
                let Some(status) = process.ended() else { continue };
                let (name, folder) = (&process.name, self.directory.display());
                let subcommand = if name == "gateway" { "gateway" } else { "agency-node" };
                tell(&format!(
                    "{name} has ended ({status}); its log is {folder}/{name}.log. To start it again:\n  \
                     sallyport {subcommand} --config {folder}/{name}.toml"
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Processor seconds that all processes have used together, in steps of 0.01.
    pub(crate) fn processor_s(&self) -> f64 {
        self.processes.iter().filter_map(Process::processor_s).sum()
    }

    /// Directories of all audit logs.
    pub(crate) fn audit_logs(&self) -> Vec<PathBuf> {
        let nodes = self.processes.iter().skip(1).map(|process| self.directory.join(&process.name).join("audit"));
        std::iter::once(self.directory.join("gateway-audit")).chain(nodes).collect()
    }

    /// Ends every process, nodes first.
    pub(crate) fn end(&mut self) {
        while let Some(mut process) = self.processes.pop() {
            process.end();
        }
    }
}

/// An empty directory that is surely ours, marked as `what`: a folder that holds something else stays.
pub(crate) fn fresh_directory(directory: &Path, what: &str) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| Failure::machine(&format!("{} cannot be used", directory.display()), &error);
    let mark = directory.join(what);
    let empty = fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none());
    if !empty && !mark.is_file() {
        return Err(Failure::input(
            "directory_in_use",
            format!("{} holds something else; name another with --directory", directory.display()),
        ));
    }
    if !empty {
        if fs::File::open(&mark).map_err(failed)?.try_lock().is_err() {
            return Err(Failure::input(
                "directory_in_use",
                format!("a {what} is running in {}; end it, or name another with --directory", directory.display()),
            ));
        }
        fs::remove_dir_all(directory).map_err(failed)?;
    }
    fs::create_dir_all(directory).map_err(failed)?;
    fs::write(&mark, "made by sallyport; replaced by the next one\n").map_err(failed)?;
    // Locked for as long as this process lives.
    let held = Box::leak(Box::new(fs::File::open(&mark).map_err(failed)?));
    held.try_lock().map_err(|error| failed(error.into()))?;
    fs::canonicalize(directory).map_err(failed)
}

#[derive(serde::Deserialize)]
struct Tls {
    tls: sallyport_trust::identity::TlsFiles,
}

fn certificates(directory: &Path, members: &[Member]) -> Result<(), Failure> {
    let agencies: Vec<&str> = members.iter().map(|member| member.agency.as_str()).collect();
    let mut users: Vec<(&str, &str)> = Vec::new();
    for member in members {
        users.extend(member.people.iter().map(|(name, _)| (member.agency.as_str(), name.as_str())));
    }
    let partners: Vec<&str> = members.iter().flat_map(|member| &member.partners).map(String::as_str).collect();
    let set = DevelopmentSet {
        federation: FEDERATION,
        agencies: &agencies,
        users: &users,
        auditors: &[AUDITOR],
        partners: &partners,
    };
    development_set(&directory.join("certs"), &set, Clock::system())
        .map(|_issued| ())
        .map_err(|error| Failure::machine("certificates cannot be made", &error))
}

fn gateway_config(policies: &Path, members: &[Member], ports: &[u16]) -> String {
    let mut config = format!(
        "listen = \"127.0.0.1:{}\"\naudit = \"gateway-audit\"\npolicies = {}\n{}",
        ports[0],
        quoted(policies),
        tls("gateway")
    );
    for (member, port) in members.iter().zip(&ports[1..]) {
        config.push_str(&format!("\n[[node]]\nagency = \"{}\"\naddress = \"127.0.0.1:{port}\"\n", member.agency));
    }
    config.push_str(AUDITOR_KNOWN);
    config
}

fn person(agency: &str, name: &str, port: u16) -> Result<Person, Failure> {
    let tls = tls_files(&format!("agency-{agency}-user-{name}"))?;
    Ok(Person { name: name.to_owned(), agency: agency.to_owned(), node: format!("127.0.0.1:{port}"), tls })
}

fn feed(agency: &str, partner: &str, port: u16) -> Result<Feed, Failure> {
    let tls = tls_files(&format!("partner-{partner}-feed"))?;
    Ok(Feed { name: partner.to_owned(), agency: agency.to_owned(), node: format!("127.0.0.1:{port}"), tls })
}

/// The auditor knows where every log is; which of them may be read is for each party to say.
fn auditor(members: &[Member], ports: &[u16]) -> Result<Auditor, Failure> {
    let names = std::iter::once("gateway").chain(members.iter().map(|member| member.agency.as_str()));
    let places: BTreeMap<String, String> =
        names.zip(ports).map(|(name, port)| (name.to_owned(), format!("127.0.0.1:{port}"))).collect();
    Ok(Auditor { name: AUDITOR.to_owned(), places, tls: tls_files(&format!("auditor-{AUDITOR}"))? })
}

fn tls_files(name: &str) -> Result<sallyport_trust::identity::TlsFiles, Failure> {
    let files = toml::from_str::<Tls>(&tls(name)).map_err(|error| Failure::machine("certificates", &error))?;
    Ok(files.tls)
}

fn node_config(member: &Member, port: u16, gateway_port: u16, members: &str) -> String {
    let agency = &member.agency;
    let people: String = member
        .people
        .iter()
        .map(|(name, attributes)| format!("[[person]]\nname = \"{name}\"\n[person.attributes]\n{attributes}\n"))
        .collect();
    format!(
        "agency = \"{agency}\"\nlisten = \"127.0.0.1:{port}\"\ngateway = \"127.0.0.1:{gateway_port}\"\n\
         state = \"{agency}\"\npolicies = {}\ncountry = \"US\"\n\n\
         [federation]\nepoch = 1\nmembers = [{members}]\n\n{}\n{people}\n{AUDITOR_KNOWN}\n{}",
        quoted(&member.policies),
        tls(&format!("agency-{agency}-node")),
        member.datasets,
    )
}

fn tls(name: &str) -> String {
    format!(
        "\n[tls]\ncertificate = \"certs/{name}.pem\"\nkey = \"certs/{name}.key\"\nauthorities = \"certs/authority.pem\"\n\
         revocations = \"certs/authority.crl\"\n"
    )
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::machine(&format!("{} cannot be written", path.display()), &error))
}

fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let held: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    held.and_then(|held| held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect())
        .map_err(|error| Failure::machine("no free port", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_which_something_runs_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("demo");
        fs::create_dir(&directory).unwrap();
        let mark = directory.join("demonstration");
        fs::write(&mark, "").unwrap();
        let running = fs::File::open(&mark).unwrap();
        running.lock().unwrap();
        let told = format!("{:?}", fresh_directory(&directory, "demonstration").err().unwrap());
        assert!(told.contains("directory_in_use") && told.contains("running"), "{told}");
        drop(running);
        fresh_directory(&directory, "demonstration").unwrap();
        assert!(fresh_directory(&directory, "demonstration").is_err());
    }

    #[tokio::test]
    async fn who_ends_is_told_of_once_and_who_runs_is_not() {
        let process = |name: &str, program: &str| {
            let child = Command::new(program).arg("60").stdout(Stdio::null()).spawn().unwrap();
            Process { name: name.to_owned(), child, has_ended: false }
        };
        let processes = vec![process("gateway", "sleep"), process("cbp", "false")];
        let mut federation = Federation { directory: PathBuf::from("demo"), processes };
        let mut told = Vec::new();
        let watching = federation.tell_of_ends(|what| told.push(what.to_owned()));
        assert!(tokio::time::timeout(LOOK_EVERY * 8, watching).await.is_err());
        let [only] = &told[..] else { panic!("{told:?}") };
        assert!(only.starts_with("cbp has ended (exit status: 1); its log is demo/cbp.log."), "{only}");
        assert!(only.ends_with("sallyport agency-node --config demo/cbp.toml"), "{only}");
    }
}
