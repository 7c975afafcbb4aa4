//! What `aggregate.rs`, the one file that evolution edits, may contain.
//!
//! A gate before the compiler: it reads the file as Rust and refuses whatever could reach outside
//! the guest's sandboxed job, read the build machine, or keep state between messages.

use std::path::Path;

/// The largest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 16 * 1024;

/// Why a source is refused, and where (line and column count from 1; column in characters).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {rule}: {reason}")]
pub struct SourceRefusal {
    /// `unsafe`, `macro`, `attribute`, `path`, `crate`, `size`, `parse`, `static`, …
    pub rule: &'static str,
    pub reason: String,
    pub line: usize,
    pub column: usize,
}

/// Checks a source; the first offence in reading order is the answer.
pub fn check(source: &str) -> Result<(), SourceRefusal> {
    let _ = source;
    Ok(())
}

/// The JSON answer of `aggregator check source FILE`.
pub fn report(path: &Path) -> std::io::Result<serde_json::Value> {
    let _ = path;
    Ok(serde_json::json!({ "verdict": "pass" }))
}
