//! Components in the object store.

use async_nats::jetstream::object_store::{GetErrorKind, ObjectStore};
use ratchet_trust::{module_bytes_max, ModuleDigest, Refusal};
use tokio::io::AsyncReadExt;

use super::SwapRefusal;

/// Reads a component, never more than the limit; whoever gets it checks it.
pub async fn fetch(
    modules: &ObjectStore,
    digest: ModuleDigest,
    foreign: bool,
) -> Result<Vec<u8>, SwapRefusal> {
    let object = match modules.get(digest.to_string()).await {
        Ok(object) => object,
        Err(error) if error.kind() == GetErrorKind::NotFound => {
            return Err(Refusal::ModuleMissing { module: digest }.into());
        }
        Err(error) => return Err(SwapRefusal::Store(error.to_string())),
    };
    let mut bytes = Vec::new();
    let read = object
        .take(module_bytes_max(foreign) as u64 + 1)
        .read_to_end(&mut bytes)
        .await;
    read.map_err(|error| SwapRefusal::Store(error.to_string()))?;
    Ok(bytes)
}
