//! The edge between questions and their protobuf form; the only file that knows both.

mod relation;
mod tally;

use sallyport_proto::common::v1 as pb;

use super::{
    Commitment, Comparison, Header, Indicator, LinkPart, LocatorRange, Measure, OpenedIndicator, Operator, Order,
    Question, QuestionId, Relation, RelationKind, Tally, Trait, Value, Window,
};
use crate::{error::Refusal, identity::Signature};

fn missing(part: &str) -> Refusal {
    Refusal::bad_input("question_incomplete", format!("The question lacks its {part}."))
}

impl From<Signature> for pb::Signature {
    fn from(signature: Signature) -> Self {
        pb::Signature {
            certificates: signature.certificates,
            scheme: u32::from(signature.scheme),
            signature: signature.signature,
        }
    }
}

impl TryFrom<pb::Signature> for Signature {
    type Error = Refusal;

    fn try_from(signature: pb::Signature) -> Result<Self, Refusal> {
        let scheme = u16::try_from(signature.scheme)
            .map_err(|_| Refusal::bad_input("signature_scheme", "The signature's scheme is unknown."))?;
        Ok(Signature { certificates: signature.certificates, scheme, signature: signature.signature })
    }
}

impl From<&Question> for pb::Question {
    fn from(question: &Question) -> Self {
        pb::Question {
            title: question.title.clone(),
            subject: question.subject.clone(),
            indicators: question.indicators.iter().map(Into::into).collect(),
            window: Some(question.window.into()),
            minimum_datasets: question.minimum_datasets,
            top: question.top,
            purpose: question.purpose.clone(),
            case_number: question.case_number.clone(),
            reason: question.reason.clone(),
            deadline_ms: question.deadline_ms,
            rank_contacts: question.rank_contacts,
        }
    }
}

impl TryFrom<pb::Question> for Question {
    type Error = Refusal;

    fn try_from(question: pb::Question) -> Result<Self, Refusal> {
        let question = Question {
            title: question.title,
            subject: question.subject,
            indicators: question.indicators.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            window: question.window.map(Into::into).unwrap_or_default(),
            minimum_datasets: question.minimum_datasets,
            top: question.top,
            purpose: question.purpose,
            case_number: question.case_number,
            reason: question.reason,
            deadline_ms: question.deadline_ms,
            rank_contacts: question.rank_contacts,
        };
        question.validate()?;
        Ok(question)
    }
}

