"""A second opinion on policies, from another implementation of casbin and another reading of the rules.

Reads from the file named on the command line: the casbin model, the kinds of resources that there are,
and policies with their rules and the requests put to them. Writes to standard output one list of decisions for each policy. The conditions are
read here anew, as policies/*/rules.toml explains them; how rules combine is left to casbin.
"""

import json
import sys
from datetime import datetime

import casbin

SENSITIVITIES = ["public", "official", "law_enforcement_sensitive"]
CLEARANCES = ["none", "confidential", "secret", "top_secret"]
LEVELS = {("subject", "security_clearance_level"): CLEARANCES, ("resource", "sensitivity"): SENSITIVITIES}
FLAGS = {"sworn_law_enforcement_officer", "intelligence_analyst", "28cfr_certification"}
QUESTIONS = {"ask", "look_up", "federate"}
DEFAULTS = {"minimum_datasets": 2, "maximum_results": 100}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def given(request, part, name):
    """The typed value of an attribute, or None."""
    value = request[part].get(name)
    if value in (None, "", 0) or (isinstance(value, str) and len(value.encode()) > 500):
        return None
    if part == "subject" and name in FLAGS:
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    if (part, name) in LEVELS:
        levels = LEVELS[part, name]
        return levels.index(value) if value in levels else None
    if part == "context" and name == "time":
        return moment(value)
    return value


def wanted(part, name, value):
    """A value of a rule, comparable with what is given."""
    if (part, name) in LEVELS:
        return LEVELS[part, name].index(value)
    if part == "context" and name == "time":
        return moment(value)
    return value


def holds(request, part, name, operator, operand):
    value = given(request, part, name)
    if value is None:
        return None
    if operator == "present":
        return True
    if operator == "same_as":
        other_part, other_name = operand.split(".", 1)
        other = given(request, other_part, other_name)
        return None if other is None else value == other
    if operator in ("one_of", "not_one_of"):
        among = value in [wanted(part, name, each) for each in operand]
        return among == (operator == "one_of")
    operand = wanted(part, name, operand)
    return {"equals": value == operand, "at_least": value >= operand if operator == "at_least" else None,
            "below": value < operand if operator == "below" else None}[operator]


def speaks_of(rule, request):
    resource = request["resource"]
    if request["action"] not in rule["actions"]:
        return False
    if "owners" in rule:
        return resource.get("owner") in rule["owners"]
    if "datasets" in rule:
        return resource.get("dataset") in rule["datasets"]
    return True


def outcome(rule, request):
    """True, False, or None when it cannot be known."""
    each = [
        holds(request, part, name, operator, operand)
        for part in ("subject", "resource", "context")
        for name, operators in rule.get(part, {}).items()
        for operator, operand in operators.items()
    ]
    if False in each:
        return False
    return None if None in each else True


def is_about_something(request, kinds):
    """Owner and kind in their exact form; a data set of that owner where there is one."""
    plain = set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    resource = request["resource"]
    owner, kind, dataset = (resource.get(name) for name in ("owner", "kind", "dataset"))
    for name in (owner, kind):
        if not name or len(name) > 100 or set(name) - plain:
            return False
    if kind not in kinds:
        return False
    if dataset is None:
        return kind != "dataset"
    head, dot, tail = dataset.partition(".")
    return bool(dot and tail) and head == owner and len(dataset) <= 100 and not set(dataset) - plain


class Policy:
    def __init__(self, model, kinds, rules):
        self.kinds = kinds
        self.rules = {rule["id"]: rule for rule in rules}
        text = casbin.Model()
        text.load_model_from_text(model)
        self.enforcer = casbin.Enforcer(text)
        self.enforcer.add_function("rule_applies", self.rule_applies)
        for rule in rules:
            # What is held is allowed once released; a hold that cannot be judged lets nothing pass.
            effects = ["allow", "deny"] if rule["effect"] == "hold" else [rule["effect"]]
            for effect in effects:
                self.enforcer.add_policy(rule["id"], effect)

    def rule_applies(self, request, name, effect):
        rule = self.rules[name]
        if not speaks_of(rule, request):
            return False
        result = outcome(rule, request)
        if effect == "allow":
            return result is True
        return result is None if rule["effect"] == "hold" else result is not False

    def decide(self, request):
        if not is_about_something(request, self.kinds) or not self.enforcer.enforce(request):
            return "deny"
        granting = [
            rule for rule in self.rules.values()
            if rule["effect"] != "deny" and speaks_of(rule, request) and outcome(rule, request) is True
        ]
        if request["action"] in QUESTIONS:
            obligations = [{**DEFAULTS, **rule.get("obligations", {})} for rule in granting]
            least = max(each["minimum_datasets"] for each in obligations)
            most = min(each["maximum_results"] for each in obligations)
            context = request["context"]
            if context.get("minimum_datasets", 0) < least or not 1 <= context.get("top", 0) <= most:
                return "deny"
        return "hold" if any(rule["effect"] == "hold" for rule in granting) else "allow"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    decided = []
    for policy in asked["policies"]:
        oracle = Policy(asked["model"], asked["kinds"], policy["rules"])
        decided.append([oracle.decide(request) for request in policy["requests"]])
    json.dump(decided, sys.stdout)


if __name__ == "__main__":
    main()
