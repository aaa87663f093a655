//! Files of persons with known answers, found by what their columns are called.
//!
//! Two files of one folder that have the same columns and differ only in a last `a` or `b` of their names
//! are two data sets that hold everyone once. Any other file is dealt to two nodes by the parity of its
//! rows, and only pairs across the two count. The answer is a column that says whom a row is about;
//! files without one are passed over.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Fields of a person as a node's `[dataset.person]` calls them, with names that columns have.
pub(super) const FIELDS: [(&str, &[&str]); 15] = [
    ("given_names", &["given_names", "given_name", "first_name", "forename", "firstname", "fname"]),
    ("surname", &["surname", "last_name", "family_name", "lastname", "lname"]),
    ("full_name", &["full_name", "name"]),
    ("birth_date", &["birth_date", "date_of_birth", "dob", "birthdate"]),
    ("sex", &["sex", "gender"]),
    ("street_number", &["street_number", "house_number"]),
    ("street", &["street", "address_1", "address", "street_name"]),
    ("premises", &["premises", "address_2"]),
    ("town", &["town", "suburb", "city"]),
    ("postcode", &["postcode", "postcode_fake", "zip", "zipcode", "zip_code", "postal_code"]),
    ("region", &["region", "state", "province", "county"]),
    ("document", &["document", "soc_sec_id", "ssn", "national_id"]),
    ("birth_place", &["birth_place", "place_of_birth"]),
    ("occupation", &["occupation"]),
    ("contact", &["contact", "email", "email_address"]),
];
/// Position of the document's number in [`FIELDS`].
pub(super) const DOCUMENT: usize = 11;
/// What columns with the answer are called.
const TRUTHS: [&str; 4] = ["cluster", "cluster_id", "entity_id", "rec_id"];
/// Fields without which persons cannot be told apart.
const FIELDS_MIN: usize = 3;
const DEPTH_MAX: usize = 3;

/// One record of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// By position in [`FIELDS`]; empty where the file has nothing.
    pub(super) texts: [String; FIELDS.len()],
    /// Whom the record is about.
    pub(super) truth: String,
}

impl Person {
    /// A field's text, if there is one.
    pub(super) fn text(&self, field: usize) -> Option<&str> {
        self.texts.get(field).map(String::as_str).filter(|text| !text.is_empty())
    }
}

/// Two nodes' records.
#[derive(Debug, Clone)]
pub(super) struct Persons {
    pub(super) name: String,
    pub(super) sides: [Vec<Person>; 2],
    /// Either side holds everyone once.
    pub(super) once: bool,
}

impl Persons {
    /// Positions of the fields that anyone has.
    pub(super) fn fields(&self) -> Vec<usize> {
        let anyone = |field: &usize| self.sides.iter().flatten().any(|person| person.text(*field).is_some());
        (0..FIELDS.len()).filter(anyone).collect()
    }

    /// The same records without a document's number, if they have one.
    pub(super) fn without_document(&self) -> Option<Self> {
        if !self.fields().contains(&DOCUMENT) {
            return None;
        }
        let mut without = self.clone();
        without.name.push_str(" without document");
        without.sides.iter_mut().flatten().for_each(|person| person.texts[DOCUMENT].clear());
        Some(without)
    }
}

/// Everything in the directory that can be linked, by name.
pub(super) fn read(directory: &Path) -> Result<Vec<Persons>, Failure> {
    let mut paths = Vec::new();
    walk(directory, DEPTH_MAX, &mut paths)?;
    paths.sort();
    let mut whole: BTreeMap<String, Vec<Person>> = BTreeMap::new();
    for path in paths {
        if let Some(people) = persons(&path)? {
            let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            let name = name.trim_end_matches(".gz").trim_end_matches(".csv").to_owned();
            whole.insert(name, people);
        }
    }
    let found = paired(whole);
    if found.is_empty() {
        return Err(Failure::input(
            "no_persons",
            format!(
                "{} holds no .csv or .csv.gz of persons with a column that says whom a row is about ({})",
                directory.display(),
                TRUTHS.join(", ")
            ),
        ));
    }
    Ok(found)
}

