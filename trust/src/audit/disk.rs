//! The only code of the audit log that writes files.
//!
//! Two narrow contracts, [`JournalStorage`] for the thread that commits and [`TileStorage`] for the
//! thread that publishes, so that tests can let any single step fail.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::journal::{JOURNAL_DIRECTORY, segment_name, segments};
use super::tiles::{TileId, TileKind, narrowed};

/// Appends to the journal.
pub(super) trait JournalStorage: Send + 'static {
    /// Writes bytes at the end; they are durable only after [`JournalStorage::sync`].
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Starts the segment of a first entry; its name is durable on return.
    fn begin_segment(&mut self, first: u64) -> io::Result<()>;
}

/// Publishes tiles and checkpoints.
pub(super) trait TileStorage: Send + 'static {
    /// Writes bytes aside.
    fn stage(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written aside durable.
    fn sync_staged(&mut self) -> io::Result<()>;
    /// Moves what was written aside to its place, in one step.
    fn place(&mut self, path: &str) -> io::Result<()>;
    /// Replaces a file in one step. A reader sees the old or the new content, never a part; after
    /// a power failure it may be gone or empty.
    fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.stage(bytes)?;
        self.place(path)
    }
    /// As [`TileStorage::put`], and the content is durable. The name is, after
    /// [`TileStorage::sync_names`].
    fn put_synced(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.stage(bytes)?;
        self.sync_staged()?;
        self.place(path)
    }
    /// Makes the names of all files put so, and of all new directories, durable.
    fn sync_names(&mut self) -> io::Result<()>;
    /// Removes a directory of partial tiles, if it is there.
    fn remove_partials(&mut self, path: &str) -> io::Result<()>;
    /// Deletes the journal's segments whose successor begins before entry `sealed`, oldest first.
    fn trim_journal(&mut self, sealed: u64) -> io::Result<()>;
}

/// The journal's last segment, open for appending.
#[derive(Debug)]
pub(super) struct JournalFile {
    directory: PathBuf,
    file: File,
}

impl JournalFile {
    /// Opens the segment that exists already.
    pub(super) fn open(log: &Path, first: u64) -> io::Result<Self> {
        let directory = log.join(JOURNAL_DIRECTORY);
        let file = OpenOptions::new().append(true).open(directory.join(segment_name(first)))?;
        Ok(Self { directory, file })
    }
}

impl JournalStorage for JournalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn begin_segment(&mut self, first: u64) -> io::Result<()> {
        let path = self.directory.join(segment_name(first));
        self.file = OpenOptions::new().append(true).create_new(true).open(path)?;
        File::open(&self.directory)?.sync_all()
    }
}

/// The published files of one log.
#[derive(Debug)]
pub(super) struct TileFiles {
    directory: PathBuf,
    /// Directories with names that are not durable yet.
    touched: BTreeSet<PathBuf>,
    /// What was written aside and whether it is durable.
    staged: Option<(File, bool)>,
}

/// A file is written here and then moved to its place.
const STAGED: &str = "staged";

impl TileFiles {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), touched: BTreeSet::new(), staged: None }
    }

    fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
            self.touched.insert(parent.to_owned());
        }
        fs::create_dir(path)
    }
}

impl TileStorage for TileFiles {
    fn stage(&mut self, bytes: &[u8]) -> io::Result<()> {
        let staged = self.directory.join(STAGED);
        // A file left by a crash may have other permissions than a new one gets.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        owner_only(&mut options);
        let mut file = options.open(staged)?;
        file.write_all(bytes)?;
        self.staged = Some((file, false));
        Ok(())
    }

    fn sync_staged(&mut self) -> io::Result<()> {
        if let Some((file, durable)) = &mut self.staged {
            file.sync_all()?;
            *durable = true;
        }
        Ok(())
    }

    fn place(&mut self, path: &str) -> io::Result<()> {
        let target = self.directory.join(path);
        let parent = target.parent().unwrap_or(&self.directory).to_owned();
        self.make_directory(&parent)?;
        fs::rename(self.directory.join(STAGED), target)?;
        // Whoever did not wait for the content does not wait for the name.
        if self.staged.take().is_some_and(|(_, durable)| durable) {
            self.touched.insert(parent);
        }
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        for directory in &self.touched {
            File::open(directory)?.sync_all()?;
        }
        self.touched.clear();
        Ok(())
    }

    fn remove_partials(&mut self, path: &str) -> io::Result<()> {
        let path = self.directory.join(path);
        self.touched.remove(&path);
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn trim_journal(&mut self, sealed: u64) -> io::Result<()> {
        let segments = segments(&self.directory)?;
        for (first, next) in segments.iter().zip(segments.iter().skip(1)) {
            if *next >= sealed {
                break;
            }
            fs::remove_file(self.directory.join(JOURNAL_DIRECTORY).join(segment_name(*first)))?;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

/// Creates a directory, and those above it, that only the owner can enter.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces a file that only the owner can read, in one step; content and name are durable on return.
/// The directory has to be there.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    owner_only(&mut options);
    let mut file = options.open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Whether anybody but the owner can read a file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Reads a file; `None` when there is none.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a tile. A partial tile that has since become full is cut from the full one, as the
/// format allows.
pub(super) fn read_tile(log: &Path, tile: TileId) -> io::Result<Option<Vec<u8>>> {
    if let Some(bytes) = read_if_there(&log.join(tile.path()))? {
        return Ok(Some(bytes));
    }
    let full = if tile.is_partial() { read_if_there(&log.join(tile.full_path()))? } else { None };
    Ok(full.and_then(|bytes| narrowed(tile.kind, &bytes, tile.width).map(<[u8]>::to_vec)))
}

/// The widths of the partial forms of a tile that are on disk.
pub(super) fn partial_widths(log: &Path, kind: TileKind, index: u64) -> io::Result<Vec<u16>> {
    let directory = log.join(TileId::full(kind, index).partials_path());
    let files = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut widths = Vec::new();
    for file in files {
        let name = file?.file_name();
        let width = name.to_str().and_then(|name| name.parse().ok());
        widths.extend(width.filter(|width: &u16| width.to_string().as_str() == name));
    }
    Ok(widths)
}
