//! Records of a data set: whom its rows say they are about, each combination of identifiers and person
//! once, with the keys that may connect it to records elsewhere.
//!
//! Numbers of records are dense from 0 in the order of first appearance. Kept as Parquet beside the
//! prepared rows; nothing here leaves the node.

use std::{collections::HashMap, fs::File, io, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, StringArray},
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use sallyport_join::entity::IDENTIFIER_KINDS_FROM;
use sallyport_person::{BirthDate, PersonRecord, birth, keys};

use super::{HoldingsError, Subjects};
use crate::{
    dataset::{DateOrder, Person},
    identifier::{Context, IdentifierType, canonicalise},
};

/// The record's number, in the prepared rows.
pub(crate) const RECORD: &str = "record";
const FILE: &str = "records.parquet";
const KEY_BYTES: usize = 5;

/// What may connect a record: a kind of key, and the number of the subject or of the person's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordKey {
    pub(crate) kind: u8,
    pub(crate) number: u32,
}

impl RecordKey {
    /// An identifier of this type.
    fn identifier(kind: IdentifierType, number: u32) -> Self {
        let place = IdentifierType::ALL.iter().position(|one| *one == kind).unwrap_or_default();
        Self { kind: IDENTIFIER_KINDS_FROM + place as u8, number }
    }

    /// Which numbers it counts in.
    pub(crate) fn identifier_type(self) -> IdentifierType {
        let place = self.kind.checked_sub(IDENTIFIER_KINDS_FROM).map(usize::from);
        place.and_then(|place| IdentifierType::ALL.get(place).copied()).unwrap_or(IdentifierType::PersonKey)
    }
}

/// A person as this agency's own people may see them, by their mask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) birth_year: String,
}

/// The records of a data set.
#[derive(Debug, Default)]
pub(crate) struct Records {
    starts: Vec<u32>,
    keys: Vec<RecordKey>,
    described: Vec<Described>,
}

impl Records {
    pub(crate) fn count(&self) -> u64 {
        self.described.len() as u64
    }

    /// The keys of a record; none for a number that is no record's.
    pub(crate) fn keys(&self, record: u32) -> &[RecordKey] {
        let bound = |number: usize| self.starts.get(number).map_or(self.keys.len(), |start| *start as usize);
        self.keys.get(bound(record as usize)..bound(record as usize + 1)).unwrap_or_default()
    }

    /// Whom the record describes; empty where the data set describes nobody.
    pub(crate) fn described(&self, record: u32) -> Option<&Described> {
        self.described.get(record as usize)
    }

    fn push(&mut self, keys: &[RecordKey], described: Described) {
        self.starts.push(self.keys.len() as u32);
        self.keys.extend_from_slice(keys);
        self.described.push(described);
    }

    /// Reads what [`Builder::keep`] wrote.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(folder.join(FILE))?)?.build()?;
        let mut records = Self::default();
        for batch in reader {
            let batch = batch.map_err(io::Error::other)?;
            let keys = batch.column(0).as_binary::<i32>();
            let (names, years) = (batch.column(1).as_string::<i32>(), batch.column(2).as_string::<i32>());
            for row in 0..batch.num_rows() {
                let of_record: Vec<RecordKey> = keys.value(row).chunks_exact(KEY_BYTES).filter_map(read_key).collect();
                let text = |column: &StringArray| column.value(row).to_owned();
                records.push(&of_record, Described { name: text(names), birth_year: text(years) });
            }
        }
        Ok(records)
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let keys = (0..self.described.len() as u32).map(|record| {
            let keys = self.keys(record).iter();
            let bytes = keys.flat_map(|key| [key.kind].into_iter().chain(key.number.to_le_bytes()));
            Some(bytes.collect::<Vec<u8>>())
        });
        let columns: [(&str, ArrayRef); 3] = [
            ("keys", Arc::new(keys.collect::<BinaryArray>())),
            ("name", Arc::new(self.described.iter().map(|d| Some(d.name.as_str())).collect::<StringArray>())),
            (
                "birth_year",
                Arc::new(self.described.iter().map(|d| Some(d.birth_year.as_str())).collect::<StringArray>()),
            ),
        ];
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), false);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect());
        let batch = batch.map_err(io::Error::other)?;
        debug_assert_eq!(batch.column(0).data_type(), &DataType::Binary);
        let mut writer = ArrowWriter::try_new(File::create(folder.join(FILE))?, schema, None)?;
        writer.write(&batch)?;
        writer.into_inner()?.sync_all()
    }
}

fn read_key(bytes: &[u8]) -> Option<RecordKey> {
    let (&kind, number) = bytes.split_first()?;
    Some(RecordKey { kind, number: u32::from_le_bytes(number.try_into().ok()?) })
}

/// Numbers the records of a data set while it is prepared.
#[derive(Default)]
pub(super) struct Builder {
    numbers: HashMap<Box<[u8]>, u32>,
    records: Records,
    /// Rows whose person cannot be used.
    pub(super) unusable_persons: u64,
    /// Records whose birth date cannot be used.
    pub(super) unusable_births: u64,
    nobody: Vec<bool>,
}

/// One row, as far as it says whom it is about.
pub(super) struct Row<'a> {
    /// Numbers of its identifiers, in the order of the description.
    pub(super) identifiers: &'a [(IdentifierType, Option<u32>)],
    /// The person's columns, in the order of [`Person::columns`].
    pub(super) person: &'a [Option<&'a str>],
}

