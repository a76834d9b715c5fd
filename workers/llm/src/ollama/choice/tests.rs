//! The choice among hosts: by example, and whatever is known of them.

use proptest::prelude::*;

use super::super::seen::{Gpu, Loaded};
use super::*;

const GIB: u64 = 1 << 30;
const MODEL: &str = "own:latest";

fn wanted() -> Wanted {
    Wanted { model: MODEL.to_owned(), ..Wanted::default() }
}

/// A host that has the model, of 4 GiB, and so much GPU memory.
fn host(total: Option<u64>) -> Standing {
    let models = BTreeMap::from([(MODEL.to_owned(), 4 * GIB), ("other:7b".to_owned(), 6 * GIB)]);
    let gpu = Gpu { total, free: None };
    Standing {
        seen: Ok(Seen { models, gpu, ..Seen::default() }),
        shunned: None,
        jurisdiction: None,
        max_concurrency: None,
        calls: BTreeMap::new(),
    }
}

fn with_loaded(mut host: Standing, model: &str, size: u64, size_vram: u64) -> Standing {
    if let Ok(seen) = &mut host.seen {
        seen.loaded.insert(model.to_owned(), Loaded { size, size_vram });
    }
    host
}

fn with_calls(mut host: Standing, model: &str, calls: u32) -> Standing {
    host.calls.insert(model.to_owned(), calls);
    host
}

fn chosen(hosts: &[Standing]) -> (usize, Why) {
    let chosen = choose(&wanted(), hosts).unwrap();
    (chosen.place, chosen.why)
}

#[test]
fn a_host_that_has_the_model_loaded_goes_before_one_with_more_room_and_fewer_calls() {
    let busy = with_calls(with_loaded(host(None), MODEL, 5 * GIB, 5 * GIB), MODEL, 7);
    assert_eq!(chosen(&[host(Some(80 * GIB)), busy.clone()]), (1, Why::Loaded));
    let partly = with_loaded(host(None), MODEL, 5 * GIB, 2 * GIB);
    assert_eq!(chosen(&[partly.clone(), busy]), (1, Why::Loaded));
    assert_eq!(chosen(&[host(Some(80 * GIB)), partly]), (1, Why::PartlyLoaded));
}

#[test]
fn where_none_has_it_loaded_one_with_room_goes_before_one_without() {
    let full = with_loaded(host(Some(8 * GIB)), "other:7b", 6 * GIB, 6 * GIB);
    let roomy = with_calls(host(Some(16 * GIB)), "other:7b", 1);
    let why = Why::Fits { free: 10 * GIB, size: 4 * GIB };
    assert_eq!(chosen(&[full.clone(), host(None), roomy]), (2, why));
    assert_eq!(chosen(&[with_calls(full, "other:7b", 1), host(None)]), (1, Why::FewestCalls(0)));
}

#[test]
fn a_model_that_a_call_under_way_is_loading_counts_as_taken_and_as_soon_there() {
    let loading = with_calls(host(Some(8 * GIB)), "other:7b", 1);
    assert_eq!(chosen(std::slice::from_ref(&loading)), (0, Why::FewestCalls(1)), "2 GiB are left");
    let soon = with_calls(host(Some(80 * GIB)), MODEL, 1);
    assert_eq!(chosen(&[host(Some(80 * GIB)), soon]), (1, Why::Loading));
}

#[test]
fn each_host_that_is_not_asked_says_why() {
    let lacks = with_loaded(host(None), MODEL, 1, 1);
    let lacks =
        Standing { seen: lacks.seen.map(|seen| Seen { models: BTreeMap::new(), ..seen }), ..lacks };
    let old = Standing {
        seen: host(None).seen.map(|seen| Seen { version: Some(Version(0, 4, 7)), ..seen }),
        ..host(None)
    };
    let hosts = [
        lacks,
        old,
        Standing { shunned: Some("it failed".into()), ..host(None) },
        Standing { seen: Err("it does not answer".into()), ..host(None) },
        with_calls(Standing { max_concurrency: Some(2), ..host(None) }, MODEL, 2),
        host(None),
    ];
    let wanted = Wanted { has_schema: true, tried: BTreeSet::from([5]), ..wanted() };
    let reasons = choose(&wanted, &hosts).unwrap_err();
    let expected = [
        Reason::Lacks,
        Reason::Old(Version(0, 4, 7)),
        Reason::Shunned("it failed".into()),
        Reason::Away("it does not answer".into()),
        Reason::Full(2),
        Reason::Tried,
    ];
    assert_eq!(reasons, expected);
    let last = choose(&Wanted { is_last_resort: true, ..wanted }, &hosts);
    assert_eq!(last.map(|chosen| chosen.place), Ok(2), "nobody else is left");
}

