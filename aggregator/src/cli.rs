//! The command line. Results are JSON on the last line of standard output; logs go to standard
//! error. Exit status: 0 also for a negative verdict, 2 for wrong usage, 1 for a fault.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context as _};
use bytes::Bytes;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ratchet_sandbox::{bench, policy, Compilations, Limits, WasiLimits};
use ratchet_trust::{source_policy, ModuleDigest};
use serde_json::{json, Value};

use crate::output::ForwardSettings;
use crate::settings::{GatewaySettings, RunSettings};

/// The largest input file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;

#[derive(Parser)]
#[command(name = "aggregator", version, about = "Ratchet's data plane")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Take in messages, run modules, emit aggregated points.
    Run(Box<RunSettings>),
    /// Forward aggregated points and answer queries of them, without aggregating.
    Forward(Box<ForwardSettings>),
    /// Only take in points by the protocols of senders, for the aggregators that run elsewhere.
    Gateway(Box<GatewaySettings>),
    /// Make a component of a core module.
    Componentize {
        /// The core module.
        #[arg(long)]
        core: PathBuf,
        /// Where the component goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a source file or a component against the policy.
    Check {
        #[command(subcommand)]
        what: Check,
    },
    /// Time modules on captured messages, interleaved.
    Bench(BenchArgs),
}

#[derive(Subcommand)]
pub enum Check {
    /// An aggregate.rs.
    Source {
        file: PathBuf,
        /// A JSON list of texts of traffic, none of which may be a literal of the source.
        #[arg(long)]
        words: Option<PathBuf>,
    },
    /// A component.
    Module {
        file: PathBuf,
        /// What it may import beside the payload.
        #[arg(long, default_value = "none")]
        wasi: WasiPolicy,
    },
}

/// Which WASI world components may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WasiPolicy {
    /// No WASI at all.
    None,
    /// One without files, network or environment, where the clock stands still. Components that
    /// import it may be larger, and have more memory, fuel and time.
    Empty,
}

impl WasiPolicy {
    /// Those of components that tenants bring, where they may.
    pub fn wasi(self) -> Option<WasiLimits> {
        match self {
            Self::None => None,
            Self::Empty => Some(WasiLimits::default()),
        }
    }

    fn limits(self) -> Limits {
        Limits {
            wasi: self.wasi(),
            ..Limits::default()
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum BuiltinName {
    Baseline,
    PerPoint,
}

#[derive(Args)]
pub struct BenchArgs {
    /// The rules blob.
    #[arg(long)]
    rules: PathBuf,
    /// Messages: "RTC1", then each as u32 length and bytes.
    #[arg(long)]
    corpus: PathBuf,
    /// A component to time, as NAME=FILE.
    #[arg(long = "module", value_parser = named_file)]
    modules: Vec<(String, PathBuf)>,
    /// A built-in module to time.
    #[arg(long = "builtin")]
    builtins: Vec<BuiltinName>,
    /// The name that ratios refer to.
    #[arg(long)]
    reference: String,
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// No round begins after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Fewer messages are a fault.
    #[arg(long, default_value_t = 1)]
    min_messages: usize,
    /// What components may import beside the payload.
    #[arg(long, default_value = "none")]
    wasi: WasiPolicy,
    /// A folder of its own for compiled modules, so that the next run finds them there.
    #[arg(long)]
    compiled: Option<PathBuf>,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(file)))
        }
        _ => Err(format!("{text:?} is not NAME=FILE")),
    }
}

/// Runs a command that ends by itself, and answers its result.
pub fn answer(command: Command) -> anyhow::Result<Value> {
    match command {
        Command::Run(_) | Command::Gateway(_) | Command::Forward(_) => {
            bail!("a server does not end by itself")
        }
        Command::Componentize { core, out } => componentize(&core, &out),
        Command::Check {
            what: Check::Source { file, words },
        } => check_source(&file, words.as_deref()),
        Command::Check {
            what: Check::Module { file, wasi },
        } => check_module(&file, wasi),
        Command::Bench(args) => run_bench(args),
    }
}

fn componentize(core: &Path, out: &Path) -> anyhow::Result<Value> {
    let component = match ratchet_sandbox::componentize(&read(core)?) {
        Ok(component) => component,
        Err(error) => return Ok(json!({ "ok": false, "reason": error.to_string() })),
    };
    std::fs::write(out, &component).with_context(|| out.display().to_string())?;
    let sha256 = ModuleDigest::of(&component).to_string();
    Ok(json!({ "ok": true, "sha256": sha256, "size": component.len() }))
}

