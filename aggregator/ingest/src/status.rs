//! `google.rpc.Status`: how OTLP says that a request failed.

use prost::Message;

use crate::refusal::Refusal;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// The status in protobuf, with how long to wait where trying again may help.
pub fn protobuf(refusal: &Refusal) -> Vec<u8> {
    let detail = |seconds: u32| {
        let retry_delay = Some(Duration {
            seconds: seconds.into(),
        });
        Any {
            type_url: RETRY_INFO.to_owned(),
            value: RetryInfo { retry_delay }.encode_to_vec(),
        }
    };
    let status = Status {
        code: refusal.grpc_code(),
        message: refusal.to_string(),
        details: refusal.retry_after_s().map(detail).into_iter().collect(),
    };
    status.encode_to_vec()
}

/// The status in JSON.
pub fn json(refusal: &Refusal) -> Vec<u8> {
    let details: Vec<_> = refusal
        .retry_after_s()
        .map(|s| serde_json::json!({ "@type": RETRY_INFO, "retryDelay": format!("{s}s") }))
        .into_iter()
        .collect();
    let status = serde_json::json!({
        "code": refusal.grpc_code(),
        "message": refusal.to_string(),
        "details": details,
    });
    status.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_succeed_later_says_when() {
        let check = |refusal: Refusal, code, seconds: Option<i64>| {
            let status = Status::decode(&protobuf(&refusal)[..]).unwrap();
            let delays = status.details.iter().map(|detail| {
                assert_eq!(detail.type_url, RETRY_INFO);
                let info = RetryInfo::decode(&detail.value[..]).unwrap();
                info.retry_delay.unwrap().seconds
            });
            assert_eq!(delays.collect::<Vec<_>>(), Vec::from_iter(seconds));
            assert_eq!((status.code, status.message), (code, refusal.to_string()));
            let told: serde_json::Value = serde_json::from_slice(&json(&refusal)).unwrap();
            assert_eq!(told["code"], code);
            assert_eq!(
                told["details"].as_array().unwrap().len(),
                seconds.iter().count()
            );
        };
        check(Refusal::Overloaded, 8, Some(1));
        check(Refusal::Behind, 8, Some(1));
        let retry_after = std::time::Duration::from_millis(6_001);
        let too_fast = Refusal::TooFast {
            points_per_s: 9,
            retry_after,
        };
        check(too_fast, 8, Some(7));
        check(Refusal::TooLarge("big".to_owned()), 8, None);
        check(Refusal::Unavailable("away".to_owned()), 14, Some(5));
        check(Refusal::Malformed("bad".to_owned()), 3, None);
        check(Refusal::NoToken, 16, None);
        check(Refusal::Forbidden("no".to_owned()), 7, None);
    }
}
