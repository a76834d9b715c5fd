//! What is attached to an image, and what of it counts.

use super::*;
use crate::statement::summary::{
    MANIFEST_URI, PASSED, POLICIES_URI, PROMOTION_PREFIX, SLSA_VERSION, STATEMENT_URI, Summary,
    VERIFIER, Verifier,
};
use crate::verify::image::{Attached, BUNDLES_MAX, image, newest_list, roots};

const IMAGE: &[u8] = b"an image";

impl Case {
    fn keys(&self) -> Vec<u8> {
        std::fs::read(self.directory.path().join(file::KEYS)).unwrap()
    }

    fn attached(&self, step: &str) -> Attached {
        let path = self.directory.path().join(format!("statements/{step}.1.sigstore.json"));
        Attached { name: step.into(), bytes: std::fs::read(path).unwrap() }
    }

    fn both(&self) -> Vec<Attached> {
        vec![self.attached("build/compile"), self.attached("build/pack")]
    }

    fn ask(&self, attached: &[Attached], expect: Expectation) -> Finding {
        let question = Question { root: Some(self.root), expect, ..Question::default() };
        image(Digest::of(IMAGE), &self.keys(), attached, &question)
    }

    /// That the image may go to `prod`, by whoever read these statements.
    async fn promoted(&self, read: &[Attached]) -> Attached {
        let of = |uri: &str, digest| Descriptor {
            uri: uri.into(),
            digest: Digests::sha256(digest),
            ..Descriptor::default()
        };
        let mut inputs = vec![of(MANIFEST_URI, Digest::of(b"a manifest"))];
        inputs.extend(read.iter().map(|one| of(STATEMENT_URI, Digest::of(&one.bytes))));
        let summary = Summary {
            verifier: Verifier { id: VERIFIER.into() },
            time_verified: Moment::now(),
            resource_uri: format!("{PROMOTION_PREFIX}prod"),
            policy: of(POLICIES_URI, Digest::of(b"policies")),
            input_attestations: inputs,
            verification_result: PASSED.into(),
            verified_levels: Vec::new(),
            slsa_version: SLSA_VERSION.into(),
        };
        let subject = Subject { name: "image".into(), digest: Digests::sha256(Digest::of(IMAGE)) };
        let bytes = Statement::of(vec![subject], summary).sign(self.key.as_ref()).await.unwrap();
        Attached { name: "promotion".into(), bytes }
    }

    /// Of another project: a step that has the image's manifest as a file.
    async fn strange(&mut self) -> Attached {
        let ours = std::mem::replace(&mut self.project, "other");
        let made = ("image", Digest::of(IMAGE));
        self.state_by("shell@1", ("build/strange", 2), made, Vec::new()).await;
        self.project = ours;
        self.attached("build/strange")
    }
}

fn to_prod() -> Expectation {
    Expectation { promoted: BTreeSet::from(["prod".into()]), ..Expectation::default() }
}

fn said(finding: &Finding) -> String {
    let each = finding.failures.iter();
    each.map(|one| format!("{} {} {}\n", one.code, one.file, one.what)).collect()
}

#[tokio::test]
async fn an_image_is_verified_back_to_its_source_by_what_is_attached() {
    let case = Case::new().await;
    let expect = Expectation {
        project: Some("demo".into()),
        pipeline: Some("app".into()),
        branch: Some("main".into()),
        ..Expectation::default()
    };
    let finding = case.ask(&case.both(), expect);
    assert_eq!(finding.failures, []);
    assert!(finding.verified && finding.root_is_known && finding.key.is_some());
    assert_eq!(finding.image, Some(Digest::of(IMAGE)));
    assert_eq!(finding.keys_made_on, Some(case.home.trust().unwrap().ring().made_at));
    let by = &finding.chain[0];
    assert_eq!((by.project.as_str(), by.pipeline.as_str()), ("demo", "app"));
    let made: Vec<&str> = finding.chain.iter().map(|link| link.made.as_str()).collect();
    assert_eq!(made, ["build/pack#image", "build/compile#dist"]);
}

#[tokio::test]
async fn an_image_with_nothing_attached_or_a_link_missing_is_not_verified() {
    let case = Case::new().await;
    let finding = case.ask(&[], Expectation::default());
    assert_eq!((finding.verified, first(&finding).0), (false, BROKEN));
    let finding = case.ask(&[case.attached("build/pack")], Expectation::default());
    assert_eq!((finding.verified, first(&finding).0), (false, BROKEN));
    let finding = case.ask(&[case.attached("build/compile")], Expectation::default());
    assert_eq!((finding.verified, first(&finding).0), (false, BROKEN));
}

