//! What a plan says of random pipelines after random edits, held against the engine's own runs.

#[cfg(test)]
mod specification {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::sync::Arc;

    use maestro_engine::decide::Facts;
    use maestro_engine::event::{EndedAttempt, Event};
    use maestro_engine::forecast::{Forecast, Results};
    use maestro_engine::plan::answer::{Known, answers};
    use maestro_engine::plan::sources::{MemoryFiles, Sources};
    use maestro_engine::plan::{CheckedPlan, Request, UNKNOWN_DURATIONS, compile};
    use maestro_engine::run::advance::{Next, is_reusable, known_result};
    use maestro_engine::run::graph::Graph;
    use maestro_engine::run::{Asking, NodeStatus, Run};
    use maestro_engine::shard::commit::{AttemptOutcome, RunRow};
    use maestro_engine::shard::request::KnownResult;
    use maestro_schemas::api::plans::{Catalogue, PlanAnswer, PlannedStep};
    use maestro_schemas::artifact::Artifact;
    use maestro_schemas::digest::Digest;
    use maestro_schemas::id::RunId;
    use maestro_schemas::outcome::Outputs;
    use maestro_schemas::report::Usage;
    use maestro_schemas::step::{AttemptToken, StepAddress, StepState};
    use serde_json::json;
    use uuid::Uuid;

    const FACTS: Facts = Facts { now_ms: 1, epoch: 1 };
    const PIPELINES: u64 = 150;
    const EDITS: u32 = 8;
    const DIRECTORIES: u64 = 3;

