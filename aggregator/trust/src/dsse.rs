//! The DSSE envelope: what is signed is the payload's exact bytes, and what is parsed is the same
//! bytes, so nothing is ever serialised again on the way.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde::{Deserialize, Serialize};

use crate::{Refusal, ENVELOPE_BYTES_MAX};

/// The type of every payload here: an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// More signatures than two roles and a key rotation can need.
pub const SIGNATURES_MAX: usize = 8;

/// An envelope whose form is right. Nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub payload_type: String,
    pub payload: Vec<u8>,
    pub signatures: Vec<Signature>,
}

/// One signature; `keyid` is a hint that nobody signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub keyid: String,
    pub sig: Vec<u8>,
}

/// A signature as it is written in an envelope and in answers of the validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireSignature {
    pub keyid: String,
    /// Base64 of the 64 bytes.
    pub sig: String,
}

#[derive(Serialize, Deserialize)]
struct WireEnvelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

/// The pre-authentication encoding: the bytes over which a signature is made.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    let mut encoded = Vec::with_capacity(head.len() + payload.len());
    encoded.extend_from_slice(head.as_bytes());
    encoded.extend_from_slice(payload);
    encoded
}

impl Envelope {
    /// Reads an envelope: its size first, then its form. Fields that DSSE does not name are
    /// ignored, as the specification asks: they are not signed and mean nothing here.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(Refusal::TooLarge {
                size: bytes.len(),
                max: ENVELOPE_BYTES_MAX,
            });
        }
        let wire: WireEnvelope =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if wire.signatures.len() > SIGNATURES_MAX {
            let count = wire.signatures.len();
            return Err(malformed(format!(
                "{count} signatures; the limit is {SIGNATURES_MAX}"
            )));
        }
        let payload =
            decode(&wire.payload).map_err(|detail| malformed(format!("payload: {detail}")))?;
        let mut signatures = Vec::with_capacity(wire.signatures.len());
        for (index, signature) in wire.signatures.into_iter().enumerate() {
            let sig = decode(&signature.sig)
                .map_err(|detail| malformed(format!("signature {index}: {detail}")))?;
            signatures.push(Signature {
                keyid: signature.keyid,
                sig,
            });
        }
        Ok(Self {
            payload_type: wire.payload_type,
            payload,
            signatures,
        })
    }
}

/// Writes an envelope around a statement's exact bytes.
pub fn write(statement: &[u8], signatures: &[WireSignature]) -> Vec<u8> {
    let wire = WireEnvelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: encode(statement),
        signatures: signatures.to_vec(),
    };
    serde_json::to_vec(&wire).expect("invariant: strings always serialise")
}

/// Standard base64 with padding, the only form that is written or read.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// See [`encode`].
pub fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text)
        .map_err(|error| format!("not base64: {error}"))
}

fn malformed(detail: String) -> Refusal {
    Refusal::MalformedEnvelope { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_matches_the_specification() {
        let encoded = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            encoded,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
        // Lengths count bytes, not characters.
        assert_eq!(pae("é", "é".as_bytes()), "DSSEv1 2 é 2 é".as_bytes());
    }

    fn check(text: &str, expected: Result<(), &str>) {
        let found = Envelope::parse(text.as_bytes());
        match (found, expected) {
            (Ok(_), Ok(())) => {}
            (Err(refusal), Err(part)) => {
                assert_eq!(refusal.reason(), "malformed-envelope", "{text}");
                assert!(refusal.to_string().contains(part), "{refusal}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn form_of_an_envelope() {
        let signature = r#"{"keyid":"k","sig":"AA=="}"#;
        let nine = [signature; 9].join(",");
        let wrap = |payload: &str, signatures: &str| {
            format!(r#"{{"payloadType":"t","payload":"{payload}","signatures":[{signatures}]}}"#)
        };
        check(&wrap("AA==", signature), Ok(()));
        check(&wrap("AA==", ""), Ok(()));
        check(&wrap("AA==", &nine), Err("9 signatures; the limit is 8"));
        check(&wrap("AA", signature), Err("payload: not base64"));
        check(&wrap("A-==", signature), Err("payload: not base64"));
        check(
            &wrap("AA==", r#"{"keyid":"k","sig":"!"}"#),
            Err("signature 0: not base64"),
        );
        check(
            &wrap("AA==", r#"{"sig":"AA=="}"#),
            Err("missing field `keyid`"),
        );
        check(
            r#"{"payloadType":"t","signatures":[]}"#,
            Err("missing field `payload`"),
        );
        check(
            r#"{"payloadType":"t","payload":"","payload":"AA==","signatures":[]}"#,
            Err("duplicate field `payload`"),
        );
        check(
            r#"{"payloadType":"t","payload":"","signatures":[],"later":1}"#,
            Ok(()),
        );
        check("", Err("EOF"));
        check("[]", Err("invalid"));
    }

    #[test]
    fn size_is_checked_before_the_form() {
        let refusal = Envelope::parse(&vec![b'{'; ENVELOPE_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(refusal.reason(), "too-large");
        let refusal = Envelope::parse(&vec![b'{'; ENVELOPE_BYTES_MAX]).unwrap_err();
        assert_eq!(refusal.reason(), "malformed-envelope");
    }

    #[test]
    fn what_is_written_is_read() {
        let signature = WireSignature {
            keyid: "k".into(),
            sig: encode(&[7; 64]),
        };
        let envelope = Envelope::parse(&write(b"{}", &[signature])).unwrap();
        assert_eq!(envelope.payload, b"{}");
        assert_eq!(envelope.payload_type, PAYLOAD_TYPE);
        assert_eq!(envelope.signatures[0].sig, [7; 64]);
    }
}
