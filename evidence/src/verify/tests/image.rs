//! What is attached to an image, and what of it counts.

use super::*;
use crate::verify::image::{Attached, image, newest_list};

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
        let artifact = Some(Digest::of(b"an image"));
        image(&self.keys(), attached, &Question { root: Some(self.root), artifact, expect })
    }
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
async fn each_expectation_of_an_image_that_does_not_hold_is_said() {
    let case = Case::new().await;
    let strict = [
        Expectation { pipeline: Some("other".into()), ..Expectation::default() },
        Expectation { project: Some("other".into()), ..Expectation::default() },
        Expectation { branch: Some("feature".into()), ..Expectation::default() },
        Expectation { builders: Some(BTreeSet::new()), ..Expectation::default() },
        Expectation { promoted: BTreeSet::from(["prod".into()]), ..Expectation::default() },
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
    let asked = Some(root.public().fingerprint());
    assert_eq!(newest_list(all.clone(), asked), Ok(new));
    assert!(newest_list(all, None).unwrap_err().contains("several roots"));
    assert!(newest_list(Vec::new(), None).unwrap_err().contains("no list"));
}
