//! Components compiled before: found again, and never taken from where others may write.

use crate::guests::BASELINE;
use crate::traffic::{blob, message, two_rules};
use ratchet_codec::payload::validate;
use ratchet_sandbox::{componentize, Compilations, Engine, Kind, Limits, Record, Runner};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Records of one message, by a module that is compiled or found.
fn records(kind: Kind, compilations: Option<&Compilations>) -> Vec<Record> {
    let engine = Engine::with(kind, Limits::default(), compilations).expect("an engine");
    let component = componentize(BASELINE).expect("a guest");
    let module = engine.compile(&component).expect("an admitted component");
    let payload = message(&[0, 31_000]);
    let header = validate(&payload).expect("a valid message");
    Runner::new(&module, blob(&two_rules()))
        .process(&payload, &header, <[Record]>::to_vec)
        .expect("records")
}

/// What a run with a cache of its own found and missed there; its records are the usual ones.
fn check(folder: &Path, kind: Kind, expected: (usize, usize)) {
    let compilations = Compilations::open(folder).expect("a folder");
    assert_eq!(records(kind, Some(&compilations)), records(kind, None));
    assert_eq!(compilations.found_and_missed(), expected, "{kind:?}");
}

#[test]
fn found_by_the_next_run_with_the_same_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    check(folder.path(), Kind::Production, (0, 1));
    check(folder.path(), Kind::Production, (1, 0));
    check(folder.path(), Kind::Evaluation, (0, 1));
    check(folder.path(), Kind::Evaluation, (1, 0));
}

#[test]
fn what_is_damaged_is_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    check(folder.path(), Kind::Production, (0, 1));
    let damaged = damage(folder.path());
    assert!(damaged > 0, "nothing was kept");
    check(folder.path(), Kind::Production, (0, 1));
}

/// Overwrites every file below a folder; how many there were.
fn damage(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| {
            if path.is_dir() {
                return damage(&path);
            }
            fs::write(&path, b"no machine code").expect("a written file");
            1
        })
        .sum()
}

#[test]
fn folders() {
    let check = |path: &Path, expected: Result<(), &str>| match expected {
        Ok(()) => drop(Compilations::open(path).expect("a folder")),
        Err(part) => {
            let error = Compilations::open(path).expect_err("no folder").to_string();
            assert!(error.contains(part), "{error}");
            assert!(error.contains(path.to_str().expect("a name")), "{error}");
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("a folder");
    check(&folder.join("new/and/deep"), Ok(()));
    let made = folder.join("new").metadata().expect("a folder");
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
    for (mode, expected) in [
        (0o755, Ok(())),
        (0o770, Err("others may write there (mode 770)")),
        (0o777, Err("others may write there (mode 777)")),
    ] {
        let path = folder.join(format!("{mode:o}"));
        fs::create_dir(&path).expect("a new folder");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        check(&path, expected);
    }
    let file = folder.join("file");
    fs::write(&file, b"").expect("a file");
    check(&file, Err("exists"));
}