fn check_source(file: &Path, words: Option<&Path>) -> anyhow::Result<Value> {
    let words = words.map(read_words).transpose()?;
    source_policy::report(file, words.as_ref()).with_context(|| file.display().to_string())
}

fn read_words(file: &Path) -> anyhow::Result<source_policy::Words> {
    let texts: Vec<String> =
        serde_json::from_slice(&read(file)?).with_context(|| file.display().to_string())?;
    Ok(source_policy::Words::new(texts))
}

fn check_module(file: &Path, wasi: WasiPolicy) -> anyhow::Result<Value> {
    let component = read(file)?;
    Ok(match policy::check_module(&component, &wasi.limits()) {
        Ok(_) => json!({
            "verdict": "pass",
            "instructions": policy::Instructions::of(&component)?,
        }),
        Err(refusal) => json!({
            "verdict": "refused",
            "rule": refusal.rule(),
            "reason": refusal.to_string(),
        }),
    })
}

fn run_bench(args: BenchArgs) -> anyhow::Result<Value> {
    let mut modules = Vec::new();
    for (name, file) in args.modules {
        modules.push((name, read(&file)?));
    }
    let builtin = |name: BuiltinName| match name {
        BuiltinName::Baseline => bench::Builtin::Baseline,
        BuiltinName::PerPoint => bench::Builtin::PerPoint,
    };
    let corpus = read(&args.corpus)?;
    let messages =
        split_corpus(&corpus.into()).with_context(|| args.corpus.display().to_string())?;
    let report = bench::run(&bench::Options {
        rules: read(&args.rules)?.into(),
        messages,
        modules,
        builtins: args.builtins.into_iter().map(builtin).collect(),
        reference: args.reference,
        rounds: args.rounds,
        time: args.seconds.map(Duration::from_secs),
        min_messages: args.min_messages,
        limits: args.wasi.limits(),
        compilations: args
            .compiled
            .as_deref()
            .map(Compilations::open)
            .transpose()?,
    })?;
    Ok(serde_json::to_value(report)?)
}

/// The messages of a corpus file.
fn split_corpus(corpus: &Bytes) -> anyhow::Result<Vec<Bytes>> {
    if !corpus.starts_with(b"RTC1") {
        bail!("no corpus: it does not start with RTC1");
    }
    let mut messages = Vec::new();
    let mut at = 4;
    while at < corpus.len() {
        let Some(length) = corpus[at..].first_chunk::<4>() else {
            bail!(
                "cut inside the length of message {} at byte {at}",
                messages.len()
            );
        };
        let start = at + 4;
        let end = start.saturating_add(u32::from_le_bytes(*length) as usize);
        if end > corpus.len() {
            bail!("cut inside message {} at byte {start}", messages.len());
        }
        messages.push(corpus.slice(start..end));
        at = end;
    }
    Ok(messages)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.with_context(|| path.display().to_string())? as u64 > FILE_BYTES_MAX {
        bail!("{} has more than {FILE_BYTES_MAX} bytes", path.display());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpus_files() {
        let check = |bytes: &[u8], expected: Result<Vec<&[u8]>, &str>| {
            let split = split_corpus(&Bytes::copy_from_slice(bytes));
            match (split, expected) {
                (Ok(messages), Ok(expected)) => assert_eq!(messages, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (split, expected) => panic!("{split:?}, not {expected:?}"),
            }
        };
        check(b"RTC1", Ok(vec![]));
        check(
            b"RTC1\x02\0\0\0ab\0\0\0\0\x01\0\0\0c",
            Ok(vec![b"ab", b"", b"c"]),
        );
        check(b"RTC2", Err("RTC1"));
        check(b"RTC1\x02\0\0", Err("length of message 0"));
        check(b"RTC1\x02\0\0\0a", Err("inside message 0"));
        check(b"RTC1\0\0\0\0\xff\xff\xff\xffa", Err("inside message 1"));
    }

    #[test]
    fn arguments() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert_eq!(
            named_file("a=b=c"),
            Ok(("a".to_owned(), PathBuf::from("b=c")))
        );
        assert!(named_file("a").is_err() && named_file("=b").is_err());
    }
}
