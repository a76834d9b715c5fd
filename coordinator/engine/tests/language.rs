//! The language as its users meet it: inputs, references, keys, what is hostile.

#[cfg(test)]
mod specification {
    use std::collections::BTreeMap;

    use maestro_engine::expression::{
        self, Item, ItemList, Scope, Status, StepOutputs, StepResult,
    };
    use maestro_engine::pipeline::{Code, Diagnostics};
    use maestro_engine::plan::answer::{Known, answers};
    use maestro_engine::plan::sources::{MemoryFiles, Sources};
    use maestro_engine::plan::{CheckedPlan, Compiled, Request, UNKNOWN_DURATIONS, check, compile};
    use maestro_schemas::action::{ActionInfo, Effect};
    use maestro_schemas::api::plans::{Catalogue, PlanAnswer};
    use maestro_schemas::id::RunId;
    use maestro_schemas::name::ProjectName;
    use maestro_schemas::plan::Plan;
    use maestro_schemas::step::StepState;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn with(
        text: &str,
        inputs: Value,
        files: &MemoryFiles,
        catalogue: &Catalogue,
    ) -> Result<Compiled, Diagnostics> {
        let inputs: BTreeMap<String, Value> = serde_json::from_value(inputs).expect("an object");
        let tree = files.tree();
        let sources = Sources { files, tree: Some(&tree), git: None };
        let durations = &UNKNOWN_DURATIONS;
        compile(Request {
            file: "maestro.yaml",
            text,
            inputs: &inputs,
            sources,
            catalogue,
            durations,
        })
    }

    fn plan(text: &str) -> Plan {
        match with(text, json!({}), &MemoryFiles::default(), &Catalogue::default()) {
            Ok(compiled) => compiled.plan,
            Err(diagnostics) => panic!("{diagnostics}"),
        }
    }

    fn codes(text: &str, inputs: Value) -> Vec<Code> {
        match with(text, inputs, &MemoryFiles::default(), &Catalogue::default()) {
            Ok(_) => Vec::new(),
            Err(diagnostics) => diagnostics.0.into_iter().map(|one| one.code).collect(),
        }
    }

    fn steps(text: &str) -> String {
        format!("name: x\nstages:\n  - name: a\n    steps:\n{text}")
    }

    fn needs(plan: &Plan) -> Vec<(&str, Vec<&str>)> {
        let id = |index: &u32| plan.nodes[*index as usize].id.as_str();
        plan.nodes
            .iter()
            .map(|node| (node.id.as_str(), node.needs.iter().map(id).collect()))
            .collect()
    }

    #[test]
    fn stages_follow_one_another_and_needs_replace_the_order() {
        let plan = plan(
        "name: x
stages:
  - {name: a, steps: [{run: shell, name: one}, {run: shell, name: two}]}
  - {name: b, parallel: [{run: shell, name: one}, {run: shell, name: free, needs: []}]}
  - {name: c, needs: [], steps: [{run: shell}, {run: shell, needs: a}, {run: shell, needs: [b/free]}]}
",
    );
        assert_eq!(
            needs(&plan),
            [
                ("a/one", vec![]),
                ("a/two", vec!["a/one"]),
                ("b/one", vec!["a/two"]),
                ("b/free", vec![]),
                ("c/shell", vec![]),
                ("c/shell-2", vec!["a/two"]),
                ("c/shell-3", vec!["b/free"]),
            ]
        );
    }

    #[test]
    fn what_a_step_reads_it_needs_wherever_it_stands() {
        let plan = plan(&steps(
            "      - parallel:
          - {run: shell, name: reader, with: {x: '{{ steps.source.outputs.x }}'}}
          - {run: shell, name: source}
",
        ));
        assert_eq!(needs(&plan), [("a/source", vec![]), ("a/reader", vec!["a/source"])]);
        assert!(
            plan.nodes[1].templated && plan.nodes[1].reads == [0] && plan.nodes[1].key.is_none()
        );
    }

