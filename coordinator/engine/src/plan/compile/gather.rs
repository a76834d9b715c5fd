//! Stages, groups, other pipelines and `finally`, gathered to a flat list of steps with ids.
//!
//! Nothing is evaluated here: which steps there are depends on the files alone. What order they
//! run in is noted as needs of steps and of groups (a stage, a whole pipeline) and worked out by
//! [`super::order`].

use std::collections::BTreeMap;

use maestro_schemas::pipeline::{Condition, Element, Names, Scalar, Stage, Step};
use maestro_schemas::plan::NODES_MAX;

use super::{Report, under};
use crate::pipeline::yaml::Path;
use crate::pipeline::{Code, Fault, Source};
use crate::plan::sources::Sources;

/// The longest name of a stage or step.
const NAME_BYTES_MAX: usize = 63;

/// All steps of a pipeline and of those that it uses.
pub struct Graph {
    /// The pipelines, the first one first, each before those that it uses.
    pub frames: Vec<Frame>,
    /// The steps, in the order in which they were written.
    pub drafts: Vec<Draft>,
    /// The steps of each group, by index.
    pub groups: Vec<Vec<usize>>,
    /// The first pipeline's stages.
    pub stages: Vec<String>,
}

/// One pipeline, in the place where it is used.
pub struct Frame {
    /// The pipeline.
    pub source: Source,
    /// Its directory, relative to the first pipeline's.
    pub directory: String,
    /// Who uses it; absent for the first.
    pub call: Option<Call>,
    /// Its steps by `stage/name`.
    pub ids: BTreeMap<String, Target>,
    /// The ids of its own steps, by name.
    pub named: BTreeMap<String, Vec<String>>,
    /// Its stages' groups by name.
    pub stages: BTreeMap<String, usize>,
    /// All its steps, as a group.
    pub group: usize,
    /// The last number that was put behind an id that several steps would have.
    counts: BTreeMap<String, usize>,
}

/// The step that uses a pipeline.
pub struct Call {
    /// The step, as it stands in the using pipeline.
    pub site: Site,
    /// Its id in the plan, which begins the ids of what it stands for.
    pub id: String,
    /// What it follows where it says nothing.
    pub before: Vec<Need>,
}

/// A step as its author wrote it.
#[derive(Clone)]
pub struct Site {
    /// The pipeline that it stands in.
    pub frame: usize,
    /// The stage that it stands in.
    pub stage: String,
    /// Where it stands in its file.
    pub path: Path,
    /// What is written there.
    pub step: Step,
}

/// What a step's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A step.
    Step(usize),
    /// All steps of a pipeline that is used.
    Frame(usize),
}

/// What a step follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A step.
    Step(usize),
    /// The last steps of a group.
    Group(usize),
}

/// A step on its way to a node.
pub struct Draft {
    /// Its id in the plan.
    pub id: String,
    /// The step as written.
    pub site: Site,
    /// Index of the first pipeline's stage that it belongs to.
    pub stage: u32,
    /// What it follows where it says nothing.
    pub before: Vec<Need>,
    /// Whether it belongs to the first pipeline's `finally`.
    pub finally: bool,
    /// Whether it runs whatever happened, unless it says otherwise.
    pub always: bool,
    /// Conditions, of the outermost place first, its own last.
    pub conditions: Vec<Layer<Condition>>,
    /// Environments, of the outermost place first, its own last.
    pub env: Vec<Layer<BTreeMap<String, Scalar>>>,
}

/// Something that holds for a step because of the place where it stands.
#[derive(Clone)]
pub struct Layer<T> {
    /// The pipeline that says it.
    pub frame: usize,
    /// The stage in which it is said; empty for a whole pipeline.
    pub stage: String,
    /// Where it stands in its file.
    pub path: Path,
    /// What it says.
    pub value: T,
}

/// What holds for all steps of a place.
#[derive(Clone, Default)]
pub(super) struct Place {
    frame: usize,
    stage: String,
    stage_index: Option<u32>,
    finally: bool,
    always: bool,
    conditions: Vec<Layer<Condition>>,
    env: Vec<Layer<BTreeMap<String, Scalar>>>,
    /// The files that lead here, the first pipeline's first.
    pub files: Vec<String>,
}

