//! Parameters of Prometheus's API: of the query or of a form, which are read alike.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::evaluate::Steps;
use super::selector::{QueryError, Selector};

/// The most steps of a range, as Prometheus has it.
const STEPS_MAX: usize = 11_000;
/// Seconds around the epoch that moments may lie in: to the year 9999.
const SECONDS_MAX: f64 = 253_402_300_800.0;
/// The most selectors of one request.
const SELECTORS_MAX: usize = 20;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    #[error("invalid parameter {0:?}: it is missing")]
    Missing(&'static str),
    #[error("invalid parameter {name:?}: cannot parse {value:?} to a valid {what}")]
    Malformed {
        name: &'static str,
        value: String,
        what: &'static str,
    },
    #[error("invalid parameter \"end\": end timestamp must not be before start time")]
    Order,
    #[error(
        "invalid parameter \"step\": zero or negative query resolution step widths are not \
         accepted. Try a positive integer"
    )]
    Step,
    #[error(
        "exceeded maximum resolution of {STEPS_MAX} points per timeseries. Try decreasing the \
         query resolution (?step=XX)"
    )]
    Resolution,
    #[error("invalid parameter \"match[]\": more than {SELECTORS_MAX} selectors")]
    Selectors,
    #[error("invalid parameter \"match[]\": {0}")]
    Selector(QueryError),
}

pub struct Params(Vec<(String, String)>);

impl Params {
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Of the query and of a form in the body: the query first.
    pub fn of_request(query: Option<&str>, form: &[u8]) -> Self {
        let mut params = Self::parse(query.unwrap_or_default().as_bytes());
        params.0.extend(Self::parse(form).0);
        params
    }

    /// The first value that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named.find_map(|(_, value)| (!value.is_empty()).then_some(value.as_str()))
    }

    pub fn query(&self) -> Result<&str, ParamError> {
        self.get("query").ok_or(ParamError::Missing("query"))
    }

    /// A moment in milliseconds.
    pub fn moment(&self, name: &'static str) -> Result<Option<i64>, ParamError> {
        let parse = |text: &str| moment(text).ok_or_else(|| malformed(name, text, "timestamp"));
        self.get(name).map(parse).transpose()
    }

    pub fn steps(&self) -> Result<Steps, ParamError> {
        let moment = |name| self.moment(name)?.ok_or(ParamError::Missing(name));
        let (start_ms, end_ms) = (moment("start")?, moment("end")?);
        if end_ms < start_ms {
            return Err(ParamError::Order);
        }
        let text = self.get("step").ok_or(ParamError::Missing("step"))?;
        let step_ms = step(text).ok_or_else(|| malformed("step", text, "duration"))?;
        if step_ms <= 0 {
            return Err(ParamError::Step);
        }
        let steps = Steps {
            start_ms,
            end_ms,
            step_ms,
        };
        if steps.count() > STEPS_MAX {
            return Err(ParamError::Resolution);
        }
        Ok(steps)
    }

    pub fn limit(&self) -> Result<Option<usize>, ParamError> {
        let parse = |text: &str| {
            let number = text.parse().ok();
            number.ok_or_else(|| malformed("limit", text, "number"))
        };
        self.get("limit").map(parse).transpose()
    }

    /// Every `match[]`.
    pub fn selectors(&self) -> Result<Vec<Selector>, ParamError> {
        let texts = self.0.iter().filter(|(name, _)| name == "match[]");
        let texts: Vec<&str> = texts.map(|(_, value)| value.as_str()).collect();
        if texts.len() > SELECTORS_MAX {
            return Err(ParamError::Selectors);
        }
        let parse = |text: &&str| Selector::parse(text).map_err(ParamError::Selector);
        texts.iter().map(parse).collect()
    }
}

fn malformed(name: &'static str, value: &str, what: &'static str) -> ParamError {
    let value = value.chars().take(100).collect();
    ParamError::Malformed { name, value, what }
}

/// Seconds since the epoch, or a date of RFC 3339.
fn moment(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let bounded = seconds.abs() < SECONDS_MAX;
        return bounded.then_some((1000.0 * seconds).round() as i64);
    }
    let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Seconds, or a length of time as PromQL writes it.
fn step(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let bounded = seconds.abs() < SECONDS_MAX;
        return bounded.then_some((1000.0 * seconds) as i64);
    }
    let length = promql_parser::util::parse_duration(text).ok()?;
    i64::try_from(length.as_millis())
        .ok()
        .filter(|ms| *ms < (1000.0 * SECONDS_MAX) as i64)
}

pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(moment(text), expected, "{text:?}");
        };
        check("0", Some(0));
        check("1700000000.123", Some(1_700_000_000_123));
        check("1.7e9", Some(1_700_000_000_000));
        check("-5", Some(-5000));
        check("2023-11-14T22:13:20Z", Some(1_700_000_000_000));
        check("2023-11-14T23:13:20.5+01:00", Some(1_700_000_000_500));
        for bad in [
            "",
            "now",
            "NaN",
            "inf",
            "1e20",
            "2023-11-14",
            "2023-13-14T22:13:20Z",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn ranges() {
        let check = |text: &str, expected: Result<(i64, i64, i64), &str>| {
            let steps = Params::parse(text.as_bytes()).steps();
            match (steps, expected) {
                (Ok(steps), Ok(expected)) => {
                    assert_eq!((steps.start_ms, steps.end_ms, steps.step_ms), expected);
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (told, expected) => panic!("{text}: {told:?}, not {expected:?}"),
            }
        };
        check("start=0&end=10&step=5", Ok((0, 10_000, 5000)));
        check("start=0&end=11000&step=1s", Err("11000 points"));
        check("start=0&end=10999&step=1s", Ok((0, 10_999_000, 1000)));
        check("start=0&end=60&step=1m30s", Ok((0, 60_000, 90_000)));
        check("start=5&end=5&step=0.25", Ok((5000, 5000, 250)));
        check("start=6&end=5&step=1", Err("before start"));
        check("end=5&step=1", Err("\"start\": it is missing"));
        check("start=1&step=1", Err("\"end\": it is missing"));
        check("start=1&end=2", Err("\"step\": it is missing"));
        check("start=1&end=2&step=", Err("\"step\": it is missing"));
        check("start=1&end=2&step=0", Err("zero or negative"));
        check("start=1&end=2&step=-1", Err("zero or negative"));
        check("start=1&end=2&step=0.0001", Err("zero or negative"));
        check("start=1&end=2&step=often", Err("\"often\""));
        check("start=x&end=2&step=1", Err("\"x\""));
        check(
            "start=-253402300799&end=253402300799&step=1",
            Err("11000 points"),
        );
    }

    #[test]
    fn selectors_and_limits() {
        let check = |text: &str, expected: Result<usize, &str>| {
            let told = Params::parse(text.as_bytes()).selectors();
            match (told, expected) {
                (Ok(selectors), Ok(expected)) => assert_eq!(selectors.len(), expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (told, expected) => panic!("{text}: {told:?}, not {expected:?}"),
            }
        };
        check("", Ok(0));
        check("match[]=cpu&match%5B%5D=%7Ba%3D%22b%22%7D", Ok(2));
        check("match[]=cpu(", Err("match[]"));
        check(&"match[]=a&".repeat(21), Err("more than 20"));
        let limit = |text: &str| Params::parse(text.as_bytes()).limit();
        assert_eq!((limit("limit=5"), limit("")), (Ok(Some(5)), Ok(None)));
        assert!(limit("limit=-1").is_err() && limit("limit=x").is_err());
    }
}