    #[test]
    fn inputs_are_read_as_their_types_and_keep_them() {
        let text = "name: x
inputs: {count: {type: integer}, on: {type: boolean, default: true}, list: {type: list, default: []}}
stages: [{name: a, steps: [{run: shell, with: {n: '{{ inputs.count }}', t: 'n={{ inputs.count }}', l: '{{ inputs.list }}', on: '{{ inputs.on }}'}}]}]
";
        let compiled =
            with(text, json!({"count": "3"}), &MemoryFiles::default(), &Catalogue::default())
                .expect("compiles");
        assert_eq!(compiled.plan.nodes[0].with, json!({"n": 3, "t": "n=3", "l": [], "on": true}));
        assert_eq!(codes(text, json!({"count": "many"})), [Code::WrongInput]);
        assert_eq!(codes(text, json!({"coutn": 3})), [Code::UnknownInput]);
    }

    #[test]
    fn what_an_input_holds_is_never_an_expression() {
        let text = "name: x
inputs: {title: {}}
stages: [{name: a, steps: [{run: shell, name: s}, {run: shell, with: {t: '{{ inputs.title }}', u: '{{ steps.s.outputs.u }}'}}]}]
";
        let hostile = json!({"title": "{{ steps.s.outputs.secret }}"});
        let compiled =
            with(text, hostile, &MemoryFiles::default(), &Catalogue::default()).expect("compiles");
        let plan = CheckedPlan::check(compiled.plan).expect("sound");
        let (project, outputs) = (project(), BTreeMap::from([("u".to_owned(), json!([1, 2]))]));
        let scope = scope(&project, BTreeMap::from([(0, result(&outputs))]), None);
        let resolved = expression::resolve(&plan, 1, &scope).expect("resolves");
        assert_eq!(*resolved.with, json!({"t": "{{ steps.s.outputs.secret }}", "u": [1, 2]}));
    }

    fn project() -> ProjectName {
        "local".parse().expect("a name")
    }