impl From<&Indicator> for pb::Indicator {
    fn from(indicator: &Indicator) -> Self {
        pb::Indicator {
            dataset: indicator.dataset.clone(),
            identifier: indicator.identifier.clone(),
            filter: indicator.filter.iter().map(Into::into).collect(),
            measure: Some((&indicator.measure).into()),
            weight_thousandths: indicator.weight_thousandths,
            required: indicator.required,
            name: indicator.name.clone(),
            window: Some(indicator.window.into()),
            contact: indicator.contact.clone(),
            both_ways: indicator.both_ways,
            relation: indicator.relation.as_ref().map(Into::into),
            tally: indicator.tally.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<pb::Indicator> for Indicator {
    type Error = Refusal;

    fn try_from(indicator: pb::Indicator) -> Result<Self, Refusal> {
        let indicator = Indicator {
            dataset: indicator.dataset,
            identifier: indicator.identifier,
            filter: indicator.filter.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            measure: indicator.measure.ok_or_else(|| missing("measure"))?.try_into()?,
            weight_thousandths: indicator.weight_thousandths,
            required: indicator.required,
            name: indicator.name,
            window: indicator.window.map(Into::into).unwrap_or_default(),
            contact: indicator.contact,
            both_ways: indicator.both_ways,
            relation: indicator.relation.map(TryInto::try_into).transpose()?,
            tally: indicator.tally.map(TryInto::try_into).transpose()?,
        };
        indicator.validate()?;
        Ok(indicator)
    }
}

impl From<Window> for pb::Window {
    fn from(window: Window) -> Self {
        pb::Window { from_ms: window.from_ms, until_ms: window.until_ms }
    }
}

impl From<pb::Window> for Window {
    fn from(window: pb::Window) -> Self {
        Window { from_ms: window.from_ms, until_ms: window.until_ms }
    }
}

impl From<&Comparison> for pb::Comparison {
    fn from(comparison: &Comparison) -> Self {
        let operator = match comparison.operator {
            Operator::Equal => pb::Operator::Equal,
            Operator::NotEqual => pb::Operator::NotEqual,
            Operator::Less => pb::Operator::Less,
            Operator::AtMost => pb::Operator::AtMost,
            Operator::Greater => pb::Operator::Greater,
            Operator::AtLeast => pb::Operator::AtLeast,
            Operator::OneOf => pb::Operator::OneOf,
        };
        pb::Comparison {
            attribute: comparison.attribute.clone(),
            operator: operator.into(),
            values: comparison.values.iter().map(|value| pb::Value { kind: Some(value.into()) }).collect(),
        }
    }
}

impl TryFrom<pb::Comparison> for Comparison {
    type Error = Refusal;

    fn try_from(comparison: pb::Comparison) -> Result<Self, Refusal> {
        let operator = match comparison.operator() {
            pb::Operator::Unspecified => return Err(missing("operator")),
            pb::Operator::Equal => Operator::Equal,
            pb::Operator::NotEqual => Operator::NotEqual,
            pb::Operator::Less => Operator::Less,
            pb::Operator::AtMost => Operator::AtMost,
            pb::Operator::Greater => Operator::Greater,
            pb::Operator::AtLeast => Operator::AtLeast,
            pb::Operator::OneOf => Operator::OneOf,
        };
        let values = comparison
            .values
            .into_iter()
            .map(|value| value.kind.map(Value::from).ok_or_else(|| missing("value")))
            .collect::<Result<_, _>>()?;
        Ok(Comparison { attribute: comparison.attribute, operator, values })
    }
}

impl From<&Value> for pb::value::Kind {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => pb::value::Kind::Text(text.clone()),
            Value::Integer(number) => pb::value::Kind::Integer(*number),
            Value::Decimal(number) => pb::value::Kind::Decimal(*number),
            Value::Boolean(flag) => pb::value::Kind::Boolean(*flag),
            Value::TimeMs(moment) => pb::value::Kind::TimeMs(*moment),
        }
    }
}

impl From<pb::value::Kind> for Value {
    fn from(value: pb::value::Kind) -> Self {
        match value {
            pb::value::Kind::Text(text) => Value::Text(text),
            pb::value::Kind::Integer(number) => Value::Integer(number),
            pb::value::Kind::Decimal(number) => Value::Decimal(number),
            pb::value::Kind::Boolean(flag) => Value::Boolean(flag),
            pb::value::Kind::TimeMs(moment) => Value::TimeMs(moment),
        }
    }
}

impl From<&Measure> for pb::Measure {
    fn from(measure: &Measure) -> Self {
        use pb::measure::Kind;
        let kind = match measure {
            Measure::Presence => Kind::Presence(pb::Presence {}),
            Measure::Frequency { half_at } => Kind::Frequency(pb::Frequency { half_at: *half_at }),
            Measure::Recency { half_life_hours } => Kind::Recency(pb::Recency { half_life_hours: *half_life_hours }),
            Measure::Novelty { baseline_days } => Kind::Novelty(pb::Novelty { baseline_days: *baseline_days }),
            Measure::Rarity { of, baseline_days } => {
                Kind::Rarity(pb::Rarity { baseline_days: *baseline_days, of: Some(of.into()) })
            }
            Measure::Burst { baseline_days } => Kind::Burst(pb::Burst { baseline_days: *baseline_days }),
            Measure::Silence { baseline_days } => Kind::Silence(pb::Silence { baseline_days: *baseline_days }),
            Measure::Regularity => Kind::Regularity(pb::Regularity {}),
            Measure::Strongest { of } => Kind::Strongest(pb::Strongest { attribute: of.clone() }),
        };
        pb::Measure { kind: Some(kind) }
    }
}

impl TryFrom<pb::Measure> for Measure {
    type Error = Refusal;

