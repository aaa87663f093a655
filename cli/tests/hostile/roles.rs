//! Good certificates at the wrong door.

use sallyport_proto::{
    audit::v1::{
        AddCheckpointRequest, ExportRequest, Filter, ReportRequest, SearchRequest, ShowRequest, VerifyRequest,
        audit_client::AuditClient, show_request::Wanted, witness_client::WitnessClient,
    },
    common::v1::SignedQuestion,
    gateway::v1::{AskRequest, CatalogRequest, RelayRequest, federation_client::FederationClient},
    node::v1::{
        AccountRequest, ActOnLeadRequest, CalibrateRequest, ClearSubjectRequest, ContributeRequest, DeliverRequest,
        DescribeRequest, DeskAskRequest, DeskCatalogRequest, DisclosuresRequest, HeldQuestionsRequest,
        ListLeadsRequest, PublishPatternRequest, Pursue, RaiseLeadRequest, ReadinessRequest, ReceiptRequest, Refuse,
        ReleaseRequest, ReleasesRequest, ShowLeadRequest, act_on_lead_request, contribution_client::ContributionClient,
        desk_client::DeskClient, release_request,
    },
};
use sallyport_trust::{
    identity::refusal_of,
    question::{Question, parse_question},
};
use tonic::{Response, Status, Streaming, transport::Channel};

use crate::{
    attacker::{QUESTION, is_quiet},
    world::World,
};

/// The reason of a refused call.
fn reason<T>(answer: Result<Response<T>, Status>) -> String {
    let status = answer.err().expect("the call is refused");
    is_quiet(&status);
    refusal_of(&status).reason
}

/// The reason of a refused stream, which may come with its first message.
async fn reason_of_stream<T>(answer: Result<Response<Streaming<T>>, Status>) -> String {
    let status = match answer {
        Ok(stream) => stream.into_inner().message().await.err().expect("the stream is refused"),
        Err(status) => status,
    };
    is_quiet(&status);
    refusal_of(&status).reason
}

fn unsound_question() -> SignedQuestion {
    SignedQuestion { header: vec![1], signature: Some(Default::default()), openings: Vec::new() }
}

async fn at_the_gateway(channel: Channel) -> Vec<String> {
    let mut client = FederationClient::new(channel);
    vec![
        reason_of_stream(client.ask(AskRequest { question: Some(unsound_question()) }).await).await,
        reason(client.relay(RelayRequest { to: "hsi".to_owned(), kind: 1, payload: vec![1] }).await),
        reason(client.catalog(CatalogRequest::default()).await),
    ]
}

async fn at_the_contribution(channel: Channel) -> Vec<String> {
    let mut client = ContributionClient::new(channel);
    let deliver = DeliverRequest { from: "cbp".to_owned(), kind: 2, payload: vec![1] };
    vec![
        reason_of_stream(client.contribute(ContributeRequest { question: Some(unsound_question()) }).await).await,
        reason(client.account(AccountRequest { question_id: vec![0; 32], part: 0, keys: Vec::new() }).await),
        reason(client.deliver(deliver).await),
        reason(client.describe(DescribeRequest::default()).await),
    ]
}

async fn at_the_desk(channel: Channel) -> Vec<String> {
    let mut client = DeskClient::new(channel);
    let question: Question = parse_question(QUESTION, 0).unwrap().question;
    let ask = DeskAskRequest { question: Some((&question).into()), ..DeskAskRequest::default() };
    let verdict = Some(release_request::Verdict::Refuse(Refuse {}));
    let refuse = ReleaseRequest { id: "0".repeat(16), verdict, reason: "no".to_owned() };
    let pursue = ActOnLeadRequest { act: Some(act_on_lead_request::Act::Pursue(Pursue {})), ..Default::default() };
    let clear = ClearSubjectRequest {
        subject_type: "device".to_owned(),
        subject: "x".to_owned(),
        note: "known".to_owned(),
        ..ClearSubjectRequest::default()
    };
    vec![
        reason_of_stream(client.ask(ask).await).await,
        reason(client.catalog(DeskCatalogRequest {}).await),
        reason(client.publish_pattern(PublishPatternRequest::default()).await),
        reason(client.readiness(ReadinessRequest {}).await),
        reason(client.held_questions(HeldQuestionsRequest {}).await),
        reason(client.releases(ReleasesRequest::default()).await),
        reason(client.release(refuse).await),
        reason(client.disclosures(DisclosuresRequest::default()).await),
        reason(client.receipt(ReceiptRequest { question_id: "00".repeat(32) }).await),
        reason(client.list_leads(ListLeadsRequest::default()).await),
        reason(client.show_lead(ShowLeadRequest::default()).await),
        reason(client.calibrate(CalibrateRequest::default()).await),
        reason(client.act_on_lead(pursue).await),
        reason(client.raise_lead(RaiseLeadRequest::default()).await),
        reason(client.clear_subject(clear).await),
    ]
}

