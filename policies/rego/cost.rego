# The cost guard: a step that has a budget stays within it.
package maestro.cost

violation contains reason if {
	input.estimated_cost > input.step_budget
	reason := sprintf("Step cost %.4f exceeds budget %.4f; choose a cheaper model, or raise the step's budget", [input.estimated_cost, input.step_budget])
}

violation contains reason if {
	input.step_budget >= 0
	not input.estimated_cost >= 0
	reason := sprintf("no price of %s is known, and the step has a budget; choose a model with a price, or configure its price", [input.model])
}
