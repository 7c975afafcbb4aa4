//! Traces of requests, and the one that a request is part of by the header `traceparent` of W3C
//! Trace Context.

use axum::http::HeaderMap;

use crate::organization::Org;
use crate::refusal::Refusal;
use crate::tally::Tally;

pub const TRACEPARENT: &str = "traceparent";
/// `00-`, the trace, `-`, the span, `-`, the flags.
const LENGTH: usize = 55;
const DASHES: [usize; 3] = [2, 35, 52];
/// No version of the format.
const FORBIDDEN: &str = "ff";

/// Makes traces of requests.
pub trait RequestTraces: Send + Sync {
    /// Begins the trace of a request, if it is to have one; below its parent, the well-formed
    /// header of its sender, if there is one.
    fn begin(
        &self,
        parent: Option<&str>,
        org: &Org,
        protocol: &'static str,
    ) -> Option<Box<dyn RequestTrace>>;
}

/// The trace of a request until that ends. One that is dropped before was given up.
pub trait RequestTrace: Send + Sync {
    /// The header that its messages go on with.
    fn traceparent(&self) -> String;

    /// What it brought is stored, as far as it was taken.
    fn stored(self: Box<Self>, tally: &Tally);

    /// It is not taken.
    fn refused(self: Box<Self>, refusal: &Refusal);
}

/// The header as it goes on with the messages of the request; none if it is not well formed, or
/// there are several.
pub fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let text = all.next()?.to_str().ok()?;
    (all.next().is_none() && is_traceparent(text)).then(|| text.to_owned())
}

fn is_traceparent(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match byte {
        b'-' => DASHES.contains(&at),
        b'0'..=b'9' | b'a'..=b'f' => !DASHES.contains(&at),
        _ => false,
    };
    text.len() == LENGTH && !text.starts_with(FORBIDDEN) && (0..).zip(text.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_well_formed_goes_on() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let check = |values: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRACEPARENT, value.parse().unwrap());
            }
            assert_eq!(traceparent(&headers).as_deref(), expected, "{values:?}");
        };
        check(&[good], Some(good));
        check(&[], None);
        check(&[good, good], None);
        check(&[&good[..54]], None);
        check(&[&format!("{good}-1")], None);
        check(&[&good.replacen("00", "ff", 1)], None);
        check(&[&good.to_uppercase()], None);
        check(&[&good.replace('-', "0")], None);
        check(&["x"], None);
    }
}
