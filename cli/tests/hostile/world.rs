//! Two agencies and a gateway: their certificates, files and processes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use sallyport_proto::node::v1::{ReadinessRequest, desk_client::DeskClient};
use sallyport_trust::{
    clock::Clock,
    identity::{
        ConnectSettings, Identity, SpiffeId, TlsFiles, connect,
        development_ca::{DevelopmentSet, development_set},
    },
};
use tonic::transport::Channel;

pub(crate) const FEDERATION: &str = "sallyport.demo";
/// Longer than any machine needs; only a fault waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A directory with everybody's certificates.
pub(crate) struct World(tempfile::TempDir);

/// What a finished command left.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Finished {
    /// Asserts the exit code and the stable reason, which ends the message.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, reason: &str) {
        assert_eq!(self.code, Some(code), "{reason}: {}{}", self.out, self.err);
        assert!(self.err.trim_end().ends_with(&format!("[{reason}]")), "expected {reason}: {}", self.err);
        assert_eq!(self.out, "", "a refused command says nothing on the standard output");
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let set = DevelopmentSet {
            federation: FEDERATION,
            agencies: &["hsi", "cbp"],
            users: &[("hsi", "rivera"), ("hsi", "nobody"), ("cbp", "okafor")],
            auditors: &["chen"],
            partners: &["acme"],
        };
        development_set(&directory.path().join("certs"), &set, Clock::system()).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn files(&self, name: &str) -> TlsFiles {
        let path = |file: String| self.path("certs").join(file);
        TlsFiles {
            certificate: path(format!("{name}.pem")),
            key: path(format!("{name}.key")),
            authorities: path("authority.pem".to_owned()),
            revocations: None,
        }
    }

    pub(crate) fn identity(&self, name: &str) -> Arc<Identity> {
        Identity::load(&self.files(name), Clock::system()).unwrap()
    }

    /// A channel from one party to another, as the product's own clients make it.
    pub(crate) fn channel(&self, from: &str, to: &Server) -> Channel {
        connect(&self.identity(from), &to.address(), &to.id(), &ConnectSettings::default()).unwrap()
    }

    pub(crate) fn gateway_toml(&self, port: u16, nodes: &[(&str, u16)]) -> String {
        let nodes = nodes
            .iter()
            .map(|(agency, port)| format!("\n[[node]]\nagency = \"{agency}\"\naddress = \"127.0.0.1:{port}\"\n"));
        format!(
            "listen = \"127.0.0.1:{port}\"\naudit = \"gateway-audit\"\npolicies = \"{}\"\n{}{}",
            policies("gateway").display(),
            tls("gateway"),
            nodes.collect::<String>()
        )
    }

    pub(crate) fn node_toml(&self, agency: &str, port: u16, gateway_port: u16, more: &str) -> String {
        let person = if agency == "hsi" { "rivera" } else { "okafor" };
        format!(
            "agency = \"{agency}\"\nlisten = \"127.0.0.1:{port}\"\ngateway = \"127.0.0.1:{gateway_port}\"\n\
             state = \"{agency}\"\npolicies = \"{}\"\ncountry = \"US\"\n\n\
             [federation]\nepoch = 1\nmembers = [\"hsi\", \"cbp\"]\n{}\n\
             [[person]]\nname = \"{person}\"\n[person.attributes]\nrole = \"analyst\"\n\
             \"28cfr_certification\" = \"true\"\n\n{more}",
            policies(agency).display(),
            tls(&format!("agency-{agency}-node")),
        )
    }

    /// Says where people's nodes are, for the command line.
    pub(crate) fn write_people(&self, nodes: &[(&str, &str, u16)]) {
        let people = nodes.iter().map(|(agency, name, port)| {
            format!(
                "[[person]]\nname = \"{name}\"\nagency = \"{agency}\"\nnode = \"127.0.0.1:{port}\"{}",
                tls(&format!("agency-{agency}-user-{name}")).replace("[tls]", "[person.tls]")
            )
        });
        self.write("people.toml", &people.collect::<String>());
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn start(&self, name: &'static str, port: u16, config: &str) -> Server {
        let config = self.write(&format!("{name}.toml"), config);
        Server::start(name, port, &config)
    }

    /// A gateway whose nodes are away.
    pub(crate) fn lone_gateway(&self, more: &str) -> Server {
        let [port, nowhere] = free_ports();
        self.start("gateway", port, &format!("{}{more}", self.gateway_toml(port, &[("hsi", nowhere)])))
    }

    /// A node whose gateway is away.
    pub(crate) fn lone_node(&self, more: &str) -> Server {
        let [port, nowhere] = free_ports();
        self.start("hsi", port, &self.node_toml("hsi", port, nowhere, more))
    }

    /// Runs the command line to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sallyport"));
        command.args(arguments).current_dir(self.0.path()).env_remove("SALLYPORT_PEOPLE").env_remove("RUST_LOG");
        run(command)
    }

    /// Asks as a person of the people file.
    pub(crate) fn ask(&self, person: &str, arguments: &[&str]) -> Finished {
        let who = ["ask", "--as", person, "--people", "people.toml"];
        self.run(&[&who[..], arguments].concat())
    }
}

