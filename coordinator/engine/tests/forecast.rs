//! What a plan says of steps whose keys only a run can know.

#[cfg(test)]
mod specification {
    use std::collections::BTreeMap;

    use maestro_engine::forecast::{Forecast, ITEMS_MAX};
    use maestro_engine::plan::answer::{Known, answers};
    use maestro_engine::plan::sources::{MemoryFiles, Sources};
    use maestro_engine::plan::{CheckedPlan, Request, UNKNOWN_DURATIONS, compile};
    use maestro_engine::shard::request::KnownResult;
    use maestro_schemas::api::plans::{Catalogue, PlanAnswer, PlannedStep};
    use maestro_schemas::digest::Digest;
    use maestro_schemas::id::RunId;
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn plan(text: &str) -> CheckedPlan {
        let files = MemoryFiles::default();
        let tree = files.tree();
        let compiled = compile(Request {
            file: "maestro.yaml",
            text,
            inputs: &BTreeMap::new(),
            sources: Sources { files: &files, tree: Some(&tree), git: None },
            catalogue: &Catalogue::default(),
            durations: &UNKNOWN_DURATIONS,
        });
        let plan = compiled.unwrap_or_else(|faults| panic!("{faults}")).plan;
        CheckedPlan::check(plan).expect("a compiled plan is sound")
    }

    fn begin(plan: &CheckedPlan) -> Forecast {
        let id = RunId::from_uuid(Uuid::from_u128(7));
        Forecast::begin(plan.clone(), "p".parse().expect("a name"), id)
    }

    fn result(outputs: Value) -> KnownResult {
        KnownResult {
            run: RunId::from_uuid(Uuid::from_u128(1)),
            outputs: serde_json::from_value(outputs).expect("an object"),
            artifacts: Vec::new(),
        }
    }

    /// Answers every wanted key of the first rounds, in turn, and none after them.
    fn play(plan: &CheckedPlan, rounds: Vec<Value>) -> Vec<PlannedStep> {
        let mut forecast = begin(plan);
        for outputs in rounds {
            let wanted: Vec<Digest> = forecast.wanted();
            assert!(!wanted.is_empty(), "nothing is left to be asked");
            forecast.learn(&wanted.into_iter().map(|key| (key, result(outputs.clone()))).collect());
        }
        while !forecast.wanted().is_empty() {
            forecast.learn(&BTreeMap::new());
        }
        let seen = |node| forecast.seen(node).cloned();
        answers(plan, &Known { seen: &seen, ..Known::NOTHING })
    }

    fn said(steps: &[PlannedStep]) -> Vec<(&str, PlanAnswer)> {
        steps.iter().map(|step| (step.id.as_str(), step.answer)).collect()
    }

    const CHAIN: &str = "
name: x
stages:
  - name: s
    steps:
      - {run: shell, name: make, effect: pure}
      - {run: shell, name: use, effect: pure, with: {script: '{{ steps.make.outputs.n }}'}}
      - {run: shell, name: then, if: 'steps.make.outputs.n > 1'}
      - {run: shell, name: else, if: 'steps.make.outputs.n < 1'}
";

    #[test]
    fn what_reads_a_cached_step_has_a_key_and_a_condition_already() {
        let plan = plan(CHAIN);
        let found = play(&plan, vec![json!({"n": 2}), json!({"m": 1})]);
        assert_eq!(
            said(&found),
            [
                ("s/make", PlanAnswer::Cached),
                ("s/use", PlanAnswer::Cached),
                ("s/then", PlanAnswer::Runs),
                // It waits for one that is executed.
                ("s/else", PlanAnswer::Depends),
            ]
        );
        assert!(found[1].key.is_some());
    }

    #[test]
    fn what_reads_a_step_that_runs_depends_on_it() {
        let found = play(&plan(CHAIN), Vec::new());
        assert_eq!(found[0].answer, PlanAnswer::Runs);
        assert_eq!(found[1].answer, PlanAnswer::Depends);
        assert_eq!(found[1].why, "its key needs what s/make yields");
    }

    fn fan_out(items: &str) -> CheckedPlan {
        plan(&format!(
            "
name: x
stages:
  - name: s
    steps:
      - {{run: shell, name: each, effect: pure, for_each: {items}, with: {{script: '{{{{ item }}}}'}}}}
      - {{run: shell, name: sum, effect: pure, with: {{script: '{{{{ steps.each.outputs }}}}'}}}}
"
        ))
    }

    #[test]
    fn a_fan_out_is_cached_where_all_of_its_items_are_and_its_reader_follows() {
        let found = play(&fan_out("[a, b, c]"), vec![json!({"n": 1}), json!({})]);
        assert_eq!(said(&found), [("s/each", PlanAnswer::Cached), ("s/sum", PlanAnswer::Cached)]);
    }

    #[test]
    fn a_fan_out_says_how_many_of_its_items_have_a_result() {
        let plan = fan_out("[a, b, c]");
        let mut forecast = begin(&plan);
        let wanted = forecast.wanted();
        assert_eq!(wanted.len(), 3, "each item has a key of its own");
        forecast.learn(&[(wanted[0], result(json!({})))].into());
        assert!(forecast.wanted().is_empty());
        let seen = |node| forecast.seen(node).cloned();
        let found = answers(&plan, &Known { seen: &seen, ..Known::NOTHING });
        assert_eq!(found[0].answer, PlanAnswer::Runs);
        assert_eq!(found[0].why, "1 of its 3 items have a result");
        assert_eq!(found[1].answer, PlanAnswer::Depends);
    }

    #[test]
    fn a_fan_out_with_more_items_than_are_looked_up_depends() {
        let found = play(&fan_out(&(ITEMS_MAX + 1).to_string()), Vec::new());
        assert_eq!(found[0].answer, PlanAnswer::Depends);
    }
}
