//! Where this agency's published patterns are kept: `NAME/VERSION.json`, each a signed file.
//!
//! A version is written once: aside, synced, renamed, and the directory synced. It is never changed,
//! only signed anew when its certificate has run out. Versions of a pattern count up without a gap.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sallyport_trust::{
    error::{Kind, Refusal},
    question::{Pattern, SignedPattern},
};

/// Patterns that an agency may publish, and versions of each, at most.
const PATTERNS_MAX: usize = 100;
const VERSIONS_MAX: u32 = 100;

/// Versions of one pattern, oldest first.
type Versions = BTreeMap<u32, SignedPattern>;

/// This agency's published patterns.
pub(crate) struct PatternStore {
    directory: PathBuf,
    published: Mutex<BTreeMap<String, Versions>>,
}

impl PatternStore {
    /// Reads what `agency` has published.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what its name says.
    pub(crate) fn open(directory: PathBuf, agency: &str) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let mut published = BTreeMap::new();
        for folder in fs::read_dir(&directory)? {
            let folder = folder?.path();
            let versions = read_versions(&folder, agency)?;
            if !versions.is_empty() {
                published.insert(name_of(&folder), versions);
            }
        }
        Ok(Self { directory, published: Mutex::new(published) })
    }

    /// What is published under the name and version of `pattern`, once it is checked to be the same.
    ///
    /// # Errors
    /// `pattern_changed` when it has other content, `pattern_version` when the version is neither
    /// published nor the next, `patterns_full` when no more are taken.
    pub(crate) fn known(&self, pattern: &Pattern, text: &str) -> Result<Option<SignedPattern>, Refusal> {
        known(&self.lock(), pattern, text)
    }

    /// Keeps a signed pattern that is the next version, or known and signed anew.
    ///
    /// # Errors
    /// As [`known`](Self::known), or when it cannot be written.
    pub(crate) fn keep(&self, pattern: &Pattern, signed: &SignedPattern) -> Result<(), Refusal> {
        let mut published = self.lock();
        known(&published, pattern, signed.text())?;
        let name = pattern.name().name;
        self.write(&name, pattern.version(), &signed.to_json()?)
            .map_err(|error| Refusal::internal("pattern_not_kept", &error))?;
        published.entry(name).or_default().insert(pattern.version(), signed.clone());
        Ok(())
    }

    /// Every pattern with its versions.
    pub(crate) fn all(&self) -> BTreeMap<String, Versions> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Versions>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: &str, version: u32, json: &str) -> io::Result<()> {
        let folder = self.directory.join(name);
        fs::create_dir_all(&folder)?;
        let aside = folder.join(format!("{version}.new"));
        let mut out = fs::File::create(&aside)?;
        out.write_all(json.as_bytes())?;
        out.sync_all()?;
        fs::rename(&aside, folder.join(format!("{version}.json")))?;
        fs::File::open(&folder)?.sync_all()?;
        fs::File::open(&self.directory)?.sync_all()
    }
}

fn known(
    published: &BTreeMap<String, Versions>,
    pattern: &Pattern,
    text: &str,
) -> Result<Option<SignedPattern>, Refusal> {
    let (name, version) = (pattern.name(), pattern.version());
    let versions = published.get(&name.name);
    let newest = versions.and_then(|versions| versions.keys().next_back().copied()).unwrap_or(0);
    let refused = |reason, message: String| Err(Refusal::new(Kind::Conflict, reason, message));
    match versions.and_then(|versions| versions.get(&version)) {
        Some(signed) if signed.text() == text => Ok(Some(signed.clone())),
        Some(_) => refused(
            "pattern_changed",
            format!("{name} is published with other content: a changed pattern is a new version, {}.", newest + 1),
        ),
        None if version != newest + 1 => refused(
            "pattern_version",
            format!("The next version of {} is {}, and the file says {version}.", name.unversioned(), newest + 1),
        ),
        None if version > VERSIONS_MAX || (newest == 0 && published.len() >= PATTERNS_MAX) => Err(Refusal::new(
            Kind::Exhausted,
            "patterns_full",
            format!(
                "A node keeps {PATTERNS_MAX} patterns with {VERSIONS_MAX} versions each; publish under a known name."
            ),
        )),
        None => Ok(None),
    }
}

fn read_versions(folder: &Path, agency: &str) -> io::Result<Versions> {
    let mut versions = Versions::new();
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        // What was not renamed was never published.
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let unusable = || io::Error::other(format!("{} is not the pattern that its name says", file.display()));
        let signed = SignedPattern::from_json(&fs::read_to_string(&file)?).map_err(|_| unusable())?;
        let pattern = signed.claimed().ok_or_else(unusable)?;
        let place = file.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if signed.agency() != agency || pattern.name().name != name_of(folder) || place != Some(pattern.version()) {
            return Err(unusable());
        }
        versions.insert(pattern.version(), signed);
    }
    let newest = versions.keys().next_back().copied().unwrap_or(0);
    if versions.len() != newest as usize {
        return Err(io::Error::other(format!("{} lacks a version before {newest}", folder.display())));
    }
    Ok(versions)
}

fn name_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
