//! The service on a real NATS server, asked as the control plane asks it.

mod fleet;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, object_store, stream};
use bytes::Bytes;
use parking_lot::Mutex;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Filter, Rule};
use ratchet_trust::floor::AcceptedModule;
use ratchet_trust::{dsse, sign};
use ratchet_trust::{
    ConfigurationDigest, Floor, ModuleDigest, PrivateKey, ProofPolicy, Sha256Digest,
};
use serde_json::{json, Value};
use tokio::task::JoinHandle;

use super::{serve, Knowledge, ProofRequirement, ServiceError, Setup, Tenant};
use crate::events::now_ms;

const MESSAGES: u32 = 96;
const ANSWER_WITHIN: Duration = Duration::from_secs(240);

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server that the development stack uses, if it is there.
fn server_binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("RATCHET_NATS_SERVER") {
        return Some(named.into());
    }
    let cache = std::env::var_os("RATCHET_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let home =
                home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
            Some(home?.join("ratchet"))
        })?;
    let found = std::fs::read_dir(cache.join("bin"))
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    found
        .into_iter()
        .find(|path| path.to_string_lossy().contains("nats-server-"))
}

fn start_server(binary: &Path, directory: &Path) -> Server {
    let child = Command::new(binary)
        .args([
            "--addr",
            "127.0.0.1",
            "--port",
            "-1",
            "--jetstream",
            "--store_dir",
        ])
        .arg(directory)
        .arg("--ports_file_dir")
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let name = binary.file_name().unwrap().to_string_lossy().into_owned();
    let ports = directory.join(format!("{name}_{}.ports", child.id()));
    let mut server = Server {
        child,
        url: String::new(),
    };
    let until = Instant::now() + Duration::from_secs(20);
    while server.url.is_empty() {
        assert!(Instant::now() < until, "no {}", ports.display());
        std::thread::sleep(Duration::from_millis(50));
        let text = std::fs::read(&ports).unwrap_or_default();
        let told: Value = serde_json::from_slice(&text).unwrap_or_default();
        server.url = told["nats"][0].as_str().unwrap_or_default().to_owned();
    }
    server
}

fn rules() -> Vec<u8> {
    let rule = |id: &str, aggregate: Aggregate, by: &str| Rule {
        id: id.as_bytes().into(),
        metric: b"cpu"[..].into(),
        aggregate,
        window_ms: 10_000,
        group_by: vec![by.as_bytes().into()],
        filter: Filter::Eq(b"env"[..].into(), b"prod"[..].into()),
    };
    let many = (0..40).map(|n| rule(&format!("r{n:02}"), Aggregate::Sum, "host"));
    ratchet_rules::encode(&many.collect::<Vec<_>>())
}

fn message(n: u32) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for point in 0..100_u32 {
        let host = format!("host-{}", (n + point) % 30);
        let tags = [("env", "prod"), ("host", host.as_str())];
        let ts = 1_790_000_000_000 + i64::from(point) * 37;
        builder
            .point("cpu", &tags, ts, f64::from(n * point) * 0.37)
            .unwrap();
    }
    builder.finish().unwrap()
}

/// A component of the guest kit that this crate was built with.
fn component(name: &str) -> Vec<u8> {
    let kit = PathBuf::from(std::env::var_os("RATCHET_KIT").unwrap());
    ratchet_sandbox::componentize(&std::fs::read(kit.join(name)).unwrap()).unwrap()
}

/// An aggregator that the test decides about.
struct Known {
    rules: Bytes,
    serving: Mutex<Option<ModuleDigest>>,
    floor: Mutex<Option<Floor>>,
}

impl Knowledge for Known {
    fn rules(&self, org: &str, configuration: ConfigurationDigest) -> Option<Bytes> {
        (self.newest(org) == Some(configuration)).then(|| self.rules.clone())
    }

    fn newest(&self, org: &str) -> Option<ConfigurationDigest> {
        (org == "acme").then(|| ConfigurationDigest::of(&self.rules))
    }

