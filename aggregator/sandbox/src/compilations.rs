//! Compiled components that are kept between runs, by wasmtime's own cache.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use wasmtime::{Cache, CacheConfig};

/// Bytes of all files; the least recently used ones are removed in the background.
const BYTES_MAX: u64 = 256 << 20;
const OWN: u32 = 0o700;
const OTHERS_WRITE: u32 = 0o022;

/// A folder of machine code, found by component, settings and version of the compiler.
///
/// What lies there is run as it is: whoever may write to the folder is trusted like the binary
/// itself. So serving aggregators have none, and compile what they verified.
#[derive(Clone, Debug)]
pub struct Compilations(Cache);

#[derive(Debug, Error)]
pub enum CompilationsError {
    #[error("{path}: {reason}", path = .0.display(), reason = .1)]
    Folder(PathBuf, io::Error),
    #[error("{path}: others may write there (mode {mode:03o})", path = .0.display(), mode = .1)]
    Shared(PathBuf, u32),
    #[error("{path}: {reason}", path = .0.display(), reason = .1)]
    Cache(PathBuf, String),
}

impl Compilations {
    /// In this folder, which is made where it is missing.
    pub fn open(folder: &Path) -> Result<Self, CompilationsError> {
        let failed = |error| CompilationsError::Folder(folder.to_owned(), error);
        let mut own = std::fs::DirBuilder::new();
        own.recursive(true)
            .mode(OWN)
            .create(folder)
            .map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let metadata = folder.metadata().map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & OTHERS_WRITE != 0 {
            return Err(CompilationsError::Shared(folder, mode));
        }
        let mut config = CacheConfig::new();
        config
            .with_directory(&folder)
            .with_files_total_size_soft_limit(BYTES_MAX)
            // Nothing is packed anew in the background, where it would disturb what is timed.
            .with_optimized_compression_usage_counter_threshold(u64::MAX);
        Cache::new(config)
            .map(Compilations)
            .map_err(|error| CompilationsError::Cache(folder, format!("{error:#}")))
    }

    pub(crate) fn cache(&self) -> Cache {
        self.0.clone()
    }

    /// Components that were found there, and those that had to be compiled.
    pub fn found_and_missed(&self) -> (usize, usize) {
        (self.0.cache_hits(), self.0.cache_misses())
    }
}