#[tokio::test]
async fn the_gateway_hears_nobody_but_nodes() {
    let world = World::new();
    let mut gateway = world.lone_gateway("");
    for who in ["agency-hsi-user-rivera", "auditor-chen", "partner-acme-feed", "gateway"] {
        assert_eq!(at_the_gateway(world.channel(who, &gateway)).await, ["wrong_role"; 3], "{who}");
    }
    gateway.is_well();
}

#[tokio::test]
async fn a_node_contributes_to_nobody_but_the_gateway() {
    let world = World::new();
    let mut node = world.lone_node("");
    for who in ["agency-hsi-user-rivera", "agency-cbp-node", "agency-hsi-node", "auditor-chen", "partner-acme-feed"] {
        assert_eq!(at_the_contribution(world.channel(who, &node)).await, ["wrong_role"; 4], "{who}");
    }
    node.is_well();
}

async fn at_the_witness(channel: Channel) -> String {
    reason(WitnessClient::new(channel).add_checkpoint(AddCheckpointRequest::default()).await)
}

#[tokio::test]
async fn nobody_is_witnessed_but_the_parties_of_the_federation() {
    let world = World::new();
    let (mut gateway, mut node) = (world.lone_gateway(""), world.lone_node(""));
    for who in ["agency-hsi-user-rivera", "auditor-chen", "partner-acme-feed"] {
        assert_eq!(at_the_witness(world.channel(who, &gateway)).await, "wrong_role", "{who}");
        assert_eq!(at_the_witness(world.channel(who, &node)).await, "wrong_role", "{who}");
    }
    // Nobody is their own witness, and a node that the gateway does not know is no party.
    assert_eq!(at_the_witness(world.channel("gateway", &gateway)).await, "wrong_role");
    assert_eq!(at_the_witness(world.channel("agency-cbp-node", &gateway)).await, "wrong_role");
    assert_eq!(at_the_witness(world.channel("agency-hsi-node", &node)).await, "wrong_role");
    assert_eq!(at_the_witness(world.channel("agency-hsi-node", &gateway)).await, "audit_keys_unusable");
    let mut contribution = ContributionClient::new(world.channel("gateway", &node));
    for (from, payload, expected) in [
        ("zoll", Vec::new(), "wrong_role"),
        ("hsi", Vec::new(), "wrong_role"),
        ("cbp", vec![0xff; 9], "relay_unreadable"),
    ] {
        let carried = DeliverRequest { from: from.to_owned(), kind: 4, payload };
        assert_eq!(reason(contribution.deliver(carried).await), expected, "{from}");
    }
    gateway.is_well();
    node.is_well();
}

#[tokio::test]
async fn a_desk_serves_nobody_but_the_agencys_own_people() {
    let world = World::new();
    let mut node = world.lone_node("");
    let strangers = [
        ("gateway", "wrong_role"),
        ("agency-cbp-node", "wrong_role"),
        ("agency-hsi-node", "wrong_role"),
        ("auditor-chen", "wrong_role"),
        ("partner-acme-feed", "wrong_role"),
        ("agency-cbp-user-okafor", "wrong_agency"),
        // Of the agency by certificate, and yet not among those whom its node knows.
        ("agency-hsi-user-nobody", "person_unknown"),
    ];
    for (who, expected) in strangers {
        assert_eq!(at_the_desk(world.channel(who, &node)).await, [expected; 15], "{who}");
    }
    node.is_well();
}

async fn at_the_audit(channel: Channel) -> Vec<String> {
    let mut client = AuditClient::new(channel);
    vec![
        reason(client.search(SearchRequest::default()).await),
        reason(client.show(ShowRequest { wanted: Some(Wanted::Index(0)) }).await),
        reason_of_stream(client.export(ExportRequest::default()).await).await,
        reason(client.report(ReportRequest { from_ms: 0, until_ms: 1 }).await),
        reason(client.verify(VerifyRequest {}).await),
    ]
}

#[tokio::test]
async fn the_audit_service_hears_nobody_but_auditors() {
    let world = World::new();
    let (mut gateway, mut node) = (world.lone_gateway(""), world.lone_node(""));
    let strangers = [
        "gateway",
        "agency-hsi-node",
        "agency-cbp-node",
        "agency-hsi-user-rivera",
        "agency-cbp-user-okafor",
        "partner-acme-feed",
    ];
    for who in strangers {
        assert_eq!(at_the_audit(world.channel(who, &gateway)).await, ["wrong_role"; 5], "{who}");
        assert_eq!(at_the_audit(world.channel(who, &node)).await, ["wrong_role"; 5], "{who}");
    }
    let mut auditor = AuditClient::new(world.channel("auditor-chen", &node));
    assert!(auditor.search(SearchRequest::default()).await.is_ok());
    gateway.is_well();
    node.is_well();
}