    fn tenants(&self) -> Vec<Tenant> {
        let tenant = |org: &str| Tenant {
            org: org.to_owned(),
            configuration: ConfigurationDigest::of(&self.rules),
            rules: self.rules.clone(),
        };
        ["acme", "globex"].map(tenant).to_vec()
    }

    fn serving(&self, _: &str, _: ConfigurationDigest) -> Option<ModuleDigest> {
        *self.serving.lock()
    }

    fn floor(&self, _: &str) -> Option<Floor> {
        *self.floor.lock()
    }

    fn accepted(&self, _: &str) -> Vec<AcceptedModule> {
        Vec::new()
    }

    fn demoted(&self, _: &str, _: ConfigurationDigest, _: ModuleDigest) -> bool {
        false
    }
}

struct Desk {
    client: async_nats::Client,
    configuration: ConfigurationDigest,
}

impl Desk {
    async fn ask(&self, subject: &str, request: Value) -> Value {
        let request = async_nats::Request::new()
            .payload(request.to_string().into())
            .timeout(Some(ANSWER_WITHIN));
        let answer = self
            .client
            .send_request(subject.to_owned(), request)
            .await
            .unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    async fn evaluate(&self, component: &[u8], generation: u32, changes: Value) -> Value {
        let mut request = json!({
            "org": "acme", "configuration": self.configuration, "size": component.len(),
            "module": ModuleDigest::of(component), "candidate": "c1",
            "generation": format!("acme/gen/{generation}"),
        });
        for (field, value) in changes.as_object().unwrap() {
            request[field] = value.clone();
        }
        self.ask("shadow.evaluate", request).await
    }

    async fn countersign(&self, statement: &[u8]) -> Value {
        self.ask(
            "shadow.countersign",
            json!({ "statement": dsse::encode(statement) }),
        )
        .await
    }
}

/// The text of an attestation of a codec.
fn attestation(codec: &str) -> String {
    let vectors = include_str!("../../../test/vectors/attestations.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let mut file = vectors["file"].clone();
    file["codec"] = json!(codec);
    file.to_string()
}

fn statement(configuration: ConfigurationDigest, component: &[u8], version: u64) -> Vec<u8> {
    statement_of("acme", configuration, component, version)
}

fn statement_of(
    org: &str,
    configuration: ConfigurationDigest,
    component: &[u8],
    version: u64,
) -> Vec<u8> {
    let (module, any) = (ModuleDigest::of(component), "a".repeat(64));
    let now_ms = now_ms();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": org, "digest": { "sha256": module } }],
        "predicateType": "urn:ratchet:manifest:v1",
        "predicate": {
            "schema": 2, "org": org, "configuration": configuration,
            "module": { "sha256": module, "size": component.len() },
            "interface": ratchet_sandbox::INTERFACE, "version": version, "previous": null,
            "issued_at_ms": now_ms, "expires_at_ms": now_ms + 60_000, "kind": "promote",
            "source": { "commit": "c" },
            "toolchain": { "rustc": "r", "kit": "k", "codec": any },
            "mutation": { "mutator": "builtin", "operator": "o", "prompt": null },
            "proof": {
                "verdict": "attested", "codec": any, "date": "2026-07-18T12:00:00.000Z",
                "attestation": Sha256Digest::of(attestation(&any).as_bytes()),
            },
            "benchmark": { "evidence": any, "ratio": 2.0, "ci95": [1.9, 2.1] },
            "shadow": { "verdict": "pass" }, "workflow": { "id": "w", "run_id": "r" },
        },
    });
    statement.to_string().into_bytes()
}

async fn provision(context: &jetstream::Context) -> object_store::ObjectStore {
    for name in ["TRAINING", "VALIDATION"] {
        let subjects = vec![format!("{}.*.*", name.to_lowercase())];
        let config = stream::Config {
            name: name.to_owned(),
            subjects,
            ..Default::default()
        };
        context.create_stream(config).await.unwrap();
    }
    let config = object_store::Config {
        bucket: "modules".to_owned(),
        ..Default::default()
    };
    context.create_object_store(config).await.unwrap()
}

