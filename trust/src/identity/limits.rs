//! The limits of a listening process. tonic sets few of its own, so every one is set here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of a listener; every field may be left out of the TOML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at a time, all peers together: 1 to 65,536.
    pub connections: usize,
    /// Connections open at a time for one SPIFFE ID: 1 to `connections`.
    pub connections_per_peer: usize,
    /// Handshakes under way at a time: 1 to 4,096. More wait in the backlog of the socket.
    pub handshakes: usize,
    /// From the accepted connection to the end of the handshake: 1 to 60,000 ms.
    pub handshake_timeout_ms: u64,
    /// Requests under way at a time on one connection: 1 to 4,096.
    pub streams_per_connection: u32,
    /// The largest HTTP/2 frame taken: 16,384 to 16,777,215 bytes.
    pub frame_bytes: u32,
    /// What a peer may send ahead on one stream: 65,535 to 2³¹ − 1 bytes.
    pub stream_window_bytes: u32,
    /// What a peer may send ahead on one connection: 65,535 to 2³¹ − 1 bytes.
    pub connection_window_bytes: u32,
    /// All headers of one request together: 1,024 to 1,048,576 bytes.
    pub header_list_bytes: u32,
    /// The largest message decoded: 1,024 to 67,108,864 bytes. Generated services are built with it.
    pub message_bytes: usize,
    /// How often an open connection is asked whether its peer is alive: 1 to 3,600 s.
    pub keep_alive_interval_s: u64,
    /// How long the answer may take before the connection is closed: 1 to 600 s.
    pub keep_alive_timeout_s: u64,
    /// From a request to the head of its answer: 1 to 86,400 s. A peer's own deadline may be sooner.
    pub request_timeout_s: u64,
    /// How long requests under way may go on after the process was asked to end: 0 to 600,000 ms.
    pub drain_grace_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 64,
            handshakes: 128,
            handshake_timeout_ms: 10_000,
            streams_per_connection: 256,
            frame_bytes: 64 * 1024,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 4 * 1024 * 1024,
            header_list_bytes: 16 * 1024,
            message_bytes: 4 * 1024 * 1024,
            keep_alive_interval_s: 20,
            keep_alive_timeout_s: 10,
            request_timeout_s: 600,
            drain_grace_ms: 20_000,
        }
    }
}

/// A limit outside its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{field}` must be from {least} to {most}")]
pub struct LimitsError {
    /// The field as in the TOML.
    pub field: &'static str,
    /// The smallest value allowed.
    pub least: u64,
    /// The largest value allowed.
    pub most: u64,
}

/// RFC 9113, 6.9.1; the HTTP/2 library does not take more.
pub(super) const MAX_WINDOW_BYTES: u64 = (1 << 31) - 1;

impl Limits {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`LimitsError`] with the first field outside its range.
    pub fn validate(&self) -> Result<(), LimitsError> {
        let connections = self.connections as u64;
        check(&[
            ("connections", connections, 1, 65_536),
            ("connections_per_peer", self.connections_per_peer as u64, 1, connections),
            ("handshakes", self.handshakes as u64, 1, 4_096),
            ("handshake_timeout_ms", self.handshake_timeout_ms, 1, 60_000),
            ("streams_per_connection", self.streams_per_connection.into(), 1, 4_096),
            ("frame_bytes", self.frame_bytes.into(), 16_384, 16_777_215),
            ("stream_window_bytes", self.stream_window_bytes.into(), 65_535, MAX_WINDOW_BYTES),
            ("connection_window_bytes", self.connection_window_bytes.into(), 65_535, MAX_WINDOW_BYTES),
            ("header_list_bytes", self.header_list_bytes.into(), 1_024, 1_048_576),
            ("message_bytes", self.message_bytes as u64, 1_024, 67_108_864),
            ("keep_alive_interval_s", self.keep_alive_interval_s, 1, 3_600),
            ("keep_alive_timeout_s", self.keep_alive_timeout_s, 1, 600),
            ("request_timeout_s", self.request_timeout_s, 1, 86_400),
            ("drain_grace_ms", self.drain_grace_ms, 0, 600_000),
        ])
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }
}

/// Checks (field, value, least, most) one after another.
pub(crate) fn check(fields: &[(&'static str, u64, u64, u64)]) -> Result<(), LimitsError> {
    match fields.iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
        Some(&(field, _, least, most)) => Err(LimitsError { field, least, most }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_ranges_and_the_file_is_strict() {
        assert_eq!(Limits::default().validate(), Ok(()));
        assert_eq!(toml::from_str::<Limits>("").unwrap(), Limits::default());
        assert!(toml::from_str::<Limits>("conections = 1").is_err());
    }

    #[test]
    fn a_limit_outside_its_range_is_named() {
        let error = |text: &str| toml::from_str::<Limits>(text).unwrap().validate().unwrap_err().field;
        assert_eq!(error("connections = 0"), "connections");
        assert_eq!(error("connections = 8"), "connections_per_peer");
        assert_eq!(error("frame_bytes = 100"), "frame_bytes");
        assert_eq!(error("stream_window_bytes = 4294967295"), "stream_window_bytes");
    }
}
