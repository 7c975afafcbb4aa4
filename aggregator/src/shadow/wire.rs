//! Requests and answers, as JSON.

use ratchet_trust::dsse::{self, WireSignature};
use ratchet_trust::{module_bytes_max, ConfigurationDigest, ModuleDigest, OrgName, FLEET};
use serde::{Deserialize, Serialize};

use super::ledger::Word;

const REQUEST_BYTES_MAX: usize = 128 * 1024;
const CANDIDATE_BYTES_MAX: usize = 200;
/// The number in a generation's name has at most so many digits.
const NUMBER_DIGITS_MAX: usize = 12;

/// A question about one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateRequest {
    pub org: OrgName,
    pub configuration: ConfigurationDigest,
    pub module: ModuleDigest,
    pub size: u64,
    /// `<org>/gen/<n>` or `<org>/gen/<n>/r<k>`.
    pub generation: String,
    pub candidate: String,
    /// Whether a tenant brought it: it need not be faster than what serves, and may be no other.
    #[serde(default)]
    pub foreign: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountersignRequest {
    statement: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusRequest {
    pub org: OrgName,
    pub configuration: ConfigurationDigest,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Verdict {
        verdict: Word,
    },
    Signature(WireSignature),
    Status {
        held_back: u64,
        training: u64,
        accepted_version: u64,
    },
    Refusal(Refused),
}

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub error: &'static str,
    pub detail: String,
}

impl Refused {
    pub fn new(error: &'static str, detail: impl Into<String>) -> Self {
        Self {
            error,
            detail: detail.into(),
        }
    }
}

impl Answer {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: strings and numbers always serialise")
    }
}

pub fn evaluate_request(bytes: &[u8]) -> Result<EvaluateRequest, Refused> {
    let request: EvaluateRequest = parse(bytes)?;
    let none = request.configuration == ConfigurationDigest::NONE;
    if (request.org.as_str() == FLEET) != none {
        return Err(malformed(
            "the fleet module, and no other, is of no configuration",
        ));
    }
    if request.foreign && none {
        return Err(malformed("the fleet module is never a foreign one"));
    }
    let limit = module_bytes_max(request.foreign);
    if !(1..=limit as u64).contains(&request.size) {
        let detail = format!("{} bytes; the limit is {limit}", request.size);
        return Err(Refused::new("module-size", detail));
    }
    if !is_generation_of(&request.generation, request.org.as_str()) {
        let shown: String = request
            .generation
            .chars()
            .take(CANDIDATE_BYTES_MAX)
            .collect();
        return Err(malformed(format!(
            "`{shown}` is no generation of `{}`",
            request.org
        )));
    }
    if !(1..=CANDIDATE_BYTES_MAX).contains(&request.candidate.len()) {
        return Err(malformed(format!(
            "a candidate id of {} bytes",
            request.candidate.len()
        )));
    }
    Ok(request)
}

/// The exact bytes of the statement to be signed.
pub fn countersign_request(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let request: CountersignRequest = parse(bytes)?;
    dsse::decode(&request.statement).map_err(|detail| malformed(format!("statement: {detail}")))
}