/// A provisioned server, two components in its store, and what a service is started with.
struct Stage {
    desk: Desk,
    context: jetstream::Context,
    modules: object_store::ObjectStore,
    directory: PathBuf,
    known: Arc<Known>,
    fast: Vec<u8>,
    slow: Vec<u8>,
    seed: String,
}

impl Stage {
    async fn new(server: &Server, directory: &Path) -> Self {
        let client = async_nats::connect(&server.url).await.unwrap();
        let context = jetstream::new(client.clone());
        let modules = provision(&context).await;
        let rules = Bytes::from(rules());
        let configuration = ConfigurationDigest::of(&rules);
        let (fast, slow) = (component("baseline.wasm"), component("per-point.wasm"));
        let known = Known {
            rules,
            serving: Mutex::new(Some(ModuleDigest::of(&slow))),
            floor: Mutex::new(None),
        };
        let stage = Self {
            desk: Desk {
                client,
                configuration,
            },
            context,
            modules,
            directory: directory.join("shadow"),
            known: Arc::new(known),
            fast,
            slow,
            seed: dsse::encode(&[5; 32]),
        };
        stage.store(&stage.fast).await;
        stage.store(&stage.slow).await;
        stage
    }

    async fn store(&self, component: &[u8]) {
        let name = ModuleDigest::of(component).to_string();
        self.modules
            .put(name.as_str(), &mut &*component)
            .await
            .unwrap();
    }

    fn key(&self) -> PrivateKey {
        PrivateKey::parse(self.seed.as_bytes()).unwrap()
    }

    /// The validator's own attestations.
    fn attestations(&self) -> PathBuf {
        self.directory.join("attestations")
    }

    fn attest(&self, codec: &str, text: &str) {
        std::fs::create_dir_all(self.attestations()).unwrap();
        std::fs::write(self.attestations().join(format!("{codec}.json")), text).unwrap();
    }

    async fn start(&self) -> JoinHandle<Result<(), ServiceError>> {
        let setup = Setup {
            client: self.desk.client.clone(),
            context: self.context.clone(),
            modules: self.modules.clone(),
            directory: self.directory.clone(),
            key: self.key(),
            proof: ProofRequirement {
                policy: ProofPolicy::Attested,
                attestations: self.attestations(),
                wasi: None,
            },
        };
        let service = tokio::spawn(serve(setup, self.known.clone()));
        until_offered(&self.desk).await;
        service
    }

    fn serve(&self, component: &[u8]) {
        *self.known.serving.lock() = Some(ModuleDigest::of(component));
    }

    async fn hold_back(&self, org: &str) {
        let subject = format!("validation.{org}.{}", self.desk.configuration.0.short());
        for n in 0..MESSAGES {
            let sent = self
                .context
                .publish(subject.clone(), message(n).into())
                .await
                .unwrap();
            sent.await.unwrap();
        }
    }

    async fn word(&self, component: &[u8], generation: u32) -> Value {
        self.desk.evaluate(component, generation, json!({})).await["verdict"].clone()
    }