    fn try_from(measure: pb::Measure) -> Result<Self, Refusal> {
        use pb::measure::Kind;
        Ok(match measure.kind.ok_or_else(|| missing("measure"))? {
            Kind::Presence(_) => Measure::Presence,
            Kind::Frequency(frequency) => Measure::Frequency { half_at: frequency.half_at },
            Kind::Recency(recency) => Measure::Recency { half_life_hours: recency.half_life_hours },
            Kind::Novelty(novelty) => Measure::Novelty { baseline_days: novelty.baseline_days },
            Kind::Rarity(rarity) => Measure::Rarity {
                of: rarity.of.ok_or_else(|| missing("trait"))?.try_into()?,
                baseline_days: rarity.baseline_days,
            },
            Kind::Burst(burst) => Measure::Burst { baseline_days: burst.baseline_days },
            Kind::Silence(silence) => Measure::Silence { baseline_days: silence.baseline_days },
            Kind::Regularity(_) => Measure::Regularity,
            Kind::Strongest(strongest) => Measure::Strongest { of: strongest.attribute },
        })
    }
}

impl From<&Trait> for pb::rarity::Of {
    fn from(of: &Trait) -> Self {
        match of {
            Trait::Hour => pb::rarity::Of::Calendar(pb::Calendar::Hour.into()),
            Trait::Weekday => pb::rarity::Of::Calendar(pb::Calendar::Weekday.into()),
            Trait::Attribute(name) => pb::rarity::Of::Attribute(name.clone()),
        }
    }
}

impl TryFrom<pb::rarity::Of> for Trait {
    type Error = Refusal;

    fn try_from(of: pb::rarity::Of) -> Result<Self, Refusal> {
        match of {
            pb::rarity::Of::Attribute(name) => Ok(Trait::Attribute(name)),
            pb::rarity::Of::Calendar(calendar) => match pb::Calendar::try_from(calendar) {
                Ok(pb::Calendar::Hour) => Ok(Trait::Hour),
                Ok(pb::Calendar::Weekday) => Ok(Trait::Weekday),
                _ => Err(missing("trait")),
            },
        }
    }
}

impl From<&Header> for pb::QuestionHeader {
    fn from(header: &Header) -> Self {
        pb::QuestionHeader {
            nonce: header.nonce.to_vec(),
            federation: header.federation.clone(),
            epoch_digest: header.epoch_digest.to_vec(),
            home_agency: header.home_agency.clone(),
            asker: header.asker.clone().into_iter().collect(),
            purpose: header.purpose.clone(),
            case_number: header.case_number.clone(),
            reason: header.reason.clone(),
            subject: header.subject.clone(),
            window: Some(header.window.into()),
            minimum_datasets: header.minimum_datasets,
            top: header.top,
            deadline_ms: header.deadline_ms,
            issued_at_ms: header.issued_at_ms,
            commitments: header
                .commitments
                .iter()
                .map(|c| pb::Commitment { digest: c.digest.to_vec(), share_point: u32::from(c.share_point) })
                .collect(),
            ranges: header
                .ranges
                .iter()
                .map(|range| pb::LocatorRange { bits: range.bits, prefix: range.prefix })
                .collect(),
            completes: header.completes.map(|id| id.0.to_vec()).unwrap_or_default(),
            looked_up: header.looked_up,
            standing: header.standing,
        }
    }
}

impl TryFrom<pb::QuestionHeader> for Header {
    type Error = Refusal;

    fn try_from(header: pb::QuestionHeader) -> Result<Self, Refusal> {
        Ok(Header {
            nonce: fixed(&header.nonce, "nonce")?,
            federation: header.federation,
            epoch_digest: fixed(&header.epoch_digest, "epoch digest")?,
            home_agency: header.home_agency,
            asker: header.asker.into_iter().collect(),
            purpose: header.purpose,
            case_number: header.case_number,
            reason: header.reason,
            subject: header.subject,
            window: header.window.map(Into::into).unwrap_or_default(),
            minimum_datasets: header.minimum_datasets,
            top: header.top,
            deadline_ms: header.deadline_ms,
            issued_at_ms: header.issued_at_ms,
            commitments: header.commitments.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            ranges: header
                .ranges
                .into_iter()
                .map(|range| LocatorRange { bits: range.bits, prefix: range.prefix })
                .collect(),
            completes: match header.completes.as_slice() {
                [] => None,
                id => Some(QuestionId(fixed(id, "completed question")?)),
            },
            looked_up: header.looked_up,
            standing: header.standing,
        })
    }
}

impl TryFrom<pb::Commitment> for Commitment {
    type Error = Refusal;

    fn try_from(commitment: pb::Commitment) -> Result<Self, Refusal> {
        let share_point = u8::try_from(commitment.share_point).map_err(|_| missing("share point"))?;
        Ok(Commitment { digest: fixed(&commitment.digest, "commitment")?, share_point })
    }
}

fn fixed<const N: usize>(bytes: &[u8], part: &str) -> Result<[u8; N], Refusal> {
    bytes.try_into().map_err(|_| missing(part))
}
