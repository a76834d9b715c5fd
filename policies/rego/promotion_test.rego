package maestro.promotion_test

import data.maestro.promotion

environments := {
	"staging": {},
	"prod": {
		"keys": ["k1"],
		"builders": ["https://maestro.dev/builders/bubblewrap/v1"],
		"branches": ["main"],
		"repositories": ["git+https://example.org/app.git"],
		"committed": true,
		"states": ["succeeded"],
		"steps": ["test/unit"],
		"actions": ["test.node"],
		"denied_licences": ["GPL-3.0-only"],
		"max_age_hours": 24,
		"freezes": [{"days": ["friday", "saturday"], "from": "16:00", "reason": "the week's end"}],
	},
	"closed": {"freezes": [{"first": "2026-12-20", "last": "2027-01-02"}]},
}

good := {
	"environment": "prod",
	"now": {"date": "2026-11-26", "weekday": "thursday", "time": "12:00"},
	"artifact": {"age_hours": 2.5},
	"run": {"state": "succeeded"},
	"keys": ["k1"],
	"builders": ["https://maestro.dev/builders/bubblewrap/v1"],
	"sources": [{"uri": "git+https://example.org/app.git", "branch": "main", "commit": "abc", "dirty": false}],
	"steps": [{"name": "test/unit", "action": "test.node", "end": "succeeded"}],
	"sbom": {"documents": 1, "components": 2, "licences": ["MIT"], "unlicensed": 0},
}

said(changes) := reasons if {
	reasons := promotion.deny with input as object.union(good, changes) with data.config.promotion.environments as environments
}

denied(changes, words) if {
	some reason in said(changes)
	contains(reason, words)
}

test_what_has_all_that_is_asked_for_may_go if {
	promotion.allow with input as good with data.config.promotion.environments as environments
	count(said({})) == 0
}

test_an_environment_that_nobody_names_gets_nothing if {
	not promotion.allow with input as object.union(good, {"environment": "qa"}) with data.config.promotion.environments as environments
	denied({"environment": "qa"}, "no policy names the environment qa")
}

test_an_environment_that_asks_for_nothing_gets_anything if {
	count(said({"environment": "staging", "run": {"state": "failed"}})) == 0
}

test_a_strange_key_or_builder_is_named if {
	denied({"keys": ["k1", "k2"]}, "key k2")
	denied({"builders": ["https://maestro.dev/builders/unisolated/v1"]}, "built by https://maestro.dev/builders/unisolated/v1")
}

test_the_source_has_to_be_the_one if {
	denied({"sources": []}, "names no source")
	denied({"sources": [{"uri": "git+https://example.org/app.git", "commit": "abc", "dirty": false}]}, "no known branch")
	denied({"sources": [{"uri": "", "branch": "main", "commit": "abc", "dirty": false}]}, "built from \"\"")
	denied({"sources": [{"uri": "git+https://example.org/app.git", "branch": "fix", "commit": "abc", "dirty": true}]}, "built from fix at commit abc")
	denied({"sources": [{"uri": "git+https://example.org/app.git", "branch": "main", "commit": "abc", "dirty": true}]}, "not committed")
}

test_a_run_or_a_step_that_failed_is_named if {
	denied({"run": {"state": "failed"}}, "ended as failed")
	denied({"steps": []}, "no step test/unit")
	denied({"steps": []}, "no step that runs test.node")
	denied({"steps": [{"name": "test/unit", "action": "test.node", "end": "skipped"}]}, "test/unit ended as skipped")
	denied({"steps": [{"name": "test/unit", "action": "test.node", "end": "succeeded"}, {"name": "test/e2e", "action": "test.node", "end": "failed"}]}, "test/e2e, which runs test.node, ended as failed")
	count(said({"steps": [{"name": "test/unit", "action": "test.node", "end": "cached"}]})) == 0
}

test_a_licence_that_is_denied_or_not_known_of_is_named if {
	denied({"sbom": {"documents": 1, "components": 1, "licences": ["GPL-3.0-only", "MIT"], "unlicensed": 0}}, "GPL-3.0-only")
	denied({"sbom": {"documents": 0, "components": 0, "licences": [], "unlicensed": 0}}, "no SBOM")
}

