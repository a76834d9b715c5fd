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

test_a_budget_permits_no_model_whose_price_is_not_known if {
	some reason in cost.violation with input as {"model": "own", "step_budget": 0.25}
	startswith(reason, "no price of own is known")
}

test_without_a_budget_a_price_need_not_be_known if {
	count(cost.violation) == 0 with input as {"model": "own"}
}
