//! Log lines of a process: what happened and why, never about whom.
//!
//! Written to the standard error stream, so that results on the standard output stay clean. Filtered
//! by `RUST_LOG` in the syntax of `tracing-subscriber`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

const DEFAULT_FILTER: &str = "info,h2=warn,hyper=warn,tower=warn,tonic=warn,rustls=warn";

/// Starts writing log lines, as JSON objects if `json`. Call once, at the start of a process.
///
/// # Errors
/// [`TryInitError`] if something else in the process collects log lines already.
pub fn init_tracing(json: bool) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if json { lines.json().finish().try_init() } else { lines.finish().try_init() }
}
