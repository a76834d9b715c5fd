# Where an artifact may go. What each environment asks for stands in data.json below config.promotion;
# an environment that is not named there gets nothing, and what an environment does not ask for is not
# looked at. What is misspelt or of another kind would ask for nothing, so it denies.
package maestro.promotion

demands := data.config.promotion.environments[input.environment]

allow if demands

deny contains message if {
	not demands
	message := sprintf("no policy names the environment %s; name it in data.json below config.promotion.environments", [input.environment])
}

deny contains message if {
	demands
	not is_object(demands)
	message := sprintf("what is asked of %s has to be an object, as {} or {\"branches\": [\"main\"]}; mend it in data.json", [input.environment])
}

fields := {
	"keys": "a list of texts",
	"builders": "a list of texts",
	"branches": "a list of texts",
	"repositories": "a list of texts",
	"committed": "true or false",
	"states": "a list of texts",
	"steps": "a list of texts",
	"actions": "a list of texts",
	"sbom": "true or false",
	"denied_licences": "a list of texts",
	"max_age_hours": "a number",
	"freezes": "a list of objects",
}

freeze_fields := {
	"days": "a list of weekdays, as friday",
	"from": "a time, as 16:00",
	"to": "a time, as 16:00",
	"first": "a date, as 2026-12-20",
	"last": "a date, as 2026-12-20",
	"reason": "a text",
}

weekdays := {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

fits("a text", value) if is_string(value)

fits("true or false", value) if is_boolean(value)

fits("a number", value) if is_number(value)

fits("a list of texts", value) if {
	is_array(value)
	every one in value { is_string(one) }
}

fits("a list of objects", value) if {
	is_array(value)
	every one in value { is_object(one) }
}

fits("a list of weekdays, as friday", value) if {
	is_array(value)
	every one in value { one in weekdays }
}

fits("a time, as 16:00", value) if {
	is_string(value)
	regex.match(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`, value)
}

fits("a date, as 2026-12-20", value) if {
	is_string(value)
	regex.match(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`, value)
}

# What is asked for, without what does not fit.
asks[field] := value if {
	is_object(demands)
	some field, value in demands
	fits(fields[field], value)
}

deny contains message if {
	is_object(demands)
	some field, _ in demands
	not fields[field]
	message := sprintf("%s asks for %s, which nobody can; mend it in data.json to one of %s", [input.environment, field, concat(", ", sort(object.keys(fields)))])
}

deny contains message if {
	is_object(demands)
	some field, value in demands
	kind := fields[field]
	not fits(kind, value)
	message := sprintf("%s of %s has to be %s; mend it in data.json", [field, input.environment, kind])
}

deny contains message if {
	some freeze in asks.freezes
	some field, _ in freeze
	not freeze_fields[field]
	message := sprintf("a freeze of %s has the field %s, which no freeze has; mend it in data.json to one of %s", [input.environment, field, concat(", ", sort(object.keys(freeze_fields)))])
}

deny contains message if {
	some freeze in asks.freezes
	some field, value in freeze
	kind := freeze_fields[field]
	not fits(kind, value)
	message := sprintf("%s of a freeze of %s has to be %s; mend it in data.json", [field, input.environment, kind])
}

deny contains message if {
	some freeze in asks.freezes
	ends_before_it_begins(freeze)
	message := sprintf("a freeze of %s ends before it begins, so it would never hold; make two of it in data.json", [input.environment])
}

ends_before_it_begins(freeze) if object.get(freeze, "from", "00:00") >= object.get(freeze, "to", "24:00")

ends_before_it_begins(freeze) if freeze.first > freeze.last

deny contains message if {
	asks.keys
	some key in input.keys
	not key in asks.keys
	message := sprintf("key %s signed some of its evidence, and is not one that %s accepts; accepted are %s", [key, input.environment, concat(", ", sort(asks.keys))])
}

deny contains message if {
	asks.builders
	some builder in input.builders
	not builder in asks.builders
	message := sprintf("some of it was built by %s; %s accepts %s", [builder, input.environment, concat(", ", sort(asks.builders))])
}

from_source if count(input.sources) > 0

asks_for_source if asks.branches

asks_for_source if asks.repositories

asks_for_source if asks.committed

deny contains message if {
	asks_for_source
	not from_source
	message := "its evidence names no source, so nobody knows which branch it was built from; build it from a git repository"
}

deny contains message if {
	asks.branches
	some source in input.sources
	branch := object.get(source, "branch", "no known branch")
	not branch in asks.branches
	message := sprintf("some of it was built from %s at commit %s; %s accepts %s", [branch, source.commit, input.environment, concat(", ", sort(asks.branches))])
}

deny contains message if {
	asks.repositories
	some source in input.sources
	not source.uri in asks.repositories
	message := sprintf("some of it was built from %q; %s accepts %s", [source.uri, input.environment, concat(", ", sort(asks.repositories))])
}

deny contains message if {
	asks.committed
	some source in input.sources
	source.dirty
	message := sprintf("the directory at commit %s had changes that were not committed; commit them and build it anew", [source.commit])
}

deny contains message if {
	asks.states
	not input.run.state in asks.states
	message := sprintf("its run ended as %s; %s asks for %s", [input.run.state, input.environment, concat(" or ", sort(asks.states))])
}

step_names contains step.name if some step in input.steps

step_actions contains step.action if some step in input.steps

failed contains step if {
	some step in input.steps
	not step.end in {"succeeded", "cached"}
}

deny contains message if {
	some name in asks.steps
	not name in step_names
	message := sprintf("its run has no step %s; take it into the pipeline", [name])
}

deny contains message if {
	some step in failed
	step.name in asks.steps
	message := sprintf("step %s ended as %s; it has to succeed", [step.name, step.end])
}

deny contains message if {
	some action in asks.actions
	not action in step_actions
	message := sprintf("its run has no step that runs %s; take one into the pipeline", [action])
}

deny contains message if {
	some step in failed
	step.action in asks.actions
	message := sprintf("step %s, which runs %s, ended as %s; all of them have to succeed", [step.name, step.action, step.end])
}

asks_for_sbom if asks.sbom

asks_for_sbom if asks.denied_licences

deny contains message if {
	asks_for_sbom
	input.sbom.documents == 0
	message := "no SBOM came with it; let the step that builds it keep one with sbom: true"
}

denied_licences contains lower(licence) if some licence in asks.denied_licences

deny contains message if {
	some licence in input.sbom.licences
	lower(licence) in denied_licences
	message := sprintf("a component of it has the licence %s, which %s does not accept; replace the component", [licence, input.environment])
}

deny contains message if {
	asks.max_age_hours
	input.artifact.age_hours > asks.max_age_hours
	message := sprintf("it was made %v hours ago, and %s accepts what is at most %v hours old; build it anew", [input.artifact.age_hours, input.environment, asks.max_age_hours])
}

deny contains message if {
	some freeze in asks.freezes
	frozen(freeze)
	message := sprintf("%s is frozen: %s; it is %s, %s %s UTC", [input.environment, object.get(freeze, "reason", "no reason is given"), input.now.weekday, input.now.date, input.now.time])
}

# Left out is: every day, from the day's beginning, to its end.
frozen(freeze) if {
	input.now.weekday in object.get(freeze, "days", [input.now.weekday])
	input.now.time >= object.get(freeze, "from", "00:00")
	input.now.time < object.get(freeze, "to", "24:00")
	input.now.date >= object.get(freeze, "first", input.now.date)
	input.now.date <= object.get(freeze, "last", input.now.date)
}