pub fn status_request(bytes: &[u8]) -> Result<StatusRequest, Refused> {
    parse(bytes)
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refused> {
    if bytes.len() > REQUEST_BYTES_MAX {
        let size = bytes.len();
        return Err(malformed(format!(
            "{size} bytes; the limit is {REQUEST_BYTES_MAX}"
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))
}

fn malformed(detail: impl Into<String>) -> Refused {
    Refused::new("malformed-request", detail)
}

fn is_generation_of(name: &str, org: &str) -> bool {
    let is_number = |text: &str| {
        (1..=NUMBER_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [owner, "gen", number] => *owner == org && is_number(number),
        [owner, "gen", number, again] => {
            *owner == org && is_number(number) && again.strip_prefix('r').is_some_and(is_number)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratchet_trust::{FOREIGN_BYTES_MAX, MODULE_BYTES_MAX};
    use serde_json::{json, Value};

    fn request(changes: Value) -> Result<EvaluateRequest, Refused> {
        let digest = "a".repeat(64);
        let mut request = json!({
            "org": "acme", "configuration": digest, "module": digest, "size": 1000,
            "generation": "acme/gen/7", "candidate": "c1",
        });
        for (field, value) in changes.as_object().unwrap() {
            request[field] = value.clone();
        }
        evaluate_request(request.to_string().as_bytes())
    }

    #[test]
    fn evaluate_requests() {
        let check = |changes: Value, expected: Result<(), (&str, &str)>| match (
            request(changes.clone()),
            expected,
        ) {
            (Ok(_), Ok(())) => {}
            (Err(refused), Err((error, part))) => {
                assert_eq!(refused.error, error, "{changes}");
                assert!(
                    refused.detail.contains(part),
                    "{changes}: {}",
                    refused.detail
                );
            }
            (found, _) => panic!("{changes}: {found:?}"),
        };
        check(json!({}), Ok(()));
        check(json!({ "generation": "acme/gen/7/r2" }), Ok(()));
        check(json!({ "size": MODULE_BYTES_MAX }), Ok(()));
        check(
            json!({ "size": MODULE_BYTES_MAX + 1 }),
            Err(("module-size", "4194305 bytes")),
        );
        check(json!({ "size": 0 }), Err(("module-size", "0 bytes")));
        let no_generation = [
            "globex/gen/7",
            "acme/gen/",
            "acme/gen/x",
            "acme/gen/7/",
            "acme/gen/7/r",
            "acme/gen/7/r1/r2",
            "acme/7",
            "",
            "acme/gen/1234567890123",
        ];
        for generation in no_generation {
            let refusal = ("malformed-request", "is no generation of `acme`");
            check(json!({ "generation": generation }), Err(refusal));
        }
        check(
            json!({ "org": "Acme" }),
            Err(("malformed-request", "`Acme`")),
        );
        check(
            json!({ "module": "abc" }),
            Err(("malformed-request", "`abc`")),
        );
        check(
            json!({ "candidate": "" }),
            Err(("malformed-request", "0 bytes")),
        );
        check(
            json!({ "candidate": "c".repeat(201) }),
            Err(("malformed-request", "201 bytes")),
        );
        check(
            json!({ "seed": 1 }),
            Err(("malformed-request", "unknown field")),
        );
        let long = vec![b' '; REQUEST_BYTES_MAX + 1];
        assert!(evaluate_request(&long)
            .unwrap_err()
            .detail
            .contains("131073 bytes"));
    }

    #[test]
    fn a_foreign_component_may_be_larger() {
        let ask = |size: usize| request(json!({ "foreign": true, "size": size }));
        assert!(ask(FOREIGN_BYTES_MAX).is_ok());
        let refused = ask(FOREIGN_BYTES_MAX + 1).unwrap_err();
        assert_eq!(refused.error, "module-size");
        assert!(refused.detail.contains("16777217 bytes"), "{refused:?}");
    }

    #[test]
    fn the_fleet_is_of_no_configuration() {
        let none = "0".repeat(64);
        let fleet = json!({ "org": "fleet", "generation": "fleet/gen/7" });
        for changes in [&fleet, &json!({ "configuration": none })] {
            let refused = request(changes.clone()).unwrap_err();
            assert_eq!(refused.error, "malformed-request", "{changes}");
            assert!(refused.detail.contains("no configuration"), "{refused:?}");
        }
        let mut asked = fleet;
        asked["configuration"] = json!(none);
        assert!(request(asked.clone()).is_ok());
        asked["foreign"] = json!(true);
        let refused = request(asked).unwrap_err();
        assert!(
            refused.detail.contains("never a foreign one"),
            "{refused:?}"
        );
    }

    #[test]
    fn countersign_requests() {
        let statement = countersign_request(br#"{"statement":"e30="}"#);
        assert_eq!(statement, Ok(b"{}".to_vec()));
        for text in [
            "",
            "{}",
            r#"{"statement":"?"}"#,
            r#"{"statement":"e30=","key":1}"#,
        ] {
            let refused = countersign_request(text.as_bytes()).unwrap_err();
            assert_eq!(refused.error, "malformed-request", "{text}");
        }
    }

    #[test]
    fn answers() {
        let check = |answer: Answer, expected: Value| {
            assert_eq!(
                serde_json::from_slice::<Value>(&answer.to_json()).unwrap(),
                expected
            );
        };
        check(
            Answer::Verdict {
                verdict: Word::Insufficient,
            },
            json!({"verdict": "insufficient"}),
        );
        let signature = WireSignature {
            keyid: "k".into(),
            sig: "s".into(),
        };
        check(
            Answer::Signature(signature),
            json!({ "keyid": "k", "sig": "s" }),
        );
        check(
            Answer::Status {
                held_back: 1,
                training: 2,
                accepted_version: 3,
            },
            json!({ "held_back": 1, "training": 2, "accepted_version": 3 }),
        );
        check(
            Answer::Refusal(Refused::new("busy", "later")),
            json!({ "error": "busy", "detail": "later" }),
        );
    }
}
