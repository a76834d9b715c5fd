# Which prompts a step may use. Labels are what people have said of a version; see data.json.
package maestro.prompts

deny contains message if {
	some label in input.prompt.labels
	label in data.config.prompts.denied_labels
	message := sprintf("version %d of prompt %s is labelled %s; use another version", [input.prompt.version, input.prompt.name, label])
}

deny contains message if {
	some tag in input.step_tags
	tag in data.config.prompts.approved_only_tags
	not "approved" in input.prompt.labels
	message := sprintf("a step tagged %s uses approved prompts only, and version %d of %s is not; have it labelled approved", [tag, input.prompt.version, input.prompt.name])
}
