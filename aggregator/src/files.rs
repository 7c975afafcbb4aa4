//! Replacing a small file as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes and syncs a new file beside `path`, then renames it over: a crash leaves the old bytes or
/// the new ones.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