fn walk(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::input("directory", format!("{}: {error}", directory.display()));
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() && depth > 1 {
            walk(&path, depth - 1, paths)?;
        } else if path.to_string_lossy().ends_with(".csv") || path.to_string_lossy().ends_with(".csv.gz") {
            paths.push(path);
        }
    }
    Ok(())
}

/// `NAMEa` and `NAMEb` are two sides; everything else is dealt by parity.
fn paired(mut whole: BTreeMap<String, Vec<Person>>) -> Vec<Persons> {
    let mut found = Vec::new();
    while let Some((name, people)) = whole.pop_first() {
        let other = name.strip_suffix('a').map(|stem| format!("{stem}b")).and_then(|other| whole.remove(&other));
        found.push(match other {
            Some(other) => Persons { name: name[..name.len() - 1].to_owned(), sides: [people, other], once: true },
            None => {
                let mut sides = [Vec::new(), Vec::new()];
                people.into_iter().enumerate().for_each(|(row, person)| sides[row % 2].push(person));
                Persons { name, sides, once: false }
            }
        });
    }
    found
}

/// The file's persons; nothing when its columns are not those of persons with an answer.
fn persons(path: &Path) -> Result<Option<Vec<Person>>, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::input("file", format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let input: Box<dyn Read> = match path.extension().is_some_and(|extension| extension == "gz") {
        true => Box::new(flate2::read::GzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(input);
    let columns: HashMap<String, usize> = match reader.headers() {
        Ok(headers) => headers.iter().map(str::to_ascii_lowercase).zip(0..).collect(),
        // What is no text is no table of persons.
        Err(_) => return Ok(None),
    };
    let place = |names: &[&str]| names.iter().find_map(|name| columns.get(*name).copied());
    let places = FIELDS.map(|(_, names)| place(names));
    let Some(truth) = place(&TRUTHS).filter(|_| places.iter().flatten().count() >= FIELDS_MIN) else {
        return Ok(None);
    };
    let mut people = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| unreadable(&error))?;
        let text = |place: Option<usize>| place.and_then(|place| row.get(place)).unwrap_or_default().to_owned();
        people.push(Person { texts: places.map(text), truth: subject(&text(Some(truth))).to_owned() });
    }
    Ok(Some(people))
}

/// `rec-1070-org` and `rec-1070-dup-0` are both about 1070; anything else names its subject itself.
fn subject(truth: &str) -> &str {
    truth.strip_prefix("rec-").and_then(|rest| rest.split('-').next()).unwrap_or(truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_what_their_columns_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("seta.csv", "rec_id, given_name, surname, date_of_birth\nrec-1-org, ann, ray, 19800101\n");
        write("setb.csv", "rec_id, given_name, surname, date_of_birth\nrec-1-dup-0, anne, ray, 19800101\n");
        write("mixed.csv", "cluster,first_name,surname,dob,ssn\n7,A,B,1980-01-01,5\n7,A,B,,5\n8,C,D,,\n");
        write("labels.csv", "id,cluster\n1,7\n");
        let found = read(folder.path()).unwrap();
        let names: Vec<&str> = found.iter().map(|persons| persons.name.as_str()).collect();
        assert_eq!(names, ["mixed", "set"]);
        let (mixed, set) = (&found[0], &found[1]);
        assert!(set.once && !mixed.once);
        assert_eq!(set.sides[0][0].truth, set.sides[1][0].truth);
        assert_eq!(set.sides.each_ref().map(Vec::len), [1, 1]);
        assert_eq!(mixed.sides.each_ref().map(Vec::len), [2, 1]);
        assert_eq!(mixed.fields(), [0, 1, 3, DOCUMENT]);
        assert!(set.without_document().is_none());
        assert_eq!(mixed.without_document().unwrap().fields(), [0, 1, 3]);
    }

    #[test]
    fn a_directory_without_persons_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ports.csv"), "port,count\n1,2\n").unwrap();
        assert!(read(folder.path()).is_err());
    }
}
