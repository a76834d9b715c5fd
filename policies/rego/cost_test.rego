package maestro.cost_test

import data.maestro.cost

test_a_step_within_its_budget_may_run if {
	count(cost.violation) == 0 with input as {"estimated_cost": 0.25, "step_budget": 0.25}
}

test_a_step_above_its_budget_may_not if {
	some reason in cost.violation with input as {"estimated_cost": 0.5, "step_budget": 0.25}
	startswith(reason, "Step cost 0.5000 exceeds budget 0.2500")
}

test_a_budget_of_nothing_permits_nothing if {
	count(cost.violation) == 1 with input as {"estimated_cost": 0.0001, "step_budget": 0}
}

test_a_step_without_a_budget_has_no_bound if {
	count(cost.violation) == 0 with input as {"estimated_cost": 1000}
}
