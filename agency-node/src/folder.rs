//! A folder of JSON files, one for each thing that is kept, readable by the node alone.
//!
//! A file is written aside, synced and renamed: after a crash it is the old one or the new one, whole.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// Where things of one kind are kept.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens the folder, or makes it, and reads everything in it. Where a file is damaged, `remedy` says what
    /// to do.
    ///
    /// # Errors
    /// When it cannot be used, or a file in it is damaged.
    pub(crate) fn open<T: DeserializeOwned>(directory: &Path, remedy: &str) -> io::Result<(Self, Vec<T>)> {
        fs::create_dir_all(directory)?;
        let mut kept = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            // What a crash left before its renaming was never acknowledged.
            if path.extension().is_some_and(|extension| extension == "json") {
                let read = serde_json::from_slice(&fs::read(&path)?).map_err(|_| damaged(&path, remedy))?;
                kept.push(read);
            }
        }
        Ok((Self(directory.to_owned()), kept))
    }

    /// Keeps `thing` under `name`, in place of what was there; durable when this returns.
    pub(crate) fn write<T: Serialize>(&self, name: &str, thing: &T) -> io::Result<()> {
        let aside = self.0.join(format!("{name}.new"));
        let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        out.write_all(&serde_json::to_vec(thing)?)?;
        out.sync_all()?;
        fs::rename(&aside, self.path(name))?;
        fs::File::open(&self.0)?.sync_all()
    }

    /// Removes what is kept under `name`.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }
}

fn damaged(path: &Path, remedy: &str) -> io::Error {
    let told = format!("{} is damaged; {remedy}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, told)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_written_last_is_read_and_leftovers_of_a_crash_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let (folder, kept) = Folder::open::<u32>(directory.path(), "restore it").unwrap();
        assert!(kept.is_empty());
        folder.write("a", &1).unwrap();
        folder.write("a", &2).unwrap();
        folder.write("b", &3).unwrap();
        folder.remove("b").unwrap();
        fs::write(directory.path().join("c.new"), "torn").unwrap();
        assert_eq!(Folder::open::<u32>(directory.path(), "restore it").unwrap().1, [2]);
        let mode = fs::metadata(directory.path().join("a.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(directory.path().join("d.json"), "torn").unwrap();
        assert!(
            Folder::open::<u32>(directory.path(), "restore it")
                .is_err_and(|error| error.to_string().contains("d.json"))
        );
    }
}
