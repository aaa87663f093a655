//! The casbin evaluator, fenced in.
//!
//! Casbin combines what rules say: something is allowed when a rule allows it and none denies it.
//! What it is given leaves it no way to fail open: the model is fixed, the matcher is one call of a
//! compiled function, no text of a rule reaches its language, an evaluator is never changed after it
//! is built, and every error, and every answer that the compiled rules contradict, is a denial.
//!
//! Rules of one index bucket are one policy section, all in one evaluator with one compiled matcher.
//! Casbin reads the effect of a rule from a column named exactly `p_eft`; a second section made its
//! usual way names that column `p2_eft`, and then a deny rule **allows**. The sections here are
//! therefore copies of the first, with its column names.

use std::sync::Arc;

use casbin::function_map::OperatorFunction;
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, EnforceContext, Enforcer, Model};
use futures::FutureExt;

use super::PolicyError;
use super::index::{Bucket, Index};
use super::rule::{Effect, Outcome, Rule, RuleBook};
use super::schema::Facts;

/// The only model that is accepted, without comments and blank lines.
pub(super) const MODEL: &str = "[request_definition]
r = request
[policy_definition]
p = rule, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = rule_applies(r.request, p.rule, p.eft)";

const ALLOW: &str = "allow";
const DENY: &str = "deny";

/// Rules in one line of casbin's, at most. Casbin takes about a microsecond for a line.
const LINE_RULES_MAX: usize = 32;

/// Whether the text of a model file says what [`MODEL`] says.
pub(super) fn is_expected_model(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.eq(MODEL.lines())
}

/// Compiled rules, their index and the evaluator that combines them.
pub(super) struct Engine {
    enforcer: Enforcer,
    book: Arc<RuleBook>,
    index: Index,
}

/// What casbin passes back to [`rule_applies`]; it cannot look inside.
#[derive(Clone)]
struct Evaluation {
    book: Arc<RuleBook>,
    facts: Arc<Facts>,
}