test_what_is_old_is_denied if {
	denied({"artifact": {"age_hours": 24.5}}, "24.5 hours ago")
}

test_a_freeze_holds_in_its_window_only if {
	denied({"now": {"date": "2026-11-27", "weekday": "friday", "time": "16:00"}}, "the week's end")
	count(said({"now": {"date": "2026-11-27", "weekday": "friday", "time": "15:59"}})) == 0
	denied({"environment": "closed", "now": {"date": "2026-12-20", "weekday": "sunday", "time": "00:00"}}, "no reason is given")
	count(said({"environment": "closed", "now": {"date": "2027-01-03", "weekday": "sunday", "time": "00:00"}})) == 0
}

# Of an environment that asks for this.
asked(demands) := reasons if {
	reasons := promotion.deny with input as good with data.config.promotion.environments as {"prod": demands}
}

refused(demands, words) if {
	some reason in asked(demands)
	contains(reason, words)
}

test_a_field_that_is_misspelt_denies if {
	refused({"branch": ["main"]}, "prod asks for branch, which nobody can")
	refused({"comitted": true}, "prod asks for comitted")
	refused({"freezes": [{"day": ["monday"]}]}, "has the field day, which no freeze has")
	refused({"freezes": [{"form": "16:00"}]}, "has the field form")
}

test_what_is_asked_of_an_environment_is_an_object if {
	refused([], "has to be an object")
	refused("main", "has to be an object")
	refused(null, "has to be an object")
	refused(true, "has to be an object")
}

test_a_field_of_another_kind_denies if {
	every field in {"keys", "builders", "branches", "repositories", "states", "steps", "actions", "denied_licences"} {
		every value in ["main", 1, true, null, {"main": true}, ["main", 1]] {
			refused({field: value}, sprintf("%s of prod has to be a list of texts", [field]))
		}
	}
	every field in {"committed", "sbom"} {
		every value in ["true", 1, null, []] {
			refused({field: value}, sprintf("%s of prod has to be true or false", [field]))
		}
	}
	every value in ["24", true, null, [24]] {
		refused({"max_age_hours": value}, "max_age_hours of prod has to be a number")
	}
	every value in [{"days": ["friday"]}, "friday", ["friday"], null] {
		refused({"freezes": value}, "freezes of prod has to be a list of objects")
	}
}

test_a_field_of_a_freeze_of_another_kind_denies if {
	every value in ["friday", ["Friday"], ["firday"], [5], null] {
		refused({"freezes": [{"days": value}]}, "days of a freeze of prod has to be a list of weekdays")
	}
	every field in {"from", "to"} {
		every value in ["9:00", "24:01", "16:60", "4 pm", 16, null] {
			refused({"freezes": [{field: value}]}, sprintf("%s of a freeze of prod has to be a time", [field]))
		}
	}
	every field in {"first", "last"} {
		every value in ["20.12.2026", "2026-13-01", "2026-12-32", "2026-1-2", 20261220, null] {
			refused({"freezes": [{field: value}]}, sprintf("%s of a freeze of prod has to be a date", [field]))
		}
	}
	refused({"freezes": [{"reason": 1}]}, "reason of a freeze of prod has to be a text")
}

test_a_freeze_that_would_never_hold_denies if {
	refused({"freezes": [{"from": "22:00", "to": "06:00"}]}, "ends before it begins")
	refused({"freezes": [{"first": "2027-01-02", "last": "2026-12-20"}]}, "ends before it begins")
	refused({"freezes": [{"from": "24:00"}]}, "ends before it begins")
	count(asked({"freezes": [{"first": "2026-12-20", "last": "2026-12-20", "from": "23:00", "to": "24:00"}]})) == 0
}

test_a_licence_is_the_same_in_upper_and_lower_case if {
	bill := {"documents": 1, "components": 1, "licences": ["GPL-3.0-only"], "unlicensed": 0}
	some reason in promotion.deny with input as object.union(good, {"sbom": bill})
		with data.config.promotion.environments as {"prod": {"denied_licences": ["gpl-3.0-ONLY"]}}
	contains(reason, "the licence GPL-3.0-only")
}
