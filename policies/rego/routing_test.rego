package maestro.routing_test

import data.maestro.routing

far := {"model": "far", "jurisdiction": "US", "region": "us-east-1", "zdr": false, "local": false}

near := {"model": "near", "jurisdiction": "DE", "region": "eu-central-1", "zdr": true, "local": false}

own := {"model": "own", "local": true}

request := {"jurisdictions": [], "residency": []}

asked(tags, candidate) := {"request": request, "candidate": candidate, "step_tags": tags}

test_untagged_goes_anywhere if {
	count(routing.deny) == 0 with input as asked(["draft"], far)
}

test_pii_goes_only_where_nothing_is_retained if {
	count(routing.deny) == 1 with input as asked(["draft", "pii"], far)
	count(routing.deny) == 0 with input as asked(["draft", "pii"], near)
	count(routing.deny) == 0 with input as asked(["pii"], own)
}

test_secrets_stay_at_home if {
	count(routing.deny) == 1 with input as asked(["secret"], near)
	count(routing.deny) == 0 with input as asked(["secret"], own)
}

test_what_is_export_controlled_stays_in_the_country if {
	some message in routing.deny with input as asked(["export_ctrl"], near)
	contains(message, "stays in US, and near is run in DE")
}

test_a_candidate_without_a_jurisdiction_is_in_none if {
	some message in routing.deny with input as asked(["export_ctrl"], own)
	contains(message, "a jurisdiction that it does not name")
}

test_a_request_stays_in_its_jurisdictions if {
	bound := {"request": {"jurisdictions": ["FR", "DE"], "residency": []}, "candidate": far, "step_tags": []}
	some message in routing.deny with input as bound
	contains(message, "stays in DE, FR")
	count(routing.deny) == 0 with input as object.union(bound, {"candidate": near})
}

test_data_stay_in_their_regions if {
	bound := {"request": {"jurisdictions": [], "residency": ["eu-central-1"]}, "candidate": far, "step_tags": []}
	count(routing.deny) == 1 with input as bound
	count(routing.deny) == 0 with input as object.union(bound, {"candidate": near})
}

test_the_data_name_what_the_tags_ask_for if {
	data.config.routing.tags.pii.zdr
	data.config.routing.tags.secret.local
	data.config.routing.tags.export_ctrl.jurisdictions == ["US"]
}