    fn result(outputs: &BTreeMap<String, Value>) -> StepResult<'_> {
        StepResult { state: StepState::Succeeded, outputs: StepOutputs::One(outputs) }
    }

    fn scope<'a>(
        project: &'a ProjectName,
        steps: BTreeMap<u32, StepResult<'a>>,
        item: Option<Item<'a>>,
    ) -> Scope<'a> {
        Scope { run: RunId::generate(), project, steps, item }
    }

    #[test]
    fn secrets_are_names_and_join_the_key_by_name_alone() {
        let with = |secrets: &str| {
            plan(&steps(&format!("      - {{run: shell, effect: pure, secrets: {{{secrets}}}}}\n")))
        };
        let bare = with("A: token, B: {secret: deploy-key@3, file: true}");
        assert_eq!(
            json!(bare.nodes[0].secrets),
            json!({
                "A": { "secret": { "name": "token" } },
                "B": { "secret": { "name": "deploy-key", "version": 3 }, "file": true }
            })
        );
        let key = |plan: &Plan| plan.nodes[0].key.as_ref().map(|key| key.digest);
        assert!(key(&bare).is_some());
        assert_eq!(key(&with("A: token")), key(&with("A: token")));
        assert_ne!(key(&with("A: token")), key(&with("A: token@1")));
        assert_ne!(key(&with("A: token")), key(&with("B: token")));
        assert_ne!(
            key(&with("A: token")),
            key(&plan(&steps("      - {run: shell, effect: pure}\n")))
        );
    }

    #[test]
    fn what_names_no_secret_or_no_variable_of_its_own_is_refused() {
        for secrets in [
            "secrets: {A: 'To ken'}",
            "secrets: {A: token@0}",
            "secrets: {A: '{{ inputs.x }}'}",
            "secrets: {a-b: token}",
            "secrets: {MAESTRO_RUN: token}",
            "secrets: {A: token}, env: {A: x}",
        ] {
            let text = steps(&format!("      - {{run: shell, {secrets}}}\n"));
            assert_eq!(codes(&text, json!({})), [Code::InvalidValue], "{secrets}");
        }
        let many: Vec<String> = (0..33).map(|number| format!("A{number}: token")).collect();
        let text = steps(&format!("      - {{run: shell, secrets: {{{}}}}}\n", many.join(", ")));
        assert_eq!(codes(&text, json!({})), [Code::InvalidValue]);
    }

    #[test]
    fn a_run_resolves_items_conditions_and_outputs() {
        let plan = CheckedPlan::check(plan(
        "name: x
stages:
  - name: a
    steps:
      - {run: shell, name: list}
      - run: shell
        name: each
        for_each: '{{ steps.list.outputs.files }}'
        if: steps.list.outputs.files | length > 1
        with: {file: '{{ item.name }}', at: '{{ index }}'}
        env: {WHERE: '{{ project }}'}
      - {run: shell, name: late, if: failure()}
      - run: shell
        name: cross
        matrix: {os: '{{ steps.list.outputs.files }}', v: [1, 2]}
        with: {v: '{{ matrix.v }}'}
outputs: {all: '{{ steps.each.outputs | map(attribute=\"size\") | sum }}', none: '{{ steps.late.outputs.x }}'}
",
    ))
    .expect("sound");
        let project = project();
        let files = json!([{"name": "a"}, {"name": "b"}]);
        let listed = BTreeMap::from([("files".to_owned(), files.clone())]);
        let read = BTreeMap::from([(0, result(&listed))]);
        let all = scope(&project, read.clone(), None);
        assert!(expression::condition(&plan, 1, &all, Status::default()).expect("a condition"));
        assert!(!expression::condition(&plan, 2, &all, Status::default()).expect("a condition"));
        let failed = Status { failure: true, cancelled: false };
        assert!(expression::condition(&plan, 2, &all, failed).expect("a condition"));
        let Some(ItemList::List(items)) = expression::items(&plan, 1, &all).expect("items") else {
            panic!("a list was expected");
        };
        assert_eq!(json!(*items), files);
        assert_eq!(
            expression::items(&plan, 3, &all).expect("items").map(|items| items.count()),
            Some(4)
        );
        let one = scope(&project, read, Some(Item { index: 1, value: &items[1] }));
        let resolved = expression::resolve(&plan, 1, &one).expect("resolves");
        assert_eq!(*resolved.with, json!({"file": "b", "at": 1}));
        assert_eq!(resolved.env.get("WHERE").map(String::as_str), Some("local"));
        let sizes = [
            BTreeMap::from([("size".to_owned(), json!(2))]),
            BTreeMap::from([("size".to_owned(), json!(3))]),
        ];
        let each = StepResult { state: StepState::Succeeded, outputs: StepOutputs::Items(&sizes) };
        let ended = scope(&project, BTreeMap::from([(1, each)]), None);
        assert_eq!(json!(expression::outputs(&plan, &ended)), json!({"all": 5}));
    }

    #[test]
    fn a_file_or_a_repository_that_is_missing_is_listed_and_cannot_be_run() {
        let plan = plan(&steps(
            "      - run: build.app\n        with: {key: '{{ git.sha }}-{{ package.json.hash }}'}\n",
        ));
        let missing: Vec<(&str, &str)> = plan
            .unresolved
            .iter()
            .filter(|thing| thing.kind != "action")
            .map(|thing| (thing.kind.as_str(), thing.name.as_str()))
            .collect();
        assert_eq!(missing, [("git", "git.sha"), ("file", "package.json")]);
        assert!(plan.nodes[0].key.is_none());
        assert!(matches!(CheckedPlan::check(plan), Err(check::Error::Unresolved { .. })));
    }

    #[test]
    fn the_longest_existing_path_wins() {
        let text =
            steps("      - {run: shell, with: {a: '{{ a-b.c.hash }}', b: '{{ dir/x.hash }}'}}\n");
        let files = MemoryFiles::new([("a-b.c", "1"), ("b.c", "2"), ("dir/x", "3")]);
        let compiled = with(&text, json!({}), &files, &Catalogue::default()).expect("compiles");
        let hex = |text: &str| maestro_schemas::digest::Digest::of(text.as_bytes()).to_hex();
        assert_eq!(compiled.plan.nodes[0].with, json!({"a": hex("1"), "b": hex("3")}));
    }

    const PURE: &str = "name: x
