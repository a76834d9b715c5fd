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
