//! A listening process from its first connection to its last: boot, readiness, drain.
//!
//! Every limit that tonic leaves open is set here. Health and reflection are served beside the
//! process's own services, over the same mutual TLS. When the process is asked to end, it says that it
//! is not ready, stops accepting, lets requests under way finish for a grace period, and cuts off what
//! is left. It authorises nothing: that is each service's first step.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::identity::connections::Connections;
use crate::identity::limits::LimitsError;
use crate::identity::{Identity, IdentityError, listen};

pub use crate::identity::limits::Limits;

/// What a process serves.
pub struct Services {
    /// Its own services, each built with [`Limits::message_bytes`].
    pub routes: Routes,
    /// Their full names, such as `sallyport.node.v1.Node`, for the health service.
    pub names: Vec<String>,
    /// The encoded `FileDescriptorSet` of those services, for reflection.
    pub file_descriptor_set: &'static [u8],
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// Every request under way was finished.
    Complete,
    /// The grace period was over, and connections with requests under way were closed.
    CutOff {
        /// How many connections.
        connections: usize,
    },
}

/// Why a process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A limit is out of range.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The identity cannot be used for listening.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The descriptors are not those of generated services; a fault of the build.
    #[error("the service descriptors cannot be read: {0}")]
    Descriptors(String),
    /// Serving failed.
    #[error("serving failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves on `listener` as `identity` until `shutdown` completes, then drains.
///
/// `connections` is the caller's, made with the same `limits`, for its metrics and for closing single
/// connections.
///
/// # Errors
/// [`ServeError`] if the limits, the identity or the descriptors cannot be used.
pub async fn serve(
    listener: TcpListener,
    identity: &Identity,
    limits: &Limits,
    connections: Arc<Connections>,
    services: Services,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Drain, ServeError> {
    limits.validate()?;
    let incoming = listen(listener, identity, limits, connections.clone())?;
    let reporter = HealthReporter::new();
    report(&reporter, &services.names, ServingStatus::Serving).await;
    let (draining, drain_began) = oneshot::channel();
    let names = services.names.clone();
    let signal = {
        let reporter = reporter.clone();
        async move {
            shutdown.await;
            report(&reporter, &names, ServingStatus::NotServing).await;
            end_watches(reporter, &names).await;
            tracing::info!("draining");
            let _ = draining.send(());
        }
    };
    let routes = with_health_and_reflection(services, reporter, limits)?;
    let serving = server(limits).add_routes(routes).serve_with_incoming_shutdown(incoming, signal);
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => { ended?; Ok(Drain::Complete) }
        () = grace(drain_began, limits.drain_grace_ms) => {
            let cut_off = connections.close_where(|_| true);
            serving.await?;
            Ok(if cut_off == 0 { Drain::Complete } else { Drain::CutOff { connections: cut_off } })
        }
    }
}

/// Completes when the process is asked to end, by SIGTERM or from the keyboard.
///
/// # Errors
/// If the operating system does not let the process listen for signals.
pub async fn terminated() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            asked = tokio::signal::ctrl_c() => asked,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn server(limits: &Limits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .concurrency_limit_per_connection(limits.streams_per_connection as usize)
        .max_frame_size(limits.frame_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .http2_adaptive_window(Some(false))
        .http2_max_header_list_size(limits.header_list_bytes)
        .http2_keepalive_interval(Some(Duration::from_secs(limits.keep_alive_interval_s)))
        .http2_keepalive_timeout(Some(Duration::from_secs(limits.keep_alive_timeout_s)))
        .timeout(Duration::from_secs(limits.request_timeout_s))
}

fn with_health_and_reflection(
    services: Services,
    reporter: HealthReporter,
    limits: &Limits,
) -> Result<Routes, ServeError> {
    let health = HealthServer::new(HealthService::from_health_reporter(reporter))
        .max_decoding_message_size(limits.message_bytes);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(services.file_descriptor_set)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| ServeError::Descriptors(error.to_string()))?
        .max_decoding_message_size(limits.message_bytes);
    Ok(services.routes.add_service(health).add_service(reflection))
}

async fn report(reporter: &HealthReporter, names: &[String], status: ServingStatus) {
    // The empty name stands for the process as a whole.
    reporter.set_service_status("", status).await;
    for name in names {
        reporter.set_service_status(name, status).await;
    }
}

/// Ends the streams of those who watch the health, or they would hold up every drain to its end.
async fn end_watches(mut reporter: HealthReporter, names: &[String]) {
    reporter.clear_service_status("").await;
    for name in names {
        reporter.clear_service_status(name).await;
    }
}