stages:
  - name: a
    parallel:
      - {run: shell, name: ts, effect: pure, inputs: 'src/*.ts'}
      - {run: shell, name: md, effect: pure, inputs: '*.md'}
";

    #[test]
    fn a_changed_file_changes_the_key_of_who_sees_it_and_is_named() {
        let compiled = |source: &str| {
            let files = MemoryFiles::new([("src/app.ts", source), ("readme.md", "x")]);
            with(PURE, json!({}), &files, &Catalogue::default()).expect("compiles")
        };
        let (before, after) = (compiled("1").plan, compiled("2").plan);
        assert_ne!(before.nodes[0].key, after.nodes[0].key);
        assert_eq!(before.nodes[1].key, after.nodes[1].key);
        let kept = before.nodes[1].key.clone().expect("a key");
        let nearest = |id: &str| {
            let node = before.nodes.iter().find(|node| node.id == id)?;
            node.key.as_ref().map(|key| key.parts.clone())
        };
        let known =
            Known { result: &|key| *key == kept.digest, nearest: &nearest, seen: &|_| None };
        let found = answers(&after, &known);
        assert_eq!(found[0].answer, PlanAnswer::Runs);
        assert_eq!(found[0].changed, ["file:src/app.ts"]);
        assert_eq!(found[0].why, "src/app.ts changed");
        assert_eq!(found[1].answer, PlanAnswer::Cached);
    }

    #[test]
    fn every_tree_that_a_plan_names_is_handed_over() {
        let files = MemoryFiles::new([("src/app.ts", "1"), ("readme.md", "x")]);
        let compiled = with(PURE, json!({}), &files, &Catalogue::default()).expect("compiles");
        assert_eq!(compiled.trees.len(), 2);
        assert!(compiled.trees.values().all(|tree| tree.entries.len() == 1));
    }

    #[test]
    fn parameters_are_held_to_the_actions_schema_with_places() {
        let shell = ActionInfo {
            name: "shell".into(),
            version: "1".into(),
            pool: "build".parse().expect("a name"),
            summary: "runs a script".into(),
            effect: Effect::Idempotent,
            with_schema: json!({"type": "object", "required": ["script"], "additionalProperties": false,
            "properties": {"script": {"type": "string"}, "count": {"type": "integer"}}}),
        };
        let catalogue = Catalogue { actions: BTreeMap::from([("shell".to_owned(), shell)]) };
        let text = steps(
            "      - run: shell\n        with:\n          scirpt: x\n          count: '{{ 1 + 1 }}'\n",
        );
        let found =
            with(&text, json!({}), &MemoryFiles::default(), &catalogue).expect_err("faults").0;
        let places: Vec<(Code, u32)> = found.iter().map(|one| (one.code, one.line)).collect();
        assert_eq!(places, [(Code::Parameters, 7), (Code::Parameters, 7)]);
        assert!(found.iter().any(|one| one.hint.as_deref() == Some("did you mean \"script\"?")));
    }

    #[test]
    fn a_strict_step_has_a_pool_of_its_own_and_no_network_but_what_it_lists() {
        use maestro_schemas::sandbox::{Isolation, Network};
        let text = steps(
            "      - run: shell\n      - run: shell\n        isolation: strict\n      \
             - run: shell\n        isolation: strict\n        network: [a.example, 'b.example:8443']\n      \
             - run: shell\n        network: none\n      - run: shell\n        isolation: plain\n",
        );
        let plan = plan(&text);
        let found: Vec<_> = plan
            .nodes
            .iter()
            .map(|node| (node.pool.as_str(), node.isolation, node.network.clone()))
            .collect();
        let hosts = Network::Hosts(vec!["a.example".into(), "b.example:8443".into()]);
        assert_eq!(
            found,
            [
                ("build", None, None),
                ("build-strict", Some(Isolation::Strict), Some(Network::NONE)),
                ("build-strict", Some(Isolation::Strict), Some(hosts)),
                ("build", Some(Isolation::Sandboxed), Some(Network::NONE)),
                ("build", Some(Isolation::Plain), None),
            ]
        );
        let keys: std::collections::BTreeSet<_> =
            plan.nodes.iter().filter_map(|node| node.key.as_ref().map(|key| key.digest)).collect();
        assert_eq!(keys.len(), 5, "what a step is kept in joins its key");
    }

    #[test]
    fn what_no_sandbox_could_hold_is_refused() {
        for step in [
            "run: shell, isolation: plain, network: none",
            "run: shell, network: [a.example]",
            "run: shell, isolation: sandboxed, network: [a.example]",
            "run: shell, isolation: strict, network: ['*.example']",
            "run: llm.ask, isolation: strict",
            "run: llm.ask, network: none",
        ] {
            let text = steps(&format!("      - {{{step}}}\n"));
            assert_eq!(codes(&text, json!({})), [Code::InvalidValue], "{step}");
        }
        let text = steps("      - {run: shell, isolation: strict, network: []}\n");
        assert_eq!(codes(&text, json!({})), [Code::WrongType], "a list names a host at least");
        let text = steps("      - {run: shell, artifacts: {sandbox: x}}\n");
        assert_eq!(codes(&text, json!({})), [Code::GraphLimit], "the worker's own artifact");
    }

    #[test]
    fn pipelines_that_use_each_other_in_a_circle_are_refused() {
        let lib = "name: l\nstages: [{name: a, steps: [{uses: ./lib.yaml}]}]\n";
        let files = MemoryFiles::new([("lib.yaml", lib)]);
        let text = steps("      - uses: ./lib.yaml\n");
        let found = with(&text, json!({}), &files, &Catalogue::default()).expect_err("a circle").0;
        assert_eq!(found.first().map(|one| one.code), Some(Code::Nesting));
    }

    #[test]
    fn a_step_with_uses_says_only_what_holds_for_all_its_steps() {
        let files = MemoryFiles::new([(
            "lib.yaml",
            "name: l\nstages: [{name: a, steps: [{run: shell}]}]\n",
        )]);
        let text = steps("      - uses: ./lib.yaml\n        timeout: 3s\n");
        let found = with(&text, json!({}), &files, &Catalogue::default()).expect_err("a fault").0;
        assert_eq!(found.first().map(|one| (one.code, one.line)), Some((Code::UnknownKey, 6)));
    }

    #[test]
    fn ids_are_unique_whatever_the_names() {
        let plan =
            plan(&steps(&"      - {run: shell}\n      - {run: shell, name: shell-2}\n".repeat(2)));
        let ids: Vec<&str> = plan.nodes.iter().map(|node| node.id.as_str()).collect();
        assert_eq!(ids, ["a/shell", "a/shell-2", "a/shell-3", "a/shell-2-2"]);
    }

    #[test]
    fn as_many_steps_as_a_plan_may_have_compile_and_one_more_is_refused() {
        let many = |count: usize| steps(&"      - {run: shell}\n".repeat(count));
        let plan = plan(&many(10_000));
        assert_eq!(plan.nodes.last().map(|node| node.id.as_str()), Some("a/shell-10000"));
        assert_eq!(codes(&many(10_001), json!({})), [Code::GraphLimit]);
    }

    #[test]
    fn two_wide_stages_are_refused_before_their_edges_fill_the_memory() {
        let wide = |name: &str| {
            let steps = "{run: shell}, ".repeat(2_000);
            format!("  - {{name: {name}, parallel: [{steps}]}}\n")
        };
        let text = format!("name: x\nstages:\n{}{}", wide("a"), wide("b"));
        assert_eq!(codes(&text, json!({})), [Code::GraphLimit]);
    }

    fn tampered(change: impl FnOnce(&mut Plan)) -> Result<CheckedPlan, check::Error> {
        let mut sound = plan(&steps(
            "      - {run: shell, name: s}\n      - {run: shell, with: {x: '{{ steps.s.outputs.x }}'}}\n",
        ));
        change(&mut sound);
        CheckedPlan::check(sound)
    }

    #[test]
    fn a_plan_from_the_network_is_trusted_only_once_every_index_and_name_is_sound() {
        assert!(tampered(|_| ()).is_ok());
        let refused = [
            tampered(|plan| plan.nodes[0].needs = vec![1]),
            tampered(|plan| plan.nodes[1].needs = vec![0, 0]),
            tampered(|plan| plan.nodes[1].reads = vec![]),
            tampered(|plan| plan.nodes[1].needs = vec![]),
            tampered(|plan| plan.nodes[1].id = "a/s".into()),
            tampered(|plan| plan.nodes[0].stage = 9),
            tampered(|plan| plan.nodes[0].timeout_ms = 0),
            tampered(|plan| plan.nodes[0].retry.factor = f64::NAN),
            tampered(|plan| plan.nodes[0].condition = Some("1 +".into())),
            tampered(|plan| plan.nodes[0].condition = Some("steps['z'].state".into())),
            tampered(|plan| plan.nodes[0].with = json!("x".repeat(70_000))),
            tampered(|plan| plan.nodes.clear()),
            tampered(|plan| plan.version = 9),
        ];
        for (index, plan) in refused.into_iter().enumerate() {
            assert!(plan.is_err(), "tampering {index} went unnoticed");
        }
    }

    #[test]
    fn every_code_has_a_page_that_says_what_to_do() {
        for code in Code::ALL {
            let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&page).unwrap_or_default();
            assert!(text.contains("## Remedy"), "{page} is missing or says no remedy");
        }
    }

    const SEED: &str = include_str!("golden/language/maestro.yaml");

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_the_compiler_panic_and_equal_texts_give_equal_plans(
            cuts in prop::collection::vec((0..SEED.len(), 0..12usize, "[-a-z:{}'\\[\\]&* \n|!.#]{0,6}"), 1..6)
        ) {
            let mut text = SEED.to_owned();
            for (at, length, new) in cuts {
                let begin = text.floor_char_boundary(at.min(text.len()));
                let end = text.ceil_char_boundary((begin + length).min(text.len()));
                text.replace_range(begin..end, &new);
            }
            let files = MemoryFiles::new([("src/app.ts", "x"), ("package.json", "{}"), ("ci/lib.yaml", include_str!("golden/language/ci/lib.yaml")), ("ci/notes.md", "x")]);
            let once = with(&text, json!({}), &files, &Catalogue::default());
            let again = with(&text, json!({}), &files, &Catalogue::default());
            prop_assert_eq!(once, again);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[-a-z0-9:{}'\"\\[\\]&*? \n\t|>!.#%@`,é€]{0,200}") {
            let _ = with(&text, json!({}), &MemoryFiles::default(), &Catalogue::default());
        }

        #[test]
        fn no_expression_makes_the_compiler_panic(expression in "[-a-z0-9.{}()'\\[\\]|+~=<> ]{0,60}") {
            let text = serde_json::to_string(&format!("{{{{ {expression} }}}}")).expect("json");
            let _ = with(&steps(&format!("      - run: shell\n        with: {{x: {text}}}\n")), json!({}), &MemoryFiles::default(), &Catalogue::default());
        }
    }
}
