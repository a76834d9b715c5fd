# Which models a request may go to. What each tag asks for stands in data.json; a tag that is not named
# there asks for nothing. What a candidate does not say of itself, it does not have.
package maestro.routing

demands[tag] := demand if {
	some tag in input.step_tags
	demand := data.config.routing.tags[tag]
}

deny contains message if {
	some tag, demand in demands
	demand.local
	not input.candidate.local
	message := sprintf("what is tagged %s stays on machines of one's own, and %s is not run on one; choose a local model", [tag, input.candidate.model])
}

deny contains message if {
	some tag, demand in demands
	demand.zdr
	not retains_nothing
	message := sprintf("what is tagged %s goes only where nothing is retained, and %s does not promise that; choose a model with zero data retention, or a local one", [tag, input.candidate.model])
}

deny contains message if {
	some tag, demand in demands
	demand.jurisdictions
	not jurisdiction in demand.jurisdictions
	message := sprintf("what is tagged %s stays in %s, and %s is run in %s; choose a model that is run there", [tag, concat(", ", sort(demand.jurisdictions)), input.candidate.model, jurisdiction])
}

deny contains message if {
	count(input.request.jurisdictions) > 0
	not jurisdiction in input.request.jurisdictions
	message := sprintf("the request stays in %s, and %s is run in %s; choose a model that is run there", [concat(", ", sort(input.request.jurisdictions)), input.candidate.model, jurisdiction])
}

deny contains message if {
	count(input.request.residency) > 0
	not region in input.request.residency
	message := sprintf("the request's data stay in %s, and %s is run in %s; choose a model that is run there", [concat(", ", sort(input.request.residency)), input.candidate.model, region])
}

retains_nothing if input.candidate.zdr

retains_nothing if input.candidate.local

default jurisdiction := "a jurisdiction that it does not name"

jurisdiction := input.candidate.jurisdiction

default region := "a region that it does not name"

region := input.candidate.region