async fn grace(drain_began: oneshot::Receiver<()>, grace_ms: u64) {
    match drain_began.await {
        Ok(()) => tokio::time::sleep(Duration::from_millis(grace_ms)).await,
        // The signal was dropped unfired, so the server ended by itself.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::{Context, Poll};

    use futures::future::BoxFuture;
    use futures::{StreamExt, stream};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;
    use tonic::body::Body;
    use tonic::codegen::http;
    use tonic::server::NamedService;
    use tonic::transport::Channel;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
    use tower::ServiceExt;

    use super::*;
    use crate::identity::tests::{Fixture, ask, id};
    use crate::identity::{ConnectSettings, connect, refusal_of};

    /// Answers when it is released, and says when a request has come in.
    #[derive(Clone, Default)]
    struct Slow {
        entered: Arc<Notify>,
        release: Arc<Notify>,
    }

    impl NamedService for Slow {
        const NAME: &'static str = "test.Slow";
    }

    impl tower::Service<http::Request<Body>> for Slow {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<Body>) -> Self::Future {
            let slow = self.clone();
            Box::pin(async move {
                slow.entered.notify_one();
                slow.release.notified().await;
                Ok(tonic::Status::ok("late").into_http())
            })
        }
    }

    struct Process {
        fixture: Fixture,
        address: String,
        slow: Slow,
        end: oneshot::Sender<()>,
        ended: JoinHandle<Result<Drain, ServeError>>,
        channel: Channel,
    }

    async fn start(limits: Limits) -> Process {
        let fixture = Fixture::new();
        let gateway = fixture.identity("gateway");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let slow = Slow::default();
        let services = Services {
            routes: Routes::new(slow.clone()),
            names: vec![Slow::NAME.to_owned()],
            file_descriptor_set: tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        };
        let (end, asked) = oneshot::channel::<()>();
        let connections = Connections::new(&limits);
        let ended = tokio::spawn(async move {
            let asked = async move { drop(asked.await) };
            serve(listener, &gateway, &limits, connections, services, asked).await
        });
        let client = fixture.identity("agency/hsi/node");
        let channel = connect(&client, &address, &id("gateway"), &ConnectSettings::default()).unwrap();
        Process { fixture, address, slow, end, ended, channel }
    }

    impl Process {
        /// Sends a request that stays under way, and waits until the server has it.
        async fn ask_slow(&self) -> JoinHandle<Result<http::Response<Body>, tonic::transport::Error>> {
            let request = http::Request::post("/test.Slow/Wait").body(Body::empty()).unwrap();
            let answer = tokio::spawn(self.channel.clone().oneshot(request));
            self.slow.entered.notified().await;
            answer
        }
    }

    #[tokio::test]
    async fn health_and_reflection_are_served_under_mutual_tls() {
        let process = start(Limits::default()).await;
        let mut health = HealthClient::new(process.channel.clone());
        for service in ["", Slow::NAME] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = health.check(request).await.unwrap();
            assert_eq!(answer.into_inner().status, ServingStatus::Serving as i32);
        }
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(process.channel.clone());
        let answers = reflection.server_reflection_info(stream::iter([request])).await.unwrap();
        let names = names_of(answers.into_inner().next().await.unwrap().unwrap());
        assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");

        let stranger = Fixture::new().identity("agency/hsi/node");
        let answer = ask(&stranger, &process.address, &id("gateway")).await;
        assert_eq!(answer, Err("certificate_foreign".to_owned()));
    }

    fn names_of(answer: ServerReflectionResponse) -> Vec<String> {
        match answer.message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused() {
        let process = start(Limits { message_bytes: 1024, ..Limits::default() }).await;
        let mut health = HealthClient::new(process.channel.clone());
        let status = health.check(HealthCheckRequest { service: "x".repeat(1025) }).await.unwrap_err();
        assert_eq!(refusal_of(&status).reason, "message_too_large");
    }

    #[tokio::test]
    async fn a_drain_says_not_ready_stops_accepting_and_lets_requests_finish() {
        let process = start(Limits::default()).await;
        let mut health = HealthClient::new(process.channel.clone());
        let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        let mut status = async || watch.next().await.map(|answer| answer.unwrap().status);
        assert_eq!(status().await, Some(ServingStatus::Serving as i32));
        let answer = process.ask_slow().await;

        process.end.send(()).unwrap();
        assert_eq!(status().await, Some(ServingStatus::NotServing as i32));
        assert_eq!(status().await, None, "a watch does not hold up the drain");
        let client = process.fixture.identity("agency/cbp/node");
        // The listener goes in the next step of the server; until then it may still answer.
        while ask(&client, &process.address, &id("gateway")).await != Err("peer_unreachable".to_owned()) {
            tokio::task::yield_now().await;
        }
        assert!(!answer.is_finished() && !process.ended.is_finished());

        process.slow.release.notify_one();
        assert_eq!(answer.await.unwrap().unwrap().headers()["grpc-status"], "0");
        assert_eq!(process.ended.await.unwrap().unwrap(), Drain::Complete);
    }

    #[tokio::test]
    async fn what_is_left_after_the_grace_period_is_cut_off() {
        let process = start(Limits { drain_grace_ms: 50, ..Limits::default() }).await;
        let answer = process.ask_slow().await;
        process.end.send(()).unwrap();
        assert_eq!(process.ended.await.unwrap().unwrap(), Drain::CutOff { connections: 1 });
        assert!(answer.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_limit_out_of_range_stops_the_start() {
        let process = start(Limits { frame_bytes: 1, ..Limits::default() }).await;
        let error = process.ended.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("`frame_bytes`"), "{error}");
    }
}
