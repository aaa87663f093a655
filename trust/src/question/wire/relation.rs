//! Relations and the parts of a question.

use super::*;

impl From<&Relation> for pb::Relation {
    fn from(relation: &Relation) -> Self {
        let kind = match relation.kind {
            RelationKind::InTime { order, minutes } => pb::relation::Kind::InTime(in_time(order, minutes)),
            RelationKind::CommonContacts { hops } => {
                pb::relation::Kind::CommonContacts(pb::CommonContacts { hops: u32::from(hops) })
            }
            RelationKind::SamePlace { minutes, places } => {
                pb::relation::Kind::SamePlace(pb::SamePlace { minutes, places })
            }
        };
        pb::Relation { to: relation.to.clone(), kind: Some(kind), half_at: relation.half_at }
    }
}

impl TryFrom<pb::Relation> for Relation {
    type Error = Refusal;

    fn try_from(relation: pb::Relation) -> Result<Self, Refusal> {
        let kind = match relation.kind.ok_or_else(|| missing("relation"))? {
            pb::relation::Kind::InTime(in_time) => in_time.try_into()?,
            pb::relation::Kind::CommonContacts(common) => common.try_into()?,
            pb::relation::Kind::SamePlace(same) => same.into(),
        };
        Ok(Relation { to: relation.to, kind, half_at: relation.half_at })
    }
}

fn in_time(order: Order, minutes: u32) -> pb::InTime {
    let order = match order {
        Order::After => pb::Order::After,
        Order::Before => pb::Order::Before,
        Order::Around => pb::Order::Around,
    };
    pb::InTime { order: order.into(), minutes }
}

impl TryFrom<pb::InTime> for RelationKind {
    type Error = Refusal;

    fn try_from(in_time: pb::InTime) -> Result<Self, Refusal> {
        let order = match in_time.order() {
            pb::Order::Unspecified => return Err(missing("order in time")),
            pb::Order::After => Order::After,
            pb::Order::Before => Order::Before,
            pb::Order::Around => Order::Around,
        };
        Ok(RelationKind::InTime { order, minutes: in_time.minutes })
    }
}

impl TryFrom<pb::CommonContacts> for RelationKind {
    type Error = Refusal;

    fn try_from(common: pb::CommonContacts) -> Result<Self, Refusal> {
        let hops = u8::try_from(common.hops).map_err(|_| missing("number of hops"))?;
        Ok(RelationKind::CommonContacts { hops })
    }
}

impl From<pb::SamePlace> for RelationKind {
    fn from(same: pb::SamePlace) -> Self {
        RelationKind::SamePlace { minutes: same.minutes, places: same.places }
    }
}

impl From<&OpenedIndicator> for pb::QuestionPart {
    fn from(part: &OpenedIndicator) -> Self {
        let part = match part {
            OpenedIndicator::Dataset(indicator) => pb::question_part::Part::Indicator(indicator.into()),
            OpenedIndicator::OwnList => pb::question_part::Part::OwnList(pb::OwnList {}),
            OpenedIndicator::Link(link) => pb::question_part::Part::Link(link.into()),
        };
        pb::QuestionPart { part: Some(part) }
    }
}

impl TryFrom<pb::QuestionPart> for OpenedIndicator {
    type Error = Refusal;

    fn try_from(part: pb::QuestionPart) -> Result<Self, Refusal> {
        Ok(match part.part.ok_or_else(|| missing("part"))? {
            pb::question_part::Part::Indicator(indicator) => OpenedIndicator::Dataset(indicator.try_into()?),
            pb::question_part::Part::OwnList(_) => OpenedIndicator::OwnList,
            pb::question_part::Part::Link(link) => OpenedIndicator::Link(link.try_into()?),
        })
    }
}

impl From<&LinkPart> for pb::LinkPart {
    fn from(part: &LinkPart) -> Self {
        let kind = match part.kind {
            RelationKind::InTime { order, minutes } => pb::link_part::Kind::InTime(in_time(order, minutes)),
            RelationKind::CommonContacts { hops } => {
                pb::link_part::Kind::CommonContacts(pb::CommonContacts { hops: u32::from(hops) })
            }
            RelationKind::SamePlace { minutes, places } => {
                pb::link_part::Kind::SamePlace(pb::SamePlace { minutes, places })
            }
        };
        pb::LinkPart {
            indicator: Some((&part.indicator).into()),
            position: part.position as u32,
            link: u32::from(part.link),
            follower: part.follower,
            kind: Some(kind),
            half_at: part.half_at,
            rank_contacts: part.rank_contacts,
            own_list: part.own_list,
        }
    }
}

impl TryFrom<pb::LinkPart> for LinkPart {
    type Error = Refusal;

    fn try_from(part: pb::LinkPart) -> Result<Self, Refusal> {
        let kind = match part.kind.ok_or_else(|| missing("relation"))? {
            pb::link_part::Kind::InTime(in_time) => in_time.try_into()?,
            pb::link_part::Kind::CommonContacts(common) => common.try_into()?,
            pb::link_part::Kind::SamePlace(same) => same.into(),
        };
        let part = LinkPart {
            indicator: part.indicator.ok_or_else(|| missing("indicator"))?.try_into()?,
            position: part.position as usize,
            link: u8::try_from(part.link).map_err(|_| missing("number of the relation"))?,
            follower: part.follower,
            kind,
            half_at: part.half_at,
            rank_contacts: part.rank_contacts,
            own_list: part.own_list,
        };
        part.validate()?;
        Ok(part)
    }
}