/// Both nodes and the gateway, settled.
pub(crate) struct Federation {
    pub(crate) gateway: Server,
    pub(crate) hsi: Server,
    pub(crate) cbp: Server,
}

impl Federation {
    /// Starts all three with these data sets and waits until everything can be asked.
    pub(crate) async fn start(world: &World, hsi_datasets: &str, cbp_datasets: &str) -> Self {
        let [gateway, hsi, cbp] = free_ports();
        let config = world.gateway_toml(gateway, &[("hsi", hsi), ("cbp", cbp)]);
        let federation = Self {
            gateway: world.start("gateway", gateway, &config),
            hsi: world.start("hsi", hsi, &world.node_toml("hsi", hsi, gateway, hsi_datasets)),
            cbp: world.start("cbp", cbp, &world.node_toml("cbp", cbp, gateway, cbp_datasets)),
        };
        federation.settled(world).await;
        federation
    }

    pub(crate) async fn settled(&self, world: &World) {
        world.write_people(&[("hsi", "rivera", self.hsi.port), ("cbp", "okafor", self.cbp.port)]);
        for (person, node) in [("agency-hsi-user-rivera", &self.hsi), ("agency-cbp-user-okafor", &self.cbp)] {
            let mut desk = DeskClient::new(world.channel(person, node));
            let until = Instant::now() + PATIENCE;
            loop {
                let told = desk.readiness(ReadinessRequest {}).await.unwrap().into_inner();
                if told.ready {
                    break;
                }
                assert!(Instant::now() < until, "{} waits for {:?}", node.name, told.waiting_for);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    config: PathBuf,
    child: Child,
}

impl Server {
    fn start(name: &'static str, port: u16, config: &Path) -> Self {
        let file = |extension: &str| {
            fs::OpenOptions::new().create(true).append(true).open(config.with_extension(extension)).unwrap()
        };
        let subcommand = if name == "gateway" { "gateway" } else { "agency-node" };
        let child = Command::new(env!("CARGO_BIN_EXE_sallyport"))
            .args([subcommand, "--config"])
            .arg(config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        let mut server = Self { name, port, config: config.to_owned(), child };
        let until = Instant::now() + PATIENCE;
        while !server.said("out").contains("listening on") {
            assert!(Instant::now() < until && server.is_running(), "{name}: {}", server.said("log"));
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub(crate) fn id(&self) -> SpiffeId {
        let path = if self.name == "gateway" { "gateway".to_owned() } else { format!("agency/{}/node", self.name) };
        format!("spiffe://{FEDERATION}/{path}").parse().unwrap()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written: `out` or `log`.
    pub(crate) fn said(&self, stream: &str) -> String {
        fs::read_to_string(self.config.with_extension(stream)).unwrap_or_default()
    }

    /// Waits until its log says something.
    pub(crate) async fn logs(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.said("log").contains(text) {
            assert!(Instant::now() < until, "{} never logged {text}: {}", self.name, self.said("log"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asserts that it still runs and never panicked.
    #[track_caller]
    pub(crate) fn is_well(&mut self) {
        assert!(self.is_running(), "{} ended: {}", self.name, self.said("log"));
        assert!(!self.said("log").contains("panicked"), "{}: {}", self.name, self.said("log"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end, by force if it does not come to one.
pub(crate) fn run(mut command: Command) -> Finished {
    let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut child =
        command.stdin(Stdio::null()).stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the command does not end: {}", fs::read_to_string(err.path()).unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |file: &tempfile::NamedTempFile| fs::read_to_string(file.path()).unwrap();
    Finished { code, out: read(&out), err: read(&err) }
}

/// The policies that come with the project.
pub(crate) fn policies(party: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(party).canonicalize().unwrap()
}

pub(crate) fn tls(name: &str) -> String {
    format!(
        "\n[tls]\ncertificate = \"certs/{name}.pem\"\nkey = \"certs/{name}.key\"\nauthorities = \"certs/authority.pem\"\n"
    )
}

pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
