//! The cache of loaded modules, and what serves while one is not loaded.

use std::sync::Arc;

use ratchet_sandbox::{Engine, Kind, Limits, Module};
use ratchet_trust::{ConfigurationDigest, ModuleDigest};

use super::cache::IDLE_MIN;
use super::*;

fn module() -> Module {
    let engine = Engine::new(Kind::Production, Limits::default()).unwrap();
    engine.baseline().unwrap()
}

fn installed(name: &str) -> Arc<Installed> {
    let digest = ModuleDigest::of(name.as_bytes());
    Arc::new(Installed::new(digest, Level::Tenant, 1, None))
}

fn cache(modules: usize, bytes: usize) -> ModuleCache {
    ModuleCache::new(Bounds { modules, bytes }).0
}

/// Admits modules one second after the other, and says which are loaded in the end. Names that come
/// again are the same module; `wanted` ones come for a message.
fn check(bounds: (usize, usize), steps: &[(&str, Entry)], idle: u64, loaded: &[&str]) {
    let module = module();
    let cache = cache(bounds.0, bounds.1.saturating_mul(module.resident_bytes()));
    let mut all: Vec<(&str, Arc<Installed>)> = Vec::new();
    for (name, entry) in steps {
        (0..idle).for_each(|_| cache.tick());
        let known = all.iter().find(|(known, _)| known == name);
        let subject = known.map_or_else(|| installed(name), |(_, i)| i.clone());
        cache.admit(&subject, module.clone(), *entry);
        all.retain(|(known, _)| known != name);
        all.push((name, subject));
    }
    let mut found: Vec<&str> = all
        .iter()
        .filter(|(_, installed)| installed.is_loaded())
        .map(|(name, _)| *name)
        .collect();
    found.sort_unstable();
    assert_eq!(found, loaded, "{steps:?} in {bounds:?}, {idle} s apart");
    let (modules, bytes) = cache.size();
    assert_eq!(modules, loaded.len());
    assert_eq!(bytes, loaded.len() * module.resident_bytes());
}

#[test]
fn who_served_longest_ago_makes_room() {
    use Entry::{Promoted, Wanted};
    const MANY: usize = 1 << 20;
    let three = [("a", Promoted), ("b", Promoted), ("c", Promoted)];
    check((3, MANY), &three, 1, &["a", "b", "c"]);
    check((2, MANY), &three, 1, &["b", "c"]);
    // By bytes as by number.
    check((MANY, 2), &three, 1, &["b", "c"]);
    check((MANY, 0), &three, 1, &[]);
    let again = [
        ("a", Promoted),
        ("b", Promoted),
        ("a", Promoted),
        ("c", Promoted),
    ];
    check((2, MANY), &again, 1, &["a", "c"]);
    // A message's module takes the room of idle ones alone.
    let wanted = [("a", Promoted), ("b", Promoted), ("c", Wanted)];
    check((2, MANY), &wanted, IDLE_MIN, &["b", "c"]);
    check((2, MANY), &wanted, IDLE_MIN / 2, &["b", "c"]);
    check((2, MANY), &wanted, IDLE_MIN / 2 - 1, &["a", "b"]);
}

#[test]
fn modules_that_are_gone_hold_no_room() {
    let (module, cache) = (module(), cache(1, usize::MAX));
    let gone = installed("gone");
    assert!(cache.admit(&gone, module.clone(), Entry::Wanted));
    assert!(!cache.has_room(1));
    drop(gone);
    assert!(cache.has_room(1));
    assert_eq!(cache.size(), (0, 0));
}

#[test]
fn a_module_is_asked_for_once_in_a_while() {
    let (cache, mut wanted) = ModuleCache::new(Bounds {
        modules: 1,
        bytes: 1,
    });
    let (org, absent) = (Org::parse("acme").unwrap(), installed("absent"));
    let mut asked = |seconds: u64| {
        (0..seconds).for_each(|_| cache.tick());
        (0..100).for_each(|_| cache.ask(&org, &absent));
        std::iter::from_fn(|| wanted.0.try_recv().ok()).count()
    };
    assert_eq!([asked(0), asked(1), asked(60)], [1, 0, 1]);
}

#[test]
fn another_serves_while_the_own_module_is_not_loaded() {
    let (module, org) = (module(), Org::parse("acme").unwrap());
    let digest = ConfigurationDigest::of(b"rules");
    let registry = Registry::new(module.clone());
    let own = installed("own");
    let check = |level: Level, absent: bool| {
        let serving = registry.serving(&org, digest);
        assert_eq!(serving.installed.level, level);
        assert_eq!(serving.absent.is_some(), absent);
    };
    check(Level::Baseline, false);
    registry.install(&org, digest, own.clone());
    check(Level::Baseline, true);
    own.load(module.clone());
    check(Level::Tenant, false);
    own.unload();
    let fleet = Arc::new(Installed::new(own.digest, Level::Fleet, 1, None));
    fleet.load(module);
    registry.install_fleet(Some(fleet));
    check(Level::Fleet, true);
    // What ought to serve is the own module all the time.
    assert_eq!(registry.incumbent(&org, digest).level, Level::Tenant);
}

#[test]
fn a_swap_that_is_faster_than_a_load_wins() {
    let (module, org) = (module(), Org::parse("acme").unwrap());
    let digest = ConfigurationDigest::of(b"rules");
    let registry = Registry::new(module.clone());
    let (old, new) = (installed("old"), installed("new"));
    registry.install(&org, digest, old.clone());
    assert!(registry.holds(&org, &old));
    // The old one is being loaded while the new one is installed.
    registry.install(&org, digest, new.clone());
    assert!(!registry.holds(&org, &old) && registry.holds(&org, &new));
    new.load(module.clone());
    old.load(module);
    let serving = registry.serving(&org, digest);
    assert!(Arc::ptr_eq(&serving.installed, &new));
}
