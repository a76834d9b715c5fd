package maestro.prompts_test

import data.maestro.prompts

used(tags, labels) := {"prompt": {"name": "review", "version": 3, "labels": labels}, "step_tags": tags}

test_a_prompt_without_labels_may_be_used if {
	count(prompts.deny) == 0 with input as used([], [])
}

test_a_deprecated_prompt_may_not if {
	some message in prompts.deny with input as used([], ["approved", "deprecated"])
	startswith(message, "version 3 of prompt review is labelled deprecated")
}

test_tagged_steps_use_approved_prompts_only if {
	count(prompts.deny) == 1 with input as used(["draft", "pii"], [])
	count(prompts.deny) == 0 with input as used(["draft", "pii"], ["approved"])
}
