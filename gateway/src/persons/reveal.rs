//! What the records of persons are worth: asked of their owners, of those in enough data sets alone.

use std::collections::HashMap;

use futures::future::join_all;
use sallyport_join::entity::group::{Entity, Record};
use sallyport_proto::node::v1::RevealRequest;
use sallyport_trust::{
    error::Refusal,
    identity::refusal_of,
    question::{OpenedQuestion, QuestionId},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    contributors::Contributors,
    streams::{ContributorStream, broken_format, too_slow},
};

/// Records in one call, as the contract has it.
const RECORDS_MAX: usize = 65_536;

/// A record's evidence.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Evidence {
    pub(super) strength_thousandths: u16,
    pub(super) newest_day: u16,
}

/// Evidence by record.
pub(super) type Revealed = HashMap<Record, Evidence>;

/// Asks every owner for its records in `entities`, all owners at once. One that does not tell has broken off.
pub(super) async fn reveal(
    contributors: &Contributors,
    question: &OpenedQuestion,
    streams: &mut [ContributorStream],
    entities: &[Entity],
    until: Instant,
) -> Revealed {
    let members = || entities.iter().flat_map(|entity| &entity.members);
    let asking = streams.iter().enumerate().map(|(place, stream)| {
        let wanted: Vec<u128> = members()
            .filter(|member| usize::from(member.record.party) == place)
            .map(|member| member.record.reference)
            .collect();
        let owner = Owner { contributors, question: question.id, name: &stream.owner, part: stream.part as u32 };
        async move {
            let told = timeout_at(until, owner.tell(&wanted)).await;
            told.unwrap_or_else(|_| Err(too_slow())).map(|evidence| (wanted, evidence))
        }
    });
    let told = join_all(asking.collect::<Vec<_>>()).await;
    let mut revealed = Revealed::new();
    for ((party, stream), told) in (0u8..).zip(streams).zip(told) {
        match told {
            Ok((wanted, evidence)) => {
                let records = wanted.into_iter().map(|reference| Record { party, reference });
                revealed.extend(records.zip(evidence));
            }
            Err(refusal) => stream.fail(&refusal),
        }
    }
    revealed
}

struct Owner<'a> {
    contributors: &'a Contributors,
    question: QuestionId,
    name: &'a str,
    part: u32,
}

impl Owner<'_> {
    async fn tell(&self, wanted: &[u128]) -> Result<Vec<Evidence>, Refusal> {
        let mut client = self.contributors.of(self.name)?;
        let mut evidence = Vec::with_capacity(wanted.len());
        for references in wanted.chunks(RECORDS_MAX) {
            let request = RevealRequest {
                question_id: self.question.0.to_vec(),
                part: self.part,
                references: references.iter().flat_map(|reference| reference.to_be_bytes()).collect(),
            };
            let told = client.reveal(request).await.map_err(|status| refusal_of(&status))?.into_inner();
            if [told.strength_thousandths.len(), told.newest_day.len()] != [references.len(); 2] {
                return Err(broken_format("it told of other records than it was asked for"));
            }
            let bounded = |number: u32, most: u16| u16::try_from(number).unwrap_or(most).min(most);
            evidence.extend(told.strength_thousandths.iter().zip(&told.newest_day).map(|(strength, day)| Evidence {
                strength_thousandths: bounded(*strength, 1_000),
                newest_day: bounded(*day, u16::MAX),
            }));
        }
        Ok(evidence)
    }
}
