//! Signing: over the pre-authentication encoding of a statement's exact bytes.

use crate::dsse::{self, WireSignature};
use crate::keys::PrivateKey;

/// Signs a statement's exact bytes. Both roles use it; the validator only after it has rebuilt
/// what the statement says from its own records.
pub fn countersign(key: &PrivateKey, statement: &[u8]) -> WireSignature {
    let sig = key.sign(&dsse::pae(dsse::PAYLOAD_TYPE, statement));
    WireSignature {
        keyid: key.keyid().to_string(),
        sig: dsse::encode(&sig),
    }
}
