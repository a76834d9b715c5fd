# Where an artifact may go. What each environment asks for stands in data.json below config.promotion;
# an environment that is not named there gets nothing, and what an environment does not ask for is not
# looked at.
package maestro.promotion

demands := data.config.promotion.environments[input.environment]

allow if demands

deny contains message if {
	not demands
	message := sprintf("no policy names the environment %s; name it in data.json below config.promotion.environments", [input.environment])
}

deny contains message if {
	demands.keys
	some key in input.keys
	not key in demands.keys
	message := sprintf("key %s signed some of its evidence, and is not one that %s accepts; accepted are %s", [key, input.environment, concat(", ", sort(demands.keys))])
}

deny contains message if {
	demands.builders
	some builder in input.builders
	not builder in demands.builders
	message := sprintf("some of it was built by %s; %s accepts %s", [builder, input.environment, concat(", ", sort(demands.builders))])
}

from_source if count(input.sources) > 0

asks_for_source if demands.branches

asks_for_source if demands.repositories

asks_for_source if demands.committed

deny contains message if {
	asks_for_source
	not from_source
	message := "its evidence names no source, so nobody knows which branch it was built from; build it from a git repository"
}

deny contains message if {
	demands.branches
	some source in input.sources
	branch := object.get(source, "branch", "no known branch")
	not branch in demands.branches
	message := sprintf("some of it was built from %s at commit %s; %s accepts %s", [branch, source.commit, input.environment, concat(", ", sort(demands.branches))])
}

deny contains message if {
	demands.repositories
	some source in input.sources
	not source.uri in demands.repositories
	message := sprintf("some of it was built from %q; %s accepts %s", [source.uri, input.environment, concat(", ", sort(demands.repositories))])
}

deny contains message if {
	demands.committed
	some source in input.sources
	source.dirty
	message := sprintf("the directory at commit %s had changes that were not committed; commit them and build it anew", [source.commit])
}

deny contains message if {
	demands.states
	not input.run.state in demands.states
	message := sprintf("its run ended as %s; %s asks for %s", [input.run.state, input.environment, concat(" or ", sort(demands.states))])
}

passed(step) if step.end in {"succeeded", "cached"}

deny contains message if {
	some name in demands.steps
	not name in {step.name | some step in input.steps}
	message := sprintf("its run has no step %s; take it into the pipeline", [name])
}

deny contains message if {
	some name in demands.steps
	some step in input.steps
	step.name == name
	not passed(step)
	message := sprintf("step %s ended as %s; it has to succeed", [name, step.end])
}

deny contains message if {
	some action in demands.actions
	not action in {step.action | some step in input.steps}
	message := sprintf("its run has no step that runs %s; take one into the pipeline", [action])
}

deny contains message if {
	some action in demands.actions
	some step in input.steps
	step.action == action
	not passed(step)
	message := sprintf("step %s, which runs %s, ended as %s; all of them have to succeed", [step.name, action, step.end])
}

asks_for_sbom if demands.sbom

asks_for_sbom if demands.denied_licences

deny contains message if {
	asks_for_sbom
	input.sbom.documents == 0
	message := "no SBOM came with it; let the step that builds it keep one with sbom: true"
}

deny contains message if {
	some licence in demands.denied_licences
	licence in input.sbom.licences
	message := sprintf("a component of it has the licence %s, which %s does not accept; replace the component", [licence, input.environment])
}

deny contains message if {
	demands.max_age_hours
	input.artifact.age_hours > demands.max_age_hours
	message := sprintf("it was made %v hours ago, and %s accepts what is at most %v hours old; build it anew", [input.artifact.age_hours, input.environment, demands.max_age_hours])
}

deny contains message if {
	some freeze in demands.freezes
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
