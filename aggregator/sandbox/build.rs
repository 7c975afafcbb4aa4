//! Copies the built-in guests out of the guest kit, so that they are part of the library.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=RATCHET_KIT");
    let kit = std::env::var_os("RATCHET_KIT").map(PathBuf::from);
    let kit = kit.unwrap_or_else(|| fail("RATCHET_KIT is not set"));
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let out = out.unwrap_or_else(|| fail("OUT_DIR is not set"));
    for name in ["baseline.wasm", "per-point.wasm"] {
        copy(&kit.join(name), &out.join(name));
    }
}

fn copy(from: &Path, to: &Path) {
    println!("cargo:rerun-if-changed={}", from.display());
    if let Err(error) = std::fs::copy(from, to) {
        fail(&format!("{}: {error}", from.display()));
    }
}

fn fail(reason: &str) -> ! {
    eprintln!("ratchet-sandbox embeds two modules of the guest kit, but {reason}.");
    eprintln!(
        "RATCHET_KIT must name the kit's directory: run `npm run bootstrap`, which builds it."
    );
    std::process::exit(1);
}
