//! The published files, as two sides with known answers.

use std::{collections::HashMap, error::Error, fs::File, io::Read, path::Path};

use sallyport_join::agreement::{Link, Resolution};
use sallyport_person::PersonRecord;

/// What can be evaluated.
pub(crate) const NAMES: [&str; 4] =
    ["febrl4 without soc_sec_id", "febrl4 with soc_sec_id", "historical_50k", "fake_1000"];

/// Columns of a record by the name of the person's field.
#[derive(Debug, Default)]
pub(crate) struct Person {
    fields: HashMap<&'static str, String>,
    /// Whom the record is about: the answer.
    pub(crate) truth: String,
}

impl Person {
    /// A field's text, if there is one.
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// As the keys want it.
    pub(crate) fn record(&self) -> PersonRecord<'_> {
        PersonRecord {
            given_names: self.get("given"),
            surname: self.get("surname"),
            full_name: self.get("full"),
            birth_date: self.get("birth"),
            sex: self.get("sex"),
            street_number: self.get("number"),
            street: self.get("street"),
            premises: self.get("premises"),
            town: self.get("town"),
            postcode: self.get("postcode"),
            region: self.get("region"),
            document: self.get("document"),
            birth_place: self.get("birth place"),
            occupation: self.get("occupation"),
            contact: self.get("contact"),
            ..PersonRecord::default()
        }
    }
}

/// Two nodes' records.
pub(crate) struct DataSet {
    pub(crate) name: &'static str,
    pub(crate) sides: [Vec<Person>; 2],
    pub(crate) resolution: Resolution,
    /// Pairs across the sides that are one person's.
    pub(crate) matches: usize,
}

impl DataSet {
    fn new(name: &'static str, sides: [Vec<Person>; 2], resolution: Resolution) -> Self {
        let mut set = Self { name, sides, resolution, matches: 0 };
        set.matches = set.all_matches().count();
        set
    }

    pub(crate) fn is_match(&self, link: &Link) -> bool {
        self.sides[0][link.left as usize].truth == self.sides[1][link.right as usize].truth
    }

    pub(crate) fn all_matches(&self) -> impl Iterator<Item = (u128, u128)> {
        let mut of: HashMap<&str, Vec<u128>> = HashMap::new();
        for (right, person) in (0u128..).zip(&self.sides[1]) {
            of.entry(&person.truth).or_default().push(right);
        }
        let pairs: Vec<(u128, u128)> = (0u128..)
            .zip(&self.sides[0])
            .flat_map(|(left, p)| of.get(p.truth.as_str()).into_iter().flatten().map(move |right| (left, *right)))
            .collect();
        pairs.into_iter()
    }
}

const FEBRL: &[(&str, &str)] = &[
    ("given_name", "given"),
    ("surname", "surname"),
    ("street_number", "number"),
    ("address_1", "street"),
    ("address_2", "premises"),
    ("suburb", "town"),
    ("postcode", "postcode"),
    ("state", "region"),
    ("date_of_birth", "birth"),
];

const HISTORICAL: &[(&str, &str)] = &[
    ("first_name", "given"),
    ("surname", "surname"),
    ("full_name", "full"),
    ("dob", "birth"),
    ("birth_place", "birth place"),
    ("postcode_fake", "postcode"),
    ("gender", "sex"),
    ("occupation", "occupation"),
];

const FAKE: &[(&str, &str)] =
    &[("first_name", "given"), ("surname", "surname"), ("dob", "birth"), ("city", "town"), ("email", "contact")];

/// Reads one of [`NAMES`].
pub(crate) fn load(folder: &Path, name: &'static str) -> Result<DataSet, Box<dyn Error>> {
    if name.starts_with("febrl4") {
        let mut columns = FEBRL.to_vec();
        if name.ends_with("with soc_sec_id") {
            columns.push(("soc_sec_id", "document"));
        }
        let number = |id: &str| id.split('-').nth(1).unwrap_or("").to_owned();
        let read = |file: &str| rows(File::open(folder.join("febrl4").join(file))?, &columns, "rec_id", number);
        return Ok(DataSet::new(name, [read("dataset4a.csv")?, read("dataset4b.csv")?], Resolution::OneToOne));
    }
    let folder = folder.join("linkage_splink");
    let whole = str::to_owned;
    let all = if name == "historical_50k" {
        let file = flate2::read::GzDecoder::new(File::open(folder.join("historical_50k.csv.gz"))?);
        rows(file, HISTORICAL, "cluster", whole)?
    } else {
        rows(File::open(folder.join("fake_1000.csv"))?, FAKE, "cluster", whole)?
    };
    let mut sides = [Vec::new(), Vec::new()];
    all.into_iter().enumerate().for_each(|(row, person)| sides[row % 2].push(person));
    Ok(DataSet::new(name, sides, Resolution::ManyToMany))
}

fn rows(
    file: impl Read,
    columns: &[(&'static str, &'static str)],
    truth: &str,
    canonical: impl Fn(&str) -> String,
) -> Result<Vec<Person>, Box<dyn Error>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let headers = reader.headers()?.clone();
    let place = |column: &str| headers.iter().position(|header| header == column).ok_or(format!("no column {column}"));
    let places: Vec<(usize, &'static str)> =
        columns.iter().map(|(column, field)| Ok((place(column)?, *field))).collect::<Result<_, String>>()?;
    let truth = place(truth)?;
    let mut people = Vec::new();
    for row in reader.records() {
        let row = row?;
        let text = |place: usize| row.get(place).unwrap_or("").to_owned();
        let fields = places.iter().map(|(place, field)| (*field, text(*place))).collect();
        people.push(Person { fields, truth: canonical(&text(truth)) });
    }
    Ok(people)
}