    /// Numbers that a seed determines (splitmix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % end
        }

        fn chance(&mut self, percent: u64) -> bool {
            self.below(100) < percent
        }
    }

    /// A step as an author would write it, with the numbers that edits change.
    struct Step {
        pure: bool,
        reads: Option<u64>,
        takes: Option<u64>,
        sees: u64,
        fans_out: u64,
        condition: Option<u64>,
        script: u64,
        variable: u64,
        salt: u64,
    }

    struct Author {
        dice: Dice,
        steps: Vec<Step>,
        files: BTreeMap<String, Vec<u8>>,
    }

    impl Author {
        fn new(seed: u64) -> Self {
            let mut dice = Dice(seed);
            let count = 2 + dice.below(7);
            let mut steps: Vec<Step> = Vec::new();
            for index in 0..count {
                let earlier = |dice: &mut Dice, percent| {
                    (index > 0 && dice.chance(percent)).then(|| dice.below(index))
                };
                let plain = |source: &u64| {
                    steps.get(*source as usize).is_some_and(|step| step.fans_out == 0)
                };
                let sure = |source: &u64| {
                    steps.get(*source as usize).is_some_and(|step| step.condition.is_none())
                };
                let step = Step {
                    pure: dice.chance(80),
                    reads: earlier(&mut dice, 50).filter(plain),
                    takes: earlier(&mut dice, 30).filter(plain).filter(sure),
                    sees: dice.below(DIRECTORIES),
                    fans_out: if dice.chance(25) { 1 + dice.below(2) } else { 0 },
                    condition: earlier(&mut dice, 20).filter(plain),
                    script: 0,
                    variable: 0,
                    salt: 0,
                };
                steps.push(step);
            }
            let file = |index| (format!("d{index}/file"), b"0".to_vec());
            Self { dice, steps, files: (0..DIRECTORIES).map(file).collect() }
        }

        /// One edit, often one that was there before.
        fn edit(&mut self) {
            let at = self.dice.below(self.steps.len() as u64) as usize;
            let value = self.dice.below(3);
            match self.dice.below(4) {
                0 => {
                    let path = format!("d{}/file", self.dice.below(DIRECTORIES));
                    self.files.insert(path, value.to_string().into_bytes());
                }
                1 => self.steps[at].script = value,
                2 => self.steps[at].variable = value,
                _ => self.steps[at].salt = value,
            }
        }

        fn text(&self) -> String {
            let mut text = "name: x\nstages:\n  - name: s\n    steps:\n".to_owned();
            for (index, step) in self.steps.iter().enumerate() {
                let effect = if step.pure { "pure" } else { "idempotent" };
                let read = step
                    .reads
                    .map(|source| format!("{{{{ steps.n{source}.outputs.n | default(0) }}}}"));
                let read = read.unwrap_or_default();
                let needs: Vec<String> = [step.reads, step.takes, step.condition]
                    .into_iter()
                    .flatten()
                    .map(|source| format!("n{source}"))
                    .collect();
                writeln!(
                    text,
                    "      - name: n{index}\n        run: shell\n        effect: {effect}"
                )
                .unwrap();
                writeln!(
                    text,
                    "        inputs: [d{}]\n        needs: [{}]",
                    step.sees,
                    needs.join(", ")
                )
                .unwrap();
                writeln!(text, "        env: {{V: 'v{}'}}", step.variable).unwrap();
                let item = if step.fans_out > 0 { "{{ item }}" } else { "" };
                writeln!(text, "        with: {{script: 'c{} {read} {item}'}}", step.script)
                    .unwrap();
                if step.pure {
                    writeln!(text, "        cache: {{salt: 's{}'}}", step.salt).unwrap();
                }
                match (step.fans_out, step.reads) {
                    (0, _) => writeln!(text, "        artifacts: {{out: out}}").unwrap(),
                    (2, Some(source)) => writeln!(
                        text,
                        "        for_each: '{{{{ range(steps.n{source}.outputs.n | default(0)) | list }}}}'"
                    )
                    .unwrap(),
                    _ => writeln!(text, "        for_each: [a, b]").unwrap(),
                }
                if let Some(source) = step.condition {
                    writeln!(text, "        if: '(steps.n{source}.outputs.n | default(0)) > 0'")
                        .unwrap();
                }
                if let Some(source) = step.takes {
                    writeln!(text, "        use: [{{from: n{source}, artifact: out, path: in}}]")
                        .unwrap();
                }
            }
            text
        }

        fn plan(&self) -> CheckedPlan {
            let files = MemoryFiles(self.files.clone());
            let tree = files.tree();
            let text = self.text();
            let compiled = compile(Request {
                file: "maestro.yaml",
                text: &text,
                inputs: &BTreeMap::new(),
                sources: Sources { files: &files, tree: Some(&tree), git: None },
                catalogue: &Catalogue::default(),
                durations: &UNKNOWN_DURATIONS,
            });
            let plan = compiled.unwrap_or_else(|faults| panic!("{faults}\n{text}")).plan;
            CheckedPlan::check(plan).expect("a compiled plan is sound")
        }
    }

    /// As the server does when a plan is stored.
    fn said(plan: &CheckedPlan, results: &Results, id: RunId) -> Vec<PlannedStep> {
        let mut forecast = Forecast::begin(plan.clone(), "p".parse().expect("a name"), id);
        while !forecast.wanted().is_empty() {
            forecast.learn(results);
        }
        let known = Known {
            result: &|key| results.contains_key(key),
            nearest: &|_| None,
            seen: &|node| forecast.seen(node).cloned(),
        };
        answers(plan, &known)
    }

    /// What a run did with a node.
    #[derive(Debug, Default, Clone, Copy, PartialEq)]
    struct Done {
        executed: u32,
        cached: u32,
        /// Of those that are cached, how many were made in the same run.
        twins: u32,
    }

    /// A run to its end, in which every step that is executed succeeds.
    struct Execution<'a> {
        run: Run,
        results: &'a mut Results,
        done: Vec<Done>,
        items: BTreeMap<u32, Vec<Outputs>>,
    }

    impl<'a> Execution<'a> {
        fn begin(plan: CheckedPlan, results: &'a mut Results, id: RunId) -> Self {
            let row = RunRow::begin(id, "p".parse().expect("a name"), &plan);
            let graph = Arc::new(Graph::of(&plan));
            let done = vec![Done::default(); plan.nodes.len()];
            Self { run: Run::begin(row, plan, graph), results, done, items: BTreeMap::new() }
        }

        fn finish(mut self) -> Vec<Done> {
            while let Some(node) = self.run.opened.pop_front() {
                self.look_at(node);
            }
            assert_eq!(self.run.unfinished, 0, "every node has ended");
            self.done
        }

        fn look_at(&mut self, node: u32) {
            match self.run.look_at(node, FACTS) {
                Next::Nothing => {}
                Next::Release => self.step(StepAddress::node(node)),
                Next::Ask(Asking::Result, key) => {
                    let found = key.and_then(|key| self.results.get(&key).cloned());
                    match found {
                        Some(known) => self.take(StepAddress::node(node), known),
                        None => self.look_at(node),
                    }
                }
                Next::Ask(Asking::ItemOutputs(source), _) => {
                    let made = self.items.get(&source).cloned().unwrap_or_default();
                    self.run.item_outputs.insert(source, Arc::new(made));
                    self.look_at(node);
                }
                Next::Decide(event) => {
                    let opened = match &event {
                        Event::FanoutOpened { count, .. } => Some(*count),
                        _ => None,
                    };
                    self.run.apply(&event, FACTS.now_ms);
                    (0..opened.unwrap_or(0)).for_each(|item| self.item(node, item));
                }
            }
        }

        fn item(&mut self, node: u32, item: u32) {
            assert!(matches!(self.run.status(node), NodeStatus::Fanout(_)));
            let step = StepAddress::item(node, item);
            let key = self.run.step_key(step).expect("a key").digest;
            let reusable = self.run.node(node).is_some_and(is_reusable);
            let known = self.results.get(&key).filter(|_| reusable).cloned();
            match known {
                Some(known) => {
                    self.items.entry(node).or_default().push(known.outputs.clone());
                    self.take(step, known);
                }
                None => self.step(step),
            }
        }

        fn take(&mut self, step: StepAddress, known: KnownResult) {
            let done = &mut self.done[step.node as usize];
            done.cached += 1;
            done.twins += u32::from(known.run == self.run.id);
            self.run.apply(&known_result(step, known, FACTS), FACTS.now_ms);
        }

        /// Executes a step: what it yields is a function of all that it is given.
        fn step(&mut self, step: StepAddress) {
            let token = AttemptToken { number: 1, epoch: 1 };
            let task = self.run.prepare(step, token).expect("a task");
            let node = self.run.node(step.node).expect("a node").clone();
            let inputs: Vec<_> = task.inputs.iter().map(|input| input.artifact.digest).collect();
            let with = String::from_utf8(task.with.clone()).expect("JSON");
            let given = json!([with, task.env, task.workspace, inputs]);
            let made = Digest::of_json(&given);
            let outputs = Outputs::from([("n".to_owned(), json!(made.as_bytes()[0] % 3))]);
            let keep = |output: &maestro_schemas::plan::OutputArtifact| Artifact {
                role: output.role.clone(),
                digest: made,
                size: 1,
                media_type: "text/plain".into(),
            };
            let artifacts: Vec<Artifact> = node.outputs.iter().map(keep).collect();
            if is_reusable(&node) {
                let key = self.run.step_key(step).expect("a key").digest;
                let (run, outputs, artifacts) = (self.run.id, outputs.clone(), artifacts.clone());
                self.results.entry(key).or_insert(KnownResult { run, outputs, artifacts });
            }
            if node.for_each.is_some() {
                self.items.entry(step.node).or_default().push(outputs.clone());
            }
            self.done[step.node as usize].executed += 1;
            let ended = EndedAttempt {
                step,
                token,
                outcome: AttemptOutcome::Succeeded,
                state: StepState::Succeeded,
                decided_at_ms: 1,
                ended_at_ms: 1,
                execution: None,
                worker: None,
                usage: Usage::default(),
                failure: None,
                outputs,
                artifacts,
            };
            self.run.apply(&Event::AttemptDecided { step, token, lapses: 0 }, FACTS.now_ms);
            self.run.apply(&Event::AttemptEnded(Box::new(ended)), FACTS.now_ms);
        }
    }

    /// Only of a fan-out's items, whose keys the answer does not have, can all turn out to be equal to
    /// steps of the same run.
    fn holds(step: &PlannedStep, done: Done) -> bool {
        match step.answer {
            PlanAnswer::Cached => done.executed == 0 && done.cached > 0,
            PlanAnswer::Runs => done.executed > 0 || (step.key.is_none() && done.twins > 0),
            PlanAnswer::Skipped => done == Done::default(),
            PlanAnswer::Depends => true,
        }
    }

    /// How many steps whose results are kept have a key that another has too, without a result: each
    /// depends.
    fn twins(plan: &CheckedPlan, said: &[PlannedStep], results: &Results) -> u32 {
        let mut by_key: BTreeMap<Digest, Vec<&PlannedStep>> = BTreeMap::new();
        for (step, node) in said.iter().zip(&plan.nodes) {
            let is_open = matches!(step.answer, PlanAnswer::Runs | PlanAnswer::Depends);
            if let Some(key) =
                step.key.filter(|key| node.cached && is_open && !results.contains_key(key))
            {
                by_key.entry(key).or_default().push(step);
            }
        }
        let twins = by_key.into_values().filter(|steps| steps.len() > 1).flatten();
        twins.map(|step| assert_eq!(step.answer, PlanAnswer::Depends, "{step:?}")).count() as u32
    }

    #[test]
    fn what_a_plan_says_of_random_pipelines_after_random_edits_is_what_their_runs_do() {
        let mut counts =
            BTreeMap::from([("cached", 0), ("runs", 0), ("skipped", 0), ("depends", 0)]);
        let (mut twins, mut told) = (0, 0);
        for seed in 0..PIPELINES {
            let mut author = Author::new(seed);
            let mut results = Results::new();
            for edit in 0..EDITS {
                if edit > 0 {
                    author.edit();
                }
                let plan = author.plan();
                let id =
                    RunId::from_uuid(Uuid::from_u128(u128::from(seed) << 32 | u128::from(edit)));
                let said = said(&plan, &results, id);
                told += self::twins(&plan, &said, &results);
                let done = Execution::begin(plan, &mut results, id).finish();
                for (step, done) in said.iter().zip(&done) {
                    twins += u32::from(step.answer == PlanAnswer::Runs && done.executed == 0);
                    assert!(
                        holds(step, *done),
                        "seed {seed}, edit {edit}: {step:?}, but {done:?}\n{}",
                        author.text()
                    );
                    let name = match step.answer {
                        PlanAnswer::Cached => "cached",
                        PlanAnswer::Runs => "runs",
                        PlanAnswer::Skipped => "skipped",
                        PlanAnswer::Depends => "depends",
                    };
                    *counts.get_mut(name).expect("a count") += 1;
                }
            }
        }
        let all: u32 = counts.values().sum();
        let depends = counts["depends"];
        eprintln!(
            "{counts:?}: {:.1} % depend; {twins} took what an equal step of their run made",
            f64::from(depends) * 100.0 / f64::from(all)
        );
        assert!(told > 0, "no two steps of a plan had one key");
        assert!(twins * 50 < all, "{twins} of {all} took what an equal step of the same run made");
        assert!(counts.values().all(|count| *count > 0), "every answer was given: {counts:?}");
        assert!(depends * 3 < all, "most answers are known: {counts:?}");
    }
}
