# The cost guard: a step that has a budget stays within it.
package maestro.cost

violation contains reason if {
	input.estimated_cost > input.step_budget
	reason := sprintf("Step cost %.4f exceeds budget %.4f; choose a cheaper model, or raise the step's budget", [input.estimated_cost, input.step_budget])
}