impl Builder {
    /// The row's record; nothing when it says nothing of anybody.
    pub(super) fn number(
        &mut self,
        row: &Row<'_>,
        description: Option<&Person>,
        person_keys: Option<&mut Subjects>,
    ) -> Option<u32> {
        let mut identity = Vec::with_capacity(64);
        row.identifiers.iter().for_each(|(_, number)| {
            identity.extend_from_slice(&number.unwrap_or(u32::MAX).to_le_bytes());
        });
        for text in row.person {
            identity.extend_from_slice(text.unwrap_or_default().as_bytes());
            identity.push(0);
        }
        let identity = identity.into_boxed_slice();
        let number = match self.numbers.get(&identity) {
            Some(&number) => number,
            None => {
                let number = self.add(row, description, person_keys);
                self.numbers.insert(identity, number);
                number
            }
        };
        self.unusable_persons += u64::from(self.nobody[number as usize]);
        (!self.records.keys(number).is_empty()).then_some(number)
    }

    fn add(&mut self, row: &Row<'_>, description: Option<&Person>, person_keys: Option<&mut Subjects>) -> u32 {
        let own = row.identifiers.iter().filter_map(|(kind, number)| Some(RecordKey::identifier(*kind, (*number)?)));
        let mut found: Vec<RecordKey> = own.collect();
        let mut described = Described::default();
        let mut nobody = false;
        if let Some((description, table)) = description.zip(person_keys) {
            let person = person_record(row.person, description);
            let made = keys(&person);
            self.unusable_births += u64::from(made.birth_date_unusable);
            nobody = made.keys.is_empty();
            for key in &made.keys {
                if let Ok(canonical) = canonicalise(IdentifierType::PersonKey, &key.text, &Context::default()) {
                    found.push(RecordKey { kind: key.kind.number(), number: table.add(canonical) });
                }
            }
            described = describe(&person);
        }
        // Two columns may hold the same telephone.
        found.sort_unstable_by_key(|key| (key.kind, key.number));
        found.dedup();
        let number = self.nobody.len() as u32;
        self.records.push(&found, described);
        self.nobody.push(nobody);
        number
    }

    pub(super) fn keep(&self, folder: &Path) -> Result<(), HoldingsError> {
        self.records.write(folder).map_err(HoldingsError::state)
    }

    pub(super) fn count(&self) -> u64 {
        self.records.count()
    }
}

fn person_record<'a>(texts: &[Option<&'a str>], description: &Person) -> PersonRecord<'a> {
    let at = |place: usize| texts.get(place).copied().flatten();
    PersonRecord {
        given_names: at(0),
        surname: at(1),
        full_name: at(2),
        birth_date: at(3),
        date_order: date_order(description),
        sex: at(4),
        street_number: at(5),
        street: at(6),
        premises: at(7),
        town: at(8),
        postcode: at(9),
        region: at(10),
        document: at(11),
        birth_place: at(12),
        occupation: at(13),
        contact: at(14),
    }
}

fn date_order(description: &Person) -> birth::DateOrder {
    match description.date_order {
        DateOrder::DayMonthYear => birth::DateOrder::DayMonthYear,
        DateOrder::MonthDayYear => birth::DateOrder::MonthDayYear,
    }
}

fn describe(person: &PersonRecord<'_>) -> Described {
    let parts = [person.given_names, person.surname];
    let name = parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let name = if name.is_empty() { person.full_name.unwrap_or_default().trim().to_owned() } else { name };
    let born = person.birth_date.and_then(|raw| BirthDate::read(raw, person.date_order));
    Described { name, birth_year: born.and_then(|born| born.year).map(|year| year.to_string()).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use sallyport_join::entity::IDENTIFIERS;

    use super::*;

    #[test]
    fn identifiers_have_the_same_numbers_at_nodes_and_gateway() {
        let names: Vec<&str> = IdentifierType::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names, IDENTIFIERS);
        for kind in IdentifierType::ALL {
            assert_eq!(RecordKey::identifier(kind, 7).identifier_type(), kind);
        }
        assert_eq!(RecordKey { kind: 5, number: 7 }.identifier_type(), IdentifierType::PersonKey);
    }

    #[test]
    fn each_combination_is_one_record_and_survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Subjects::open(folder.path(), IdentifierType::PersonKey).unwrap();
        let description =
            Person { given_names: Some("first".into()), surname: Some("last".into()), ..Person::default() };
        let mut builder = Builder::default();
        let mut number = |phone: Option<u32>, first: &'static str, last: &'static str| {
            let identifiers = [(IdentifierType::Phone, phone)];
            let row = Row { identifiers: &identifiers, person: &[Some(first), Some(last)] };
            builder.number(&row, Some(&description), Some(&mut table))
        };
        assert_eq!(number(Some(3), "Ana", "Pérez"), Some(0));
        assert_eq!(number(Some(4), "Ana", "Pérez"), Some(1));
        assert_eq!(number(Some(3), "Ana", "Pérez"), Some(0));
        assert_eq!(number(None, "", "--"), None);
        assert_eq!(builder.unusable_persons, 1);
        builder.keep(folder.path()).unwrap();
        let records = Records::open(folder.path()).unwrap();
        assert_eq!(records.count(), 3);
        assert_eq!(records.keys(0), builder.records.keys(0));
        assert!(records.keys(1).contains(&RecordKey::identifier(IdentifierType::Phone, 4)));
        assert_eq!((records.keys(2), records.keys(3)), (&[][..], &[][..]));
        assert_eq!(records.described(1).unwrap().name, "Ana Pérez");
    }
}