    async fn refusal(&self, component: &[u8], generation: u32) -> Value {
        self.desk.evaluate(component, generation, json!({})).await["error"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn judges_and_signs() {
    let binary = server_binary().expect("nats-server: `npm run bootstrap` puts it in the cache");
    let directory = tempfile::tempdir().unwrap();
    let server = start_server(&binary, directory.path());
    let stage = Stage::new(&server, directory.path()).await;
    let service = stage.start().await;
    let promotion = statement(stage.desk.configuration, &stage.fast, 1);
    let codec = "a".repeat(64);
    stage.attest(&codec, &attestation(&codec));

    assert_eq!(stage.word(&stage.fast, 1).await, "insufficient");
    assert_eq!(
        stage.desk.countersign(&promotion).await["error"],
        "not-passed"
    );
    stage.hold_back("acme").await;
    refusals(&stage.desk, &stage.fast).await;
    verdicts(&stage).await;
    attestations(&stage, &promotion).await;
    signatures(&stage, &promotion).await;

    fleet::judged_for_all(&stage).await;

    // A restart forgets nothing.
    service.abort();
    let _ = service.await;
    let service = stage.start().await;
    assert_eq!(stage.word(&stage.fast, 3).await, "pass");
    assert_eq!(stage.refusal(b"one more", 2).await, "too-many-questions");
    signatures(&stage, &promotion).await;
    service.abort();
}

async fn verdicts(stage: &Stage) {
    // The generation has its answer; a later one is evaluated, against what serves.
    assert_eq!(stage.word(&stage.fast, 1).await, "insufficient");
    assert_eq!(stage.word(&stage.fast, 2).await, "pass");
    // Against a faster one: of two that are equally fast, noise can make either look the better.
    stage.serve(&stage.fast);
    assert_eq!(stage.word(&stage.slow, 2).await, "fail");
    stage.serve(&stage.slow);
    let broken = b"\0asm\x0d\0\x01\0 no component";
    stage.store(broken).await;
    assert_eq!(stage.word(broken, 2).await, "fail");
    assert_eq!(stage.refusal(b"one more", 2).await, "too-many-questions");
    let status = json!({ "org": "acme", "configuration": stage.desk.configuration });
    let counts = json!({ "held_back": MESSAGES, "training": 0, "accepted_version": 0 });
    assert_eq!(stage.desk.ask("shadow.status", status).await, counts);
}

/// The last word on a codec is that of this machine's files.
async fn attestations(stage: &Stage, promotion: &[u8]) {
    let codec = "a".repeat(64);
    std::fs::remove_file(stage.attestations().join(format!("{codec}.json"))).unwrap();
    let refused = |error: &'static str| async move {
        assert_eq!(stage.desk.countersign(promotion).await["error"], error);
    };
    refused("attestation-missing").await;
    stage.attest(&codec, "{}");
    refused("attestation-malformed").await;
    stage.attest(&codec, &attestation(&"b".repeat(64)));
    refused("attestation-mismatch").await;
    let faulty = attestation(&codec).replace("\"errors\":0", "\"errors\":1");
    stage.attest(&codec, &faulty);
    refused("attestation-errors").await;
    stage.attest(&codec, &attestation(&codec));
}

/// Signed is exactly what passed, in the next version, by the validator's key.
async fn signatures(stage: &Stage, promotion: &[u8]) {
    let own = sign::countersign(&stage.key(), promotion);
    let found = stage.desk.countersign(promotion).await;
    assert_eq!(found, json!({ "keyid": own.keyid, "sig": own.sig }));
    let check = |component: &[u8], version: u64, error: &'static str| {
        let statement = statement(stage.desk.configuration, component, version);
        async move { assert_eq!(stage.desk.countersign(&statement).await["error"], error) }
    };
    check(&stage.fast, 3, "version-too-high").await;
    check(&stage.slow, 1, "not-passed").await;
}

async fn refusals(desk: &Desk, fast: &[u8]) {
    let zeros = "0".repeat(64);
    let check = |changes: Value, error: &'static str| async move {
        let answer = desk.evaluate(fast, 9, changes.clone()).await;
        assert_eq!(answer["error"], error, "{changes}: {answer}");
    };
    check(json!({ "module": zeros }), "module-missing").await;
    check(json!({ "size": 5 }), "module-size").await;
    let other = "f".repeat(64);
    check(json!({ "configuration": other }), "unknown-configuration").await;
    check(
        json!({ "org": "globex", "generation": "globex/gen/1" }),
        "unknown-configuration",
    )
    .await;
    check(json!({ "org": "fleet" }), "malformed-request").await;
    check(json!({ "configuration": zeros }), "malformed-request").await;
    let answer = desk
        .ask("shadow.countersign", json!({ "statement": "e30=" }))
        .await;
    assert_eq!(answer["error"], "malformed-statement");
}

async fn until_offered(desk: &Desk) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let request = desk.client.request("shadow.status", "{}".into()).await;
        if request.is_ok() {
            return;
        }
        assert!(Instant::now() < until, "the service is not offered");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