#[tokio::test]
async fn a_bit_flipped_in_what_is_attached_is_found() {
    let case = Case::new().await;
    for index in 0..2 {
        let mut attached = case.both();
        for at in (0..attached[index].bytes.len()).step_by(7) {
            attached[index].bytes[at] ^= 1 << (at % 8);
            let finding = case.ask(&attached, Expectation::default());
            assert!(!finding.verified, "byte {at} of {} can be changed", attached[index].name);
            attached[index].bytes[at] ^= 1 << (at % 8);
        }
    }
}

#[tokio::test]
async fn what_others_attach_is_passed_over() {
    let mut case = Case::new().await;
    let ours = case.both();
    case.key = Arc::new(LocalKey::generate().unwrap());
    let made = Digest::of(b"an image");
    case.state("build/pack", 1, ("image", made), Vec::new()).await;
    let strange = case.attached("build/pack");
    let noise = Attached { name: "noise".into(), bytes: b"{}".to_vec() };
    let all = [&[noise.clone(), strange.clone()], ours.as_slice()].concat();
    let finding = case.ask(&all, Expectation::default());
    assert_eq!((finding.failures.as_slice(), finding.chain.len()), (&[][..], 2));
    assert!(!case.ask(&[noise, strange], Expectation::default()).verified);
}

#[tokio::test]
async fn a_step_that_has_an_images_manifest_as_a_file_did_not_build_it() {
    let mut case = Case::new().await;
    let strange = case.strange().await;
    let finding = case.ask(std::slice::from_ref(&strange), Expectation::default());
    assert_eq!((finding.verified, first(&finding).0), (false, BROKEN));
    assert!(said(&finding).contains("no statement here says that container.build@ made"));
    assert_eq!(finding.key, None);
    let finding = case.ask(&[case.both(), vec![strange]].concat(), Expectation::default());
    assert_eq!(finding.failures, []);
    let projects: BTreeSet<&str> = finding.chain.iter().map(|link| link.project.as_str()).collect();
    assert_eq!(projects, BTreeSet::from(["demo", "other"]), "whoever states it is told");

    let action = "container.builder@1";
    case.state_by(action, ("build/pack", 1), ("image", Digest::of(IMAGE)), Vec::new()).await;
    assert!(!case.ask(&[case.attached("build/pack")], Expectation::default()).verified);
    let log = ("log", Digest::of(IMAGE));
    case.state_by("container.build@1", ("build/pack", 1), log, Vec::new()).await;
    assert!(!case.ask(&[case.attached("build/pack")], Expectation::default()).verified);
}

#[tokio::test]
async fn a_summary_counts_where_it_was_signed_over_how_the_image_was_built() {
    let mut case = Case::new().await;
    let both = case.both();
    let good = case.promoted(&both).await;
    let finding = case.ask(&[both.clone(), vec![good]].concat(), to_prod());
    assert_eq!(finding.failures, []);
    assert_eq!(finding.promotions.len(), 1);
    assert_eq!(finding.promotions[0].environment, "prod");

    let strange = case.strange().await;
    let foreign = case.promoted(std::slice::from_ref(&strange)).await;
    let source = case.promoted(&both[..1]).await;
    for attached in [
        [both.clone(), vec![foreign.clone()]].concat(),
        [both.clone(), vec![strange, foreign.clone()]].concat(),
        [both.clone(), vec![source]].concat(),
    ] {
        let finding = case.ask(&attached, to_prod());
        let all = said(&finding);
        assert!(first(&finding).0 == UNEXPECTED && finding.promotions.is_empty(), "{all}");
        assert!(all.contains("MAE-7097 promotion it was signed over no statement"), "{all}");
    }
    let finding = case.ask(&[both, vec![foreign]].concat(), Expectation::default());
    assert_eq!(finding.failures, [], "nobody asked where it may go");
}

#[tokio::test]
async fn what_a_revoked_key_has_signed_is_worth_nothing() {
    let case = Case::new().await;
    let both = case.both();
    let promotion = case.promoted(&both).await;
    let key = case.key.public().id().to_string();
    case.home.revoke(WORD, &key, "lost").await.unwrap();
    let list = case.home.ring_bytes().unwrap();
    std::fs::write(case.directory.path().join(file::KEYS), list).unwrap();
    let finding = case.ask(&[both, vec![promotion]].concat(), Expectation::default());
    let all = said(&finding);
    assert!(!finding.verified && first(&finding).0 == BROKEN, "{all}");
    assert!(all.contains(SIGNATURE) && all.contains(PROMOTION) && all.contains("lost"), "{all}");
}

