//! `sallyport feed push`: positions from a file or the standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::Path,
    time::Duration,
};

use sallyport_feed::{
    BATCH_POSITIONS_MAX, Format, Reader, Reading, Record,
    format::ReadError,
    position::{DEVICE_MAX, is_device},
};
use sallyport_node::Period;
use sha2::{Digest, Sha256};

use super::{
    batches::{Cut, cut},
    client::{connection, feed_name},
    sender::Sender,
    summary::Summary,
};
use crate::{
    failure::Failure,
    people::{As, Feed},
};

/// A live batch that is not full goes when nothing came for so long.
const LIVE_PATIENCE: Duration = Duration::from_secs(1);
/// How long to go on trying to send what is written down already.
const TEXT_PATIENCE: Duration = Duration::from_secs(30);
/// A stream's name is followed by a point and these bytes of a digest, and has at most 64 letters with them.
const NAME_DIGEST_BYTES: usize = 8;
const STREAM_NAME_MAX: usize = DEVICE_MAX - 1 - 2 * NAME_DIGEST_BYTES;
/// Records among which the first position is looked for, so that a stream can be named by it.
const RECORDS_AHEAD_MAX: usize = 4096;
/// Bytes that the format is detected by.
const FIRST_BYTES: usize = 8 * 1024;

/// Arguments of `sallyport feed push`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// File with positions; - for the standard input.
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    who: As,
    /// The node's feed, AGENCY.NAME. Without it, the positions of the node's agency.
    #[arg(long, value_name = "FEED")]
    feed: Option<String>,
    /// csv, jsonl, geojson, gpx, owntracks or project44. Without it, told by name and content.
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Device meant where the file names none.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Name of the stream, at most 47 letters, digits and - _ . :, for going on with it later. The input must then
    /// begin as it did, and may have grown at its end; one with another first position is another stream. Without
    /// it a file goes by its content, and the standard input is a new stream.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Positions in a batch.
    #[arg(long, value_name = "N", default_value_t = BATCH_POSITIONS_MAX as u64, value_parser = clap::value_parser!(u64).range(1..=BATCH_POSITIONS_MAX as u64))]
    batch: u64,
    /// How long to go on trying when the node is away.
    #[arg(long, value_name = "TIME", default_value = "10m")]
    patience: Period,
    /// One JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

fn format(word: &str) -> Result<Format, String> {
    Format::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        format!("formats are {}", words.join(", "))
    })
}

/// Sends everything and says what became of it.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let partner = arguments.who.feed()?;
    let client = connection(&partner)?;
    let (feed, live) = (feed_name(arguments.feed.clone(), &partner), arguments.file == "-");
    let mut input: Box<dyn BufRead + Send> = match live {
        true => Box::new(BufReader::with_capacity(FIRST_BYTES, io::stdin())),
        false => Box::new(BufReader::with_capacity(FIRST_BYTES, open(&arguments.file)?)),
    };
    let first = input.fill_buf().map_err(|error| unreadable(&arguments.file, &error))?;
    let format = arguments.format.unwrap_or_else(|| Format::detect(&arguments.file, first));
    let mut reader = Reader::new(input, format, arguments.device.clone())
        .map_err(|error| Failure::input(error.reason(), error.to_string()))?;
    let mut read_ahead = Vec::new();
    let stream = match (&arguments.stream, live) {
        (Some(name), _) => {
            read_ahead = until_first_position(&mut reader);
            stream_name(name, &read_ahead)?
        }
        (None, true) => hex(&rand::random::<[u8; 16]>()),
        (None, false) => content_name(&arguments)?,
    };
    let patience = live.then_some(LIVE_PATIENCE);
    let items = cut(read_ahead.into_iter().chain(reader), Cut { size: arguments.batch as usize, patience });
    let summary = Summary::new(!arguments.json && io::stderr().is_terminal());
    let mut sender = Sender::new(client, (&feed, &stream), (items, arguments.batch), summary);
    let sent = sender.send(Duration::from_secs(arguments.patience.seconds())).await;
    // Of what was refused from the start there is nothing to sum up.
    if sent.is_ok() || sender.summary.has_begun() {
        sender.summary.tell(&feed, &stream, arguments.json);
    }
    sent?;
    if !live && sender.summary.is_in_vain() {
        let what =
            format!("nothing of {} is a position that the node keeps; see its format and its records", arguments.file);
        return Err(Failure::input("nothing_accepted", what));
    }
    Ok(())
}

/// Sends positions that are written down already, as a new stream of the agency's positions.
pub(super) async fn text(partner: &Feed, text: String) -> Result<(), Failure> {
    let reader = Reader::new(io::Cursor::new(text), Format::Csv, None)
        .map_err(|error| Failure::input(error.reason(), error.to_string()))?;
    let items = cut(reader, Cut { size: BATCH_POSITIONS_MAX, patience: None });
    let (feed, stream) = (feed_name(None, partner), hex(&rand::random::<[u8; 16]>()));
    let items = (items, BATCH_POSITIONS_MAX as u64);
    let mut sender = Sender::new(connection(partner)?, (&feed, &stream), items, Summary::new(false));
    sender.send(TEXT_PATIENCE).await
}

fn open(file: &str) -> Result<File, Failure> {
    File::open(Path::new(file)).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &str, error: &io::Error) -> Failure {
    Failure::input("feed_file", format!("{file} cannot be read ({}); check the path and its permissions", error.kind()))
}

/// Records up to the first position, if it comes soon.
fn until_first_position(
    reader: &mut impl Iterator<Item = Result<Record, ReadError>>,
) -> Vec<Result<Record, ReadError>> {
    let mut records = Vec::new();
    for record in reader.take(RECORDS_AHEAD_MAX) {
        let ends = !matches!(&record, Ok(Record { reading: Reading::Refused { .. } | Reading::Other, .. }));
        records.push(record);
        if ends {
            break;
        }
    }
    records
}

/// The name that a stream goes by at the node: other content under a name that was used before is another stream,
/// so that nothing of it is taken for what is there already.
fn stream_name(name: &str, records: &[Result<Record, ReadError>]) -> Result<String, Failure> {
    if !is_device(name) || name.len() > STREAM_NAME_MAX {
        let what = format!("a stream is named by at most {STREAM_NAME_MAX} letters, digits and - _ . :");
        return Err(Failure::input("stream_name", what));
    }
    let first = match records.last() {
        Some(Ok(Record { reading: Reading::Position(position), .. })) => serde_json::to_vec(position),
        _ => Ok(Vec::new()),
    };
    let first = first.map_err(|error| Failure::input("feed_unreadable", error.to_string()))?;
    let digest = Sha256::digest(first);
    Ok(format!("{name}.{}", hex(digest.get(..NAME_DIGEST_BYTES).unwrap_or_default())))
}

/// A name that another content, or another way of cutting it, does not have: the same file sent twice is one
/// stream, of which the node has every batch once.
fn content_name(arguments: &Arguments) -> Result<String, Failure> {
    let mut digest = Sha256::new();
    let format = arguments.format.map_or("", Format::as_str);
    let device = arguments.device.as_deref().unwrap_or_default();
    digest.update(format!("{format}\n{device}\n{}\n", arguments.batch));
    let mut file = open(&arguments.file)?;
    let mut part = vec![0; 64 * 1024];
    loop {
        match file.read(&mut part).map_err(|error| unreadable(&arguments.file, &error))? {
            0 => break,
            length => digest.update(part.get(..length).unwrap_or_default()),
        }
    }
    Ok(hex(digest.finalize().get(..16).unwrap_or_default()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