#[tokio::test]
async fn an_auditors_request_that_makes_no_sense_is_refused_by_name() {
    let world = World::new();
    let mut gateway = world.lone_gateway("");
    let mut client = AuditClient::new(world.channel("auditor-chen", &gateway));
    let filter = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        Some(filter)
    };
    let filters: [fn(&mut Filter); 8] = [
        |filter| filter.decisions.push("perhaps".to_owned()),
        |filter| filter.outcomes.push(String::new()),
        |filter| filter.questions.push("0011".to_owned()),
        |filter| filter.questions.push("../../etc/passwd".to_owned()),
        |filter| filter.persons = vec!["x".to_owned(); 33],
        |filter| filter.purposes.push("x".repeat(513)),
        |filter| filter.rules.push(String::new()),
        |filter| (filter.from_ms, filter.until_ms) = (Some(i64::MAX), Some(i64::MIN)),
    ];
    for change in filters {
        let search = SearchRequest { filter: filter(change), before: None, limit: u32::MAX };
        assert_eq!(reason(client.search(search).await), "audit_filter");
        assert_eq!(
            reason_of_stream(client.export(ExportRequest { filter: filter(change) }).await).await,
            "audit_filter"
        );
    }
    assert_eq!(reason(client.show(ShowRequest { wanted: None }).await), "action_missing");
    let named = |wanted| ShowRequest { wanted: Some(wanted) };
    assert_eq!(reason(client.show(named(Wanted::Id("x".repeat(32)))).await), "action_name");
    assert_eq!(reason(client.show(named(Wanted::Id("0".repeat(32)))).await), "entry_unknown");
    assert_eq!(reason(client.show(named(Wanted::Index(u64::MAX))).await), "entry_unknown");
    for (from_ms, until_ms) in [(5, 5), (i64::MIN, i64::MAX), (0, i64::MAX)] {
        assert_eq!(reason(client.report(ReportRequest { from_ms, until_ms }).await), "report_period");
    }
    let last = SearchRequest { filter: None, before: Some(u64::MAX), limit: u32::MAX };
    assert!(client.search(last).await.is_ok(), "limits are cut to size");
    gateway.is_well();
}

#[tokio::test]
async fn a_request_without_its_parts_is_refused_by_name() {
    let world = World::new();
    let (gateway, node) = (world.lone_gateway(""), world.lone_node(""));
    let mut federation = FederationClient::new(world.channel("agency-hsi-node", &gateway));
    assert_eq!(reason_of_stream(federation.ask(AskRequest { question: None }).await).await, "question_missing");
    let unsigned = AskRequest { question: Some(SignedQuestion { signature: None, ..unsound_question() }) };
    assert_eq!(reason_of_stream(federation.ask(unsigned).await).await, "question_unsigned");
    let nowhere = RelayRequest { to: "../../etc".to_owned(), kind: 1, payload: Vec::new() };
    assert_eq!(reason(federation.relay(nowhere).await), "agency_unknown");

    let mut contribution = ContributionClient::new(world.channel("gateway", &node));
    let missing = contribution.contribute(ContributeRequest { question: None }).await;
    assert_eq!(reason_of_stream(missing).await, "question_missing");
    let deliver = |kind, payload| DeliverRequest { from: "cbp".to_owned(), kind, payload };
    assert_eq!(reason(contribution.deliver(deliver(77, Vec::new())).await), "relay_kind");
    assert_eq!(reason(contribution.deliver(deliver(1, vec![0xff; 40])).await), "relay_unreadable");
    assert_eq!(reason(contribution.deliver(deliver(2, vec![0xff; 40])).await), "epoch_not_agreed");
    let account = AccountRequest { question_id: vec![0; 5], part: u32::MAX, keys: vec![vec![1]; 3] };
    assert_eq!(reason(contribution.account(account).await), "question_unknown");
    assert_eq!(reason(contribution.describe(DescribeRequest::default()).await), "introduction_unusable");

    let mut desk = DeskClient::new(world.channel("agency-hsi-user-rivera", &node));
    let empty = DeskAskRequest::default();
    assert_eq!(reason_of_stream(desk.ask(empty).await).await, "question_missing");
    let early = parse_question(QUESTION, 0).unwrap().question;
    let early = DeskAskRequest { question: Some((&early).into()), ..Default::default() };
    assert_eq!(reason_of_stream(desk.ask(early).await).await, "epoch_not_agreed");
    let steering = DisclosuresRequest { reason: "a\u{1b}[2J".to_owned(), ..Default::default() };
    assert_eq!(reason(desk.disclosures(steering).await), "reason_unusable");
    // An analyst may not, whatever is asked.
    assert_eq!(reason(desk.disclosures(DisclosuresRequest::default()).await), "no_rule_allows");
}