impl Engine {
    /// Puts rules into a fresh evaluator.
    ///
    /// # Errors
    /// [`PolicyError::TooManyRules`], or [`PolicyError::Engine`] when casbin refuses.
    pub(super) fn build(book: RuleBook) -> Result<Self, PolicyError> {
        let index = Index::build(book.rules())?;
        let failed = |problem: String| PolicyError::Engine { problem };
        let mut model = DefaultModel::from_str(MODEL)
            .now_or_never()
            .ok_or_else(|| failed("the model did not load at once".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        fill(&mut model, &book, &index).ok_or_else(|| failed("the model has no policy section".to_owned()))?;
        // `new_raw` does not load from an adapter, which would clear the sections again.
        let mut enforcer = Enforcer::new_raw(model, ())
            .now_or_never()
            .ok_or_else(|| failed("the evaluator did not start at once".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        enforcer.add_function("rule_applies", OperatorFunction::Arg3(rule_applies));
        Ok(Self { enforcer, book: Arc::new(book), index })
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn book(&self) -> &RuleBook {
        &self.book
    }

    /// The rules of a bucket, in file order.
    pub(super) fn rules<'a>(&'a self, bucket: &'a Bucket) -> impl Iterator<Item = &'a Rule> + Clone {
        bucket.rules.iter().filter_map(|position| self.book.at(*position))
    }

    pub(super) fn rule(&self, position: usize) -> Option<&Rule> {
        self.book.at(position)
    }

    /// Casbin's answer over the rules of a bucket; none when it has no answer that counts.
    pub(super) fn enforce(&self, bucket: &Bucket, facts: &Arc<Facts>) -> Option<bool> {
        // A disabled evaluator allows everything, an empty section asks the matcher about nothing.
        if !self.enforcer.is_enabled() || bucket.rules.is_empty() {
            return None;
        }
        let context = EnforceContext {
            r_type: "r".to_owned(),
            p_type: bucket.section.clone(),
            e_type: "e".to_owned(),
            m_type: "m".to_owned(),
        };
        let evaluation = Evaluation { book: Arc::clone(&self.book), facts: Arc::clone(facts) };
        self.enforcer.enforce_with_context(context, vec![Dynamic::from(evaluation)]).ok()
    }
}

/// Makes every bucket a policy section with the column names of the first. Rules that do the same stand
/// in one line, up to [`LINE_RULES_MAX`]: a line applies when one of them does, and casbin asks whether
/// some line applies, so it is the same and costs less.
fn fill(model: &mut DefaultModel, book: &RuleBook, index: &Index) -> Option<()> {
    let sections = model.get_mut_model().get_mut("p")?;
    let first = sections.get("p")?.clone();
    for bucket in index.buckets() {
        let mut section = first.clone();
        for effect in [ALLOW, DENY] {
            let rules = bucket.rules.iter().filter_map(|position| book.at(*position));
            let ids: Vec<&str> =
                rules.filter(|rule| effects(rule.effect).contains(&effect)).map(|rule| rule.id.as_str()).collect();
            for line in ids.chunks(LINE_RULES_MAX) {
                section.policy.insert(vec![line.join(" "), effect.to_owned()]);
            }
        }
        sections.insert(bucket.section.clone(), section);
    }
    Some(())
}

/// In which lines of casbin's a rule stands. What is held is allowed, once released; a hold that cannot
/// be judged is denied, so that no other rule lets the request pass unreleased.
fn effects(effect: Effect) -> &'static [&'static str] {
    match effect {
        Effect::Allow => &[ALLOW],
        Effect::Deny => &[DENY],
        Effect::Hold => &[ALLOW, DENY],
    }
}

/// The matcher. Anything but a truth value as its result is an error in casbin, and so a denial.
fn rule_applies(evaluation: Dynamic, rules: Dynamic, effect: Dynamic) -> Dynamic {
    let applies = || {
        let evaluation = evaluation.try_cast::<Evaluation>()?;
        let rules = rules.into_immutable_string().ok()?;
        let effect = effect.into_immutable_string().ok()?;
        rules.split(' ').try_fold(false, |applies, rule| {
            let rule = evaluation.book.named(rule)?;
            let outcome = rule.outcome(&evaluation.facts);
            match effect.as_str() {
                ALLOW => Some(applies || outcome == Outcome::Met),
                DENY => Some(applies || denies(rule.effect, outcome)),
                _ => None,
            }
        })
    };
    applies().map_or(Dynamic::UNIT, Dynamic::from_bool)
}

/// Whether a rule stands against a request. What a deny or a hold rule cannot know counts against it.
pub(super) fn denies(effect: Effect, outcome: Outcome) -> bool {
    match effect {
        Effect::Allow => false,
        Effect::Deny => outcome != Outcome::Unmet,
        Effect::Hold => outcome == Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Action, Attributes, Context, Request};

    const RULES: &str = r#"
        [[rule]]
        id = "all"
        effect = "allow"
        actions = ["ask"]
        subject = { role = { present = true } }
    "#;

    fn facts() -> Arc<Facts> {
        Arc::new(Facts::of(&Request {
            subject: Attributes::new().with("role", "analyst"),
            resource: Attributes::new(),
            action: Action::Ask,
            context: Context::default(),
        }))
    }

    fn engine() -> Engine {
        Engine::build(RuleBook::parse(RULES).unwrap()).unwrap()
    }

    fn only_bucket(engine: &Engine) -> &Bucket {
        engine.index().buckets().next().unwrap()
    }

    #[test]
    fn an_evaluator_that_is_switched_off_has_no_answer() {
        let mut engine = engine();
        assert_eq!(engine.enforce(only_bucket(&engine), &facts()), Some(true));
        engine.enforcer.enable_enforce(false);
        assert_eq!(engine.enforce(only_bucket(&engine), &facts()), None);
    }

    #[test]
    fn a_section_that_is_missing_or_empty_has_no_answer() {
        let engine = engine();
        let missing = Bucket { section: "p99".to_owned(), rules: vec![0] };
        assert_eq!(engine.enforce(&missing, &facts()), None);
        let empty = Bucket { section: "p".to_owned(), rules: Vec::new() };
        assert_eq!(engine.enforce(&empty, &facts()), None);
        let never_filled = Bucket { section: "p".to_owned(), rules: vec![0] };
        assert_eq!(engine.enforce(&never_filled, &facts()), None);
    }

    #[test]
    fn a_line_that_casbin_would_take_for_indeterminate_has_no_answer() {
        for line in [["all", "DENY"], ["all", "Allow"], ["unheard-of", "deny"], ["all unheard-of", "allow"], ["", ""]] {
            let mut engine = engine();
            let section = only_bucket(&engine).section.clone();
            let lines = line.map(str::to_owned).to_vec();
            assert!(engine.enforcer.get_mut_model().add_policy("p", &section, lines));
            assert_eq!(engine.enforce(only_bucket(&engine), &facts()), None, "{line:?}");
        }
    }

    #[test]
    fn only_the_model_that_came_with_the_program_will_do() {
        assert!(is_expected_model(MODEL));
        assert!(is_expected_model(&format!("# why\n\n{MODEL}\n")));
        let others = [
            MODEL.replace("some(where (p.eft == allow)) && ", ""),
            MODEL.replace(" && !some(where (p.eft == deny))", ""),
            MODEL.replace("some(where (p.eft == allow)) && !some(where (p.eft == deny))", "priority(p.eft) || deny"),
            MODEL.replace("some(where (p.eft == allow))", "any(allow)"),
            MODEL.replace("rule_applies(r.request, p.rule, p.eft)", "true"),
            MODEL.replace("p = rule, eft", "p = rule"),
            format!("{MODEL}\nm2 = true"),
            format!("{MODEL}\nm = true"),
            MODEL.replace("[matchers]", "[Matchers]"),
            String::new(),
        ];
        for other in others {
            assert!(!is_expected_model(&other), "{other}");
        }
    }
}
