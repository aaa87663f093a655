//! Parties that lie: a node whose rows, or a gateway whose sums, are not what was sent. Everything else they pass on.

use std::sync::{Arc, Mutex};

use sallyport_proto::{
    gateway::v1::{
        AskEvent, AskRequest, CatalogRequest, CatalogResponse, RelayRequest, RelayResponse, ask_event::Event,
        federation_client::FederationClient, federation_server::Federation,
    },
    node::v1::{
        AccountRequest, AccountResponse, ContributeRequest, Contributed, DeliverRequest, DeliverResponse,
        DescribeRequest, DescribeResponse, RevealRequest, RevealResponse, contributed::Part,
        contribution_client::ContributionClient, contribution_server::Contribution,
    },
};
use sallyport_trust::identity::Identity;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, server::Router},
};

/// What becomes of rows or sums on their way.
pub(crate) type Change = fn(Vec<u8>) -> Vec<u8>;

/// How a party lies at the moment.
#[derive(Clone)]
pub(crate) struct Lie(Arc<Mutex<Change>>);

impl Lie {
    /// Not yet.
    pub(crate) fn none() -> Self {
        Self(Arc::new(Mutex::new(|bytes| bytes)))
    }

    pub(crate) fn becomes(&self, change: Change) {
        *self.0.lock().unwrap() = change;
    }

    fn told(&self, bytes: Vec<u8>) -> Vec<u8> {
        let change = *self.0.lock().unwrap();
        change(bytes)
    }
}

/// A stream that was read to its end before it is passed on.
type Whole<T> = tokio_stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

/// In front of a node.
pub(crate) struct FalseNode {
    pub(crate) node: ContributionClient<Channel>,
    pub(crate) lie: Lie,
}

#[tonic::async_trait]
impl Contribution for FalseNode {
    type ContributeStream = Whole<Contributed>;

    async fn contribute(&self, request: Request<ContributeRequest>) -> Result<Response<Whole<Contributed>>, Status> {
        let mut stream = self.node.clone().contribute(request.into_inner()).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(mut message) = stream.message().await? {
            if let Some(Part::Rows(rows)) = &mut message.part {
                *rows = self.lie.told(rows.to_vec()).into();
            }
            messages.push(Ok(message));
        }
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn reveal(&self, request: Request<RevealRequest>) -> Result<Response<RevealResponse>, Status> {
        self.node.clone().reveal(request.into_inner()).await
    }

    async fn account(&self, request: Request<AccountRequest>) -> Result<Response<AccountResponse>, Status> {
        self.node.clone().account(request.into_inner()).await
    }

    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        self.node.clone().deliver(request.into_inner()).await
    }

    async fn describe(&self, request: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, Status> {
        self.node.clone().describe(request.into_inner()).await
    }
}

/// In front of the gateway.
pub(crate) struct FalseGateway {
    pub(crate) gateway: FederationClient<Channel>,
    pub(crate) lie: Lie,
}

#[tonic::async_trait]
impl Federation for FalseGateway {
    type AskStream = Whole<AskEvent>;

    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<Whole<AskEvent>>, Status> {
        let mut stream = self.gateway.clone().ask(request.into_inner()).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(mut message) = stream.message().await? {
            if let Some(Event::Sums(sums)) = &mut message.event {
                *sums = self.lie.told(std::mem::take(sums));
            }
            messages.push(Ok(message));
        }
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn relay(&self, request: Request<RelayRequest>) -> Result<Response<RelayResponse>, Status> {
        self.gateway.clone().relay(request.into_inner()).await
    }

    async fn catalog(&self, request: Request<CatalogRequest>) -> Result<Response<CatalogResponse>, Status> {
        self.gateway.clone().catalog(request.into_inner()).await
    }
}

/// Serves under another party's certificate, on a port of its own.
pub(crate) async fn serve(face: Arc<Identity>, router: Router) -> u16 {
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (behind, port) = (inside.local_addr().unwrap(), outside.local_addr().unwrap().port());
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(inside)));
    let acceptor = TlsAcceptor::from(face.server_config().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = outside.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let Ok(mut server) = TcpStream::connect(behind).await else { return };
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}