impl Place {
    fn add(&mut self, path: &Path, condition: Option<&Condition>, env: &BTreeMap<String, Scalar>) {
        let (frame, stage) = (self.frame, self.stage.clone());
        if let Some(condition) = condition {
            let path = path.join("if");
            self.conditions.push(Layer {
                frame,
                stage: stage.clone(),
                path,
                value: condition.clone(),
            });
        }
        if !env.is_empty() {
            self.env.push(Layer { frame, stage, path: path.join("env"), value: env.clone() });
        }
    }
}

/// Gathers the steps of a pipeline.
pub(super) fn gather(source: Source, sources: Sources<'_>, report: &mut Report) -> Graph {
    let graph =
        Graph { frames: Vec::new(), drafts: Vec::new(), groups: Vec::new(), stages: Vec::new() };
    let files = vec![source.file.clone()];
    let mut gatherer = Gatherer { graph, sources, report, open: Vec::new() };
    gatherer.frame(source, String::new(), None, Place { files, ..Place::default() });
    gatherer.graph
}

pub(super) struct Gatherer<'a> {
    pub graph: Graph,
    pub sources: Sources<'a>,
    pub report: &'a mut Report,
    /// The groups that the next step belongs to.
    open: Vec<usize>,
}

impl Gatherer<'_> {
    pub(super) fn fault(
        &mut self,
        frame: usize,
        path: &Path,
        build: impl FnOnce(crate::pipeline::Position) -> Fault,
    ) {
        if let Some(frame) = self.graph.frames.get(frame) {
            let fault = build(frame.source.at(path));
            self.report.add(&frame.source, fault);
        }
    }

    fn group(&mut self) -> usize {
        self.graph.groups.push(Vec::new());
        let group = self.graph.groups.len() - 1;
        self.open.push(group);
        group
    }

    pub(super) fn frame(
        &mut self,
        source: Source,
        directory: String,
        call: Option<Call>,
        outer: Place,
    ) -> usize {
        let frame = self.graph.frames.len();
        let group = self.group();
        let pipeline = source.pipeline.clone();
        let is_root = call.is_none();
        self.graph.frames.push(Frame {
            source,
            directory,
            call,
            ids: BTreeMap::new(),
            named: BTreeMap::new(),
            stages: BTreeMap::new(),
            group,
            counts: BTreeMap::new(),
        });
        let mut place = Place { frame, stage: String::new(), ..outer };
        place.add(&Path::default(), None, &pipeline.env);
        let body = self.group();
        self.stages(&pipeline.stages, &place);
        self.open.pop();
        if !pipeline.finally.is_empty() {
            let before = if is_root { Vec::new() } else { vec![Need::Group(body)] };
            self.finally(&pipeline.finally, before, place, is_root);
        }
        self.open.pop();
        frame
    }

    fn stages(&mut self, stages: &[Stage], outer: &Place) {
        let root = Path::default().join("stages");
        if stages.is_empty() {
            self.fault(outer.frame, &root, |at| {
                Fault::new(Code::MissingKey, at, "the pipeline has no stages")
                    .expected("at least one stage")
            });
        }
        let mut former = None;
        for (index, stage) in stages.iter().enumerate() {
            let path = root.join(index);
            self.name(outer.frame, &path.join("name"), &stage.name);
            let group = self.group();
            self.stage_name(outer.frame, &path, &stage.name, group);
            let mut place = Place { stage: stage.name.clone(), ..outer.clone() };
            place.add(&path, stage.condition.as_ref(), &stage.env);
            place.stage_index = place.stage_index.or_else(|| self.root_stage(&stage.name));
            let before = match &stage.needs {
                Some(names) => self.stage_needs(outer.frame, &path, (stage, names), stages),
                None => former.into_iter().map(Need::Group).collect(),
            };
            self.elements(stage, &path, before, &place);
            self.open.pop();
            former = Some(group);
        }
    }

    fn root_stage(&mut self, name: &str) -> Option<u32> {
        self.graph.stages.push(name.to_owned());
        u32::try_from(self.graph.stages.len() - 1).ok()
    }

    fn stage_name(&mut self, frame: usize, path: &Path, name: &str, group: usize) {
        let doubled = self
            .graph
            .frames
            .get_mut(frame)
            .is_some_and(|frame| frame.stages.insert(name.to_owned(), group).is_some());
        if doubled {
            self.fault(frame, &path.join("name"), |at| {
                Fault::new(Code::DuplicateName, at, format!("two stages are named {name:?}"))
                    .found(name)
            });
        }
    }

    /// The groups of the stages that a stage names, all of which stand before it.
    fn stage_needs(
        &mut self,
        frame: usize,
        path: &Path,
        (stage, names): (&Stage, &Names),
        stages: &[Stage],
    ) -> Vec<Need> {
        let path = &path.join("needs");
        let mut needs = Vec::new();
        for name in names.as_slice() {
            let known =
                self.graph.frames.get(frame).and_then(|frame| frame.stages.get(name).copied());
            match known {
                Some(group) if *name != stage.name => needs.push(Need::Group(group)),
                Some(_) => self.fault(frame, path, |at| {
                    Fault::new(Code::Cycle, at, format!("the stage {name:?} needs itself"))
                }),
                None => self.fault(frame, path, |at| {
                    let all = || stages.iter().map(|stage| stage.name.as_str());
                    let is_later = all().any(|stage| stage == name);
                    let fault = Fault::new(
                        Code::UnknownReference,
                        at,
                        format!("no stage before this one is named {name:?}"),
                    )
                    .found(name);
                    if is_later {
                        fault.hint(format!("write the stage {name:?} before this one"))
                    } else {
                        fault.suggest(name, all())
                    }
                }),
            }
        }
        needs
    }

    fn elements(&mut self, stage: &Stage, path: &Path, mut before: Vec<Need>, place: &Place) {
        let together = stage.parallel.as_deref().unwrap_or_default();
        let in_order = stage.steps.as_deref().unwrap_or_default();
        if together.is_empty() && in_order.is_empty() {
            self.fault(place.frame, path, |at| {
                Fault::new(Code::MissingKey, at, format!("the stage {:?} has no steps", stage.name))
                    .expected("at least one step")
            });
        }
        for (index, step) in together.iter().enumerate() {
            self.step(step, &under(path, &["parallel"]).join(index), before.clone(), place);
        }
        for (index, element) in in_order.iter().enumerate() {
            let path = path.join("steps").join(index);
            let ended: Vec<Need> = match element {
                Element::Step(step) => {
                    self.step(step, &path, before.clone(), place).into_iter().collect()
                }
                Element::Group(group) => group
                    .parallel
                    .iter()
                    .enumerate()
                    .filter_map(|(index, step)| {
                        self.step(step, &path.join("parallel").join(index), before.clone(), place)
                    })
                    .collect(),
            };
            if !ended.is_empty() {
                before = ended;
            }
        }
    }

    fn finally(&mut self, steps: &[Step], mut before: Vec<Need>, outer: Place, is_root: bool) {
        let mut place = Place { stage: "finally".into(), always: true, ..outer };
        place.finally |= is_root;
        let group = self.group();
        self.stage_name(place.frame, &Path::default().join("finally"), "finally", group);
        place.stage_index = place.stage_index.or_else(|| self.root_stage("finally"));
        for (index, step) in steps.iter().enumerate() {
            let path = Path::default().join("finally").join(index);
            if let Some(need) = self.step(step, &path, before.clone(), &place) {
                before = vec![need];
            }
        }
        self.open.pop();
    }

    fn step(&mut self, step: &Step, path: &Path, before: Vec<Need>, place: &Place) -> Option<Need> {
        if self.graph.drafts.len() >= NODES_MAX {
            self.fault(place.frame, path, |at| {
                Fault::new(Code::GraphLimit, at, "the pipeline has too many steps")
                    .expected(format!("at most {NODES_MAX}"))
                    .hint("a step with for_each counts once, however many items it has")
            });
            return None;
        }
        let site = Site {
            frame: place.frame,
            stage: place.stage.clone(),
            path: path.clone(),
            step: step.clone(),
        };
        let local = self.local_id(&site)?;
        let id = match self.graph.frames.get(place.frame).and_then(|frame| frame.call.as_ref()) {
            Some(call) => format!("{}/{local}", call.id),
            None => local.clone(),
        };
        let mut place = place.clone();
        place.add(path, step.condition.as_ref(), &step.env);
        let (target, need) = match &step.uses {
            Some(file) => {
                let frame = self.used(file, Call { site, id, before }, place.clone())?;
                (Target::Frame(frame), Need::Group(self.graph.frames.get(frame)?.group))
            }
            None => {
                let step = self.draft(Draft {
                    id,
                    site,
                    stage: place.stage_index.unwrap_or_default(),
                    before,
                    finally: place.finally,
                    always: place.always,
                    conditions: place.conditions,
                    env: place.env,
                });
                (Target::Step(step), Need::Step(step))
            }
        };
        let frame = self.graph.frames.get_mut(place.frame)?;
        let name = local.split_once('/').map_or(local.as_str(), |(_, name)| name);
        frame.named.entry(name.to_owned()).or_default().push(local.clone());
        frame.ids.insert(local, target);
        Some(need)
    }

    fn draft(&mut self, draft: Draft) -> usize {
        let index = self.graph.drafts.len();
        self.graph.drafts.push(draft);
        for group in &self.open {
            if let Some(members) = self.graph.groups.get_mut(*group) {
                members.push(index);
            }
        }
        self.name_outward(index);
        index
    }

    /// Makes a step of a used pipeline known to those that use it, as `stage/name/stage/name`.
    fn name_outward(&mut self, index: usize) {
        let Some(draft) = self.graph.drafts.get(index) else { return };
        let id = draft.id.clone();
        let mut next =
            self.graph.frames.get(draft.site.frame).and_then(|frame| frame.call.as_ref());
        let mut outer = Vec::new();
        while let Some(call) = next {
            let frame = self.graph.frames.get(call.site.frame);
            next = frame.and_then(|frame| frame.call.as_ref());
            let prefix = next.map(|call| format!("{}/", call.id)).unwrap_or_default();
            outer.push((call.site.frame, id.strip_prefix(&prefix).unwrap_or(&id).to_owned()));
        }
        for (frame, id) in outer {
            if let Some(frame) = self.graph.frames.get_mut(frame) {
                frame.ids.insert(id, Target::Step(index));
            }
        }
    }

    /// `stage/name`, with `-2` behind it for a second one.
    fn local_id(&mut self, site: &Site) -> Option<String> {
        let step = &site.step;
        let (name, key) = match (&step.name, &step.run, &step.uses) {
            (Some(name), _, _) => (name.as_str(), "name"),
            (None, Some(run), _) => (run.rsplit('.').next().unwrap_or(run), "run"),
            (None, None, Some(uses)) => (file_stem(uses), "uses"),
            (None, None, None) => return None,
        };
        if key != "run" {
            self.name(site.frame, &site.path.join(key), name);
        }
        let frame = self.graph.frames.get_mut(site.frame)?;
        let first = format!("{}/{name}", site.stage);
        let mut id = first.clone();
        let count = frame.counts.entry(first.clone()).or_insert(0);
        if *count > 1 {
            id = format!("{first}-{count}");
        }
        while frame.ids.contains_key(&id) {
            *count = (*count).max(1) + 1;
            id = format!("{first}-{count}");
        }
        Some(id)
    }

    fn name(&mut self, frame: usize, path: &Path, name: &str) {
        let allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(allowed) {
            self.fault(frame, path, |at| {
                Fault::new(Code::InvalidValue, at, "this is no name")
                    .found(name)
                    .expected(format!("1 to {NAME_BYTES_MAX} letters, digits, '-' and '_'"))
            });
        }
    }
}

fn file_stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}