#[tokio::test]
async fn what_only_names_our_key_does_not_spoil_what_holds() {
    let case = Case::new().await;
    let ours = case.both();
    let good = case.promoted(&ours).await;
    let text = |one: &Attached| String::from_utf8(one.bytes.clone()).unwrap();
    let signature = |one: &Attached| {
        let bundle: serde_json::Value = serde_json::from_slice(&one.bytes).unwrap();
        bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap().to_owned()
    };
    let forged = |one: &Attached, name: &str| {
        let bytes = text(one).replace(&signature(one), &signature(&ours[0])).into_bytes();
        Attached { name: name.into(), bytes }
    };
    let forged = vec![forged(&ours[1], "forged"), forged(&good, "forged promotion")];
    let finding = case.ask(&[forged.clone(), ours.clone(), vec![good]].concat(), to_prod());
    assert_eq!(finding.failures, []);
    let finding = case.ask(&[forged, ours].concat(), to_prod());
    let all = said(&finding);
    assert!(all.contains(" forged ") && all.contains(" forged promotion "), "{all}");
}

#[tokio::test]
async fn more_bundles_than_are_read_are_not_verified_in_part() {
    let case = Case::new().await;
    let mut attached = case.both();
    let noise = Attached { name: "noise".into(), bytes: b"{}".to_vec() };
    attached.resize(BUNDLES_MAX, noise.clone());
    assert!(case.ask(&attached, Expectation::default()).verified);
    attached.push(noise);
    assert!(said(&case.ask(&attached, Expectation::default())).contains("more than 200 bundles"));
}

#[tokio::test]
async fn each_expectation_of_an_image_that_does_not_hold_is_said() {
    let case = Case::new().await;
    let strict = [
        Expectation { pipeline: Some("other".into()), ..Expectation::default() },
        Expectation { project: Some("other".into()), ..Expectation::default() },
        Expectation { branch: Some("feature".into()), ..Expectation::default() },
        Expectation { builders: Some(BTreeSet::new()), ..Expectation::default() },
        to_prod(),
        Expectation { state: Some("succeeded".into()), ..Expectation::default() },
        Expectation { steps: BTreeSet::from(["build/pack".into()]), ..Expectation::default() },
    ];
    for wanted in strict {
        let finding = case.ask(&case.both(), wanted.clone());
        assert_eq!(first(&finding).0, UNEXPECTED, "{wanted:?}");
    }
}

#[tokio::test]
async fn a_builder_is_seen_behind_a_step_that_copies_what_it_made() {
    let mut case = Case::new().await;
    let made = Digest::of(b"an image");
    let copied = Descriptor {
        name: "image".into(),
        uri: format!("{MADE_PREFIX}{RUN}/build/pack#image"),
        digest: Digests::sha256(made),
        ..Descriptor::default()
    };
    case.state("build/copy", 2, ("image", made), vec![copied]).await;
    for order in [["build/copy", "build/pack"], ["build/pack", "build/copy"]] {
        let attached: Vec<Attached> =
            order.iter().chain(&["build/compile"]).map(|step| case.attached(step)).collect();
        let finding = case.ask(&attached, Expectation::default());
        let mut made: Vec<&str> = finding.chain.iter().map(|link| link.made.as_str()).collect();
        made.sort_unstable();
        assert_eq!(made, ["build/compile#dist", "build/copy#image", "build/pack#image"]);
    }
    let copied = [case.attached("build/copy"), case.attached("build/compile")];
    let finding = case.ask(&copied, Expectation::default());
    let said = finding.failures.first().map(|failure| failure.what.as_str()).unwrap_or_default();
    assert!(said.contains("what made"), "that it was copied says not who built it: {said}");
}

#[tokio::test]
async fn the_newest_list_of_the_root_that_is_asked_for_counts() {
    let (root, other) = (LocalKey::generate().unwrap(), LocalKey::generate().unwrap());
    let list = async |key: &LocalKey, ms| {
        let ring = crate::key::ring::Ring {
            made_at: Moment::from_ms(ms),
            root: key.public().pem(),
            keys: Vec::new(),
        };
        ring.signed(key).await.unwrap()
    };
    let (old, new, strange) =
        (list(&root, 1_000).await, list(&root, 2_000).await, list(&other, 3_000).await);
    let all = vec![new.clone(), strange.clone(), b"{}".to_vec(), old];
    let [asked, others] = [&root, &other].map(|key| key.public().fingerprint());
    assert_eq!(roots(&all), BTreeSet::from([asked, others]));
    assert_eq!(newest_list(all.clone(), asked), Ok(new));
    let refused = newest_list(vec![strange], asked).unwrap_err();
    assert_eq!(refused, format!("those that are attached are of {others}"));
    assert_eq!(newest_list(Vec::new(), asked).unwrap_err(), "none is attached");
}