#[test]
fn content_stays_where_the_step_and_the_router_permit() {
    let at = |place: &str| Standing { jurisdiction: Some(place.to_owned()), ..host(None) };
    let place = |permitted: &[&str], home: Option<&str>, host: Standing| {
        let wanted = Wanted {
            permitted: permitted.iter().map(|one| (*one).to_owned()).collect(),
            home: home.map(str::to_owned),
            ..wanted()
        };
        choose(&wanted, &[host]).map(|_| ()).map_err(|reasons| reasons[0].to_string())
    };
    assert_eq!(place(&["eu"], None, at("EU-DE")), Ok(()));
    assert!(place(&["eu"], None, at("us")).unwrap_err().contains("it runs in us"));
    assert!(place(&["eu"], None, at("europa")).is_err());
    assert!(place(&["eu"], None, host(None)).unwrap_err().contains("not configured"));
    assert_eq!(place(&["eu"], Some("eu-de"), host(None)), Ok(()), "it is where the router says");
    assert_eq!(place(&[], Some("eu"), at("eu-fr")), Ok(()));
    assert!(place(&[], Some("eu"), at("us")).unwrap_err().contains("the router permits"));
    assert_eq!(place(&[], None, at("us")), Ok(()));
}

fn any_host() -> impl Strategy<Value = Standing> {
    let loaded = prop::option::of((0..9_u64, 0..9_u64));
    let seen = (any::<bool>(), loaded, prop::option::of(0..20_u64), prop::option::of(0..20_u64));
    let rest = (
        any::<bool>(),
        prop::option::of(prop_oneof!["eu-de", "us"]),
        0..4_u32,
        prop::option::of(0..4_u32),
    );
    (prop::option::of(seen), rest).prop_map(|(seen, (is_shunned, place, calls, most))| {
        let seen = seen.map(|(has, loaded, total, free)| Seen {
            models: has.then(|| (MODEL.to_owned(), 4)).into_iter().collect(),
            loaded: loaded
                .map(|(size, size_vram)| (MODEL.to_owned(), Loaded { size, size_vram }))
                .into_iter()
                .collect(),
            gpu: Gpu { total, free },
            version: None,
        });
        Standing {
            seen: seen.ok_or_else(|| "away".to_owned()),
            shunned: is_shunned.then(|| "shunned".to_owned()),
            jurisdiction: place,
            max_concurrency: most,
            calls: (calls > 0).then(|| ("x:latest".to_owned(), calls)).into_iter().collect(),
        }
    })
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let permitted = prop_oneof![Just(Vec::new()), Just(vec!["eu".to_owned()])];
    let tried = prop::collection::btree_set(0..6_usize, 0..3);
    (permitted, tried, any::<bool>()).prop_map(|(permitted, tried, is_last_resort)| Wanted {
        permitted,
        tried,
        is_last_resort,
        ..wanted()
    })
}

proptest! {
    #[test]
    fn a_host_that_is_barred_is_never_chosen_and_one_that_is_not_never_refused(
        hosts in prop::collection::vec(any_host(), 0..6),
        wanted in any_wanted(),
    ) {
        let barred = |place: usize, host: &Standing| {
            let seen = host.seen.as_ref().ok();
            let calls: u32 = host.calls.values().sum();
            wanted.tried.contains(&place)
                || (host.shunned.is_some() && !wanted.is_last_resort)
                || !seen.is_some_and(|seen| seen.models.contains_key(MODEL))
                || host.max_concurrency.is_some_and(|most| calls >= most)
                || (!wanted.permitted.is_empty() && host.jurisdiction.as_deref() != Some("eu-de"))
        };
        let open: Vec<usize> =
            hosts.iter().enumerate().filter(|(place, host)| !barred(*place, host)).map(|(place, _)| place).collect();
        match choose(&wanted, &hosts) {
            Ok(chosen) => prop_assert!(open.contains(&chosen.place)),
            Err(reasons) => {
                prop_assert!(open.is_empty());
                prop_assert_eq!(reasons.len(), hosts.len());
            }
        }
    }

    #[test]
    fn no_other_host_that_may_be_asked_is_better(
        hosts in prop::collection::vec(any_host(), 1..6),
        wanted in any_wanted(),
    ) {
        let Ok(best) = choose(&wanted, &hosts) else { return Ok(()) };
        let calls = |place: usize| hosts[place].calls.values().sum::<u32>();
        for place in 0..hosts.len() {
            // Alone among the tried it shows what it would be asked for.
            let others = (0..hosts.len()).filter(|other| *other != place);
            let alone = Wanted { tried: wanted.tried.iter().copied().chain(others).collect(), ..wanted.clone() };
            if let Ok(other) = choose(&alone, &hosts) {
                prop_assert!(
                    (best.why.rank(), calls(best.place)) <= (other.why.rank(), calls(place))
                );
            }
        }
    }
}
