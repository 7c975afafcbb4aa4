//! Keys, manifests and modules of a test.

use std::path::Path;

use ratchet_sandbox::componentize;
use ratchet_trust::dsse::{self, WireSignature};
use ratchet_trust::sign::countersign;
use ratchet_trust::{ConfigurationDigest, KeyId, ModuleDigest, PrivateKey, Sha256Digest};
use serde_json::{json, Value};

pub struct Keys {
    pub builder: PrivateKey,
    pub validator: PrivateKey,
}

fn seed(byte: u8) -> String {
    dsse::encode(&[byte; 32])
}

pub fn key(byte: u8) -> PrivateKey {
    PrivateKey::parse(seed(byte).as_bytes()).unwrap()
}

impl Keys {
    /// Keys of both roles, with the files that the aggregator reads.
    pub fn write(directory: &Path) -> Self {
        let keys = Self {
            builder: key(1),
            validator: key(2),
        };
        let trusted = |key: &PrivateKey, role: &str| {
            let public = key.public();
            let keyid = KeyId::of(&public).to_string();
            json!({ "keyid": keyid, "role": role, "public": dsse::encode(&public) })
        };
        let trust = json!({ "schema": 1, "keys": [
            trusted(&keys.builder, "builder"),
            trusted(&keys.validator, "validator"),
        ]});
        std::fs::write(directory.join("trust.json"), trust.to_string()).unwrap();
        secret(&directory.join("validator.key"), &seed(2));
        secret(&directory.join("split.key"), &seed(3));
        keys
    }

    pub fn envelope(&self, statement: &Value) -> Vec<u8> {
        self.sign(statement, &[&self.builder, &self.validator])
    }

    pub fn sign(&self, statement: &Value, signers: &[&PrivateKey]) -> Vec<u8> {
        let bytes = statement.to_string().into_bytes();
        let sign = |key: &&PrivateKey| countersign(key, &bytes);
        let signatures: Vec<WireSignature> = signers.iter().map(sign).collect();
        dsse::write(&bytes, &signatures)
    }
}

fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// What a statement says.
#[derive(Clone)]
pub struct Claim {
    pub org: String,
    pub configuration: ConfigurationDigest,
    pub version: u64,
    /// `None` for a tombstone.
    pub module: Option<(ModuleDigest, usize)>,
    pub expires_at_ms: i64,
}

impl Claim {
    pub fn statement(&self) -> Value {
        let module = self
            .module
            .map(|(sha256, size)| json!({ "sha256": sha256, "size": size }));
        let digest = self.module.map_or(ModuleDigest::NONE, |(digest, _)| digest);
        let shipped = self.module.is_some();
        let none = Sha256Digest::ZERO.to_string();
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": self.org, "digest": { "sha256": digest } }],
            "predicateType": "urn:ratchet:manifest:v1",
            "predicate": {
                "schema": 2, "org": self.org, "configuration": self.configuration,
                "module": module, "interface": "ratchet:guest@1.0.0", "version": self.version,
                "previous": null, "issued_at_ms": 1_700_000_000_000_i64,
                "expires_at_ms": self.expires_at_ms,
                "kind": if shipped { "promote" } else { "tombstone" },
                "source": { "commit": "0000000000000000000000000000000000000000" },
                "toolchain": { "rustc": "test", "kit": "test", "codec": none },
                "mutation": shipped.then(|| json!({
                    "mutator": "builtin", "operator": "none", "prompt": null,
                })),
                "proof": shipped.then(|| json!({
                    "verdict": "attested", "codec": none, "attestation": none,
                    "date": "2026-07-18T12:00:00.000Z",
                })),
                "benchmark": shipped.then(|| json!({
                    "evidence": none, "ratio": 2.0, "ci95": [1.9, 2.1],
                })),
                "shadow": shipped.then(|| json!({ "verdict": "pass" })),
                "workflow": { "id": "acme/gen/1", "run_id": "r" },
            },
        })
    }
}

/// The kit's baseline.
fn baseline_core() -> Vec<u8> {
    let kit = std::env::var("RATCHET_KIT").expect("RATCHET_KIT names the guest kit's directory");
    let path = Path::new(&kit).join("baseline.wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The baseline as a component of its own: a custom section gives it another digest.
pub fn marked_baseline(mark: &str) -> Vec<u8> {
    let mut core = baseline_core();
    core.push(0);
    core.push(u8::try_from(mark.len() + 5).unwrap());
    core.extend_from_slice(b"\x04mark");
    core.extend_from_slice(mark.as_bytes());
    componentize(&core).unwrap()
}

/// The baseline with `after` run behind its `process`, as text: `$at` is the address of the first
/// record, `$bytes` the length of all.
pub fn tampered_baseline(after: &str) -> Vec<u8> {
    let (text, index) = baseline_without("process");
    let arguments: String = (0..8).map(|i| format!("(local.get {i}) ")).collect();
    let text = format!(
        r#"{text}
        (func (export "process") (param i32 i32 i32 i32 i32) (param $points i32) (param i64 i64)
          (result i32) (local $out i32) (local $at i32) (local $bytes i32)
          (local.set $out (call {index} {arguments}))
          (local.set $at (i32.load (local.get $out)))
          (local.set $bytes (i32.load offset=4 (local.get $out)))
          {after}
          (local.get $out)))"#
    );
    componentize(&wat::parse_str(&text).unwrap()).unwrap()
}

/// The baseline, but it takes no rules of more than so many bytes.
pub fn choosy_baseline(bytes_max: usize) -> Vec<u8> {
    let (text, index) = baseline_without("init");
    let text = format!(
        r#"{text}
        (func (export "init") (param $rules i32) (param $bytes i32)
          (if (i32.gt_u (local.get $bytes) (i32.const {bytes_max})) (then unreachable))
          (call {index} (local.get $rules) (local.get $bytes))))"#
    );
    componentize(&wat::parse_str(&text).unwrap()).unwrap()
}

/// The baseline as text, open at its end and without an export, and the index of that function.
fn baseline_without(name: &str) -> (String, String) {
    let text = wasmprinter::print_bytes(baseline_core()).unwrap();
    let start = format!("(export \"{name}\"");
    let export = text.lines().find(|line| line.contains(&start)).unwrap();
    let whole = export.trim_end().trim_end_matches(')');
    let index = whole.rsplit(' ').next().unwrap().to_owned();
    let text = text.replacen(export, "", 1);
    let end = text.trim_end().len() - 1;
    (text[..end].to_owned(), index)
}
