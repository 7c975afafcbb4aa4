//! The part of PromQL that is answered: a plain selector, the same with a range, and arithmetic
//! on numbers (Grafana asks `1+1` to see whether anybody is there).

use std::time::Duration;

use promql_parser::label::Matcher;
use promql_parser::parser::token::{T_ADD, T_DIV, T_MOD, T_MUL, T_POW, T_SUB};
use promql_parser::parser::{self, Expr, VectorSelector};

use crate::names::Labels;

/// The longest query, in bytes.
const QUERY_BYTES_MAX: usize = 4096;
/// The most matchers of a selector.
const MATCHERS_MAX: usize = 32;

/// All matchers must hold; an absent label is empty.
#[derive(Clone, Debug)]
pub struct Selector(Vec<Matcher>);

#[derive(Clone, Debug)]
pub enum Asked {
    Scalar(f64),
    Instant(Selector),
    Range(Selector, Duration),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("invalid parameter \"query\": {0}")]
    Parse(String),
    #[error("the query has {0} bytes, more than {QUERY_BYTES_MAX}")]
    TooLong(usize),
    #[error("the selector has {0} matchers, more than {MATCHERS_MAX}")]
    TooMany(usize),
    #[error(
        "unsupported: {0}. Aggregation is done by rules; plain selectors are answered here, such \
         as cpu{{host=~\"a.*\"}}"
    )]
    Unsupported(&'static str),
}

impl Selector {
    pub fn matches(&self, labels: &Labels) -> bool {
        let holds = |matcher: &Matcher| {
            let value = labels.get(&matcher.name).unwrap_or_default();
            matcher.is_match(value)
        };
        self.0.iter().all(holds)
    }

    /// Whether a metric's name fits: a quick answer for all its series.
    pub fn may_match(&self, metric: &str) -> bool {
        let mut names = self.0.iter().filter(|matcher| matcher.name == "__name__");
        names.all(|matcher| matcher.is_match(metric))
    }

    /// A selector alone, as `match[]` wants it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        match parse(text)? {
            Asked::Instant(selector) => Ok(selector),
            Asked::Scalar(_) => Err(QueryError::Unsupported("a number instead of a selector")),
            Asked::Range(..) => Err(QueryError::Unsupported("a range in match[]")),
        }
    }
}

pub fn parse(text: &str) -> Result<Asked, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::TooLong(text.len()));
    }
    match parser::parse(text).map_err(QueryError::Parse)? {
        Expr::VectorSelector(selector) => Ok(Asked::Instant(plain(selector)?)),
        Expr::MatrixSelector(matrix) => Ok(Asked::Range(plain(matrix.vs)?, matrix.range)),
        other => scalar(&other).map(Asked::Scalar),
    }
}

fn plain(selector: VectorSelector) -> Result<Selector, QueryError> {
    if selector.offset.is_some() {
        return Err(QueryError::Unsupported("offset"));
    }
    if selector.at.is_some() {
        return Err(QueryError::Unsupported("the modifier @"));
    }
    if !selector.matchers.or_matchers.is_empty() {
        return Err(QueryError::Unsupported("\"or\" between matchers"));
    }
    let mut matchers = selector.matchers.matchers;
    if let Some(name) = selector.name {
        let name = Matcher::new_metric_name_matcher(name).map_err(QueryError::Parse)?;
        matchers.push(name);
    }
    if matchers.len() > MATCHERS_MAX {
        return Err(QueryError::TooMany(matchers.len()));
    }
    Ok(Selector(matchers))
}

fn scalar(expression: &Expr) -> Result<f64, QueryError> {
    let what = match expression {
        Expr::NumberLiteral(number) => return Ok(number.val),
        Expr::Paren(inner) => return scalar(&inner.expr),
        Expr::Unary(inner) => return Ok(-scalar(&inner.expr)?),
        Expr::Binary(binary) if binary.modifier.is_none() => {
            let (left, right) = (scalar(&binary.lhs)?, scalar(&binary.rhs)?);
            match binary.op.id() {
                T_ADD => return Ok(left + right),
                T_SUB => return Ok(left - right),
                T_MUL => return Ok(left * right),
                T_DIV => return Ok(left / right),
                T_MOD => return Ok(left % right),
                T_POW => return Ok(left.powf(right)),
                _ => "a comparison or a set operator",
            }
        }
        Expr::Binary(_) => "an operator with a modifier",
        Expr::Aggregate(_) => "an aggregation",
        Expr::Call(_) => "a function",
        Expr::Subquery(_) => "a subquery",
        Expr::StringLiteral(_) => "a string",
        Expr::VectorSelector(_) | Expr::MatrixSelector(_) => "an operator on selectors",
        Expr::Extension(_) => "an extension",
    };
    Err(QueryError::Unsupported(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emission::Group;
    use crate::names::Naming;

    fn labels(rule: &str, tags: &[(&str, &str)]) -> Labels {
        let tags = tags.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let (rule, tags) = (rule.into(), tags.collect());
        Naming::default().labels("acme", &Group { rule, tags }, "")
    }

    #[test]
    fn selectors_select() {
        let cpu = labels("cpu", &[("host", "a1"), ("env", "prod")]);
        let mem = labels("mem", &[("host", "b")]);
        let check = |text: &str, expected: (bool, bool)| {
            let selector = Selector::parse(text).unwrap();
            let told = (selector.matches(&cpu), selector.matches(&mem));
            assert_eq!(told, expected, "{text}");
            let quick = (selector.may_match("cpu"), selector.may_match("mem"));
            assert!((quick.0 || !told.0) && (quick.1 || !told.1), "{text}");
        };
        check("cpu", (true, false));
        check("mem", (false, true));
        check("cpu{}", (true, false));
        check(r#"cpu{host="a1"}"#, (true, false));
        check(r#"cpu{host="a"}"#, (false, false));
        check(r#"cpu{host="a1",env="prod",}"#, (true, false));
        check(r#"{host!="a1",host!=""}"#, (false, true));
        check(r#"{__name__="mem"}"#, (false, true));
        check(r#"{__name__=~".+"}"#, (true, true));
        check(r#"{__name__=~"c.*|m"}"#, (true, false));
        check(r#"{host=~"a.*"}"#, (true, false));
        check(r#"{host=~"a"}"#, (false, false));
        check(r#"{host!~"a.*",__name__!=""}"#, (false, true));
        check(r#"{__name__=~".+",env=""}"#, (false, true));
        check(r#"{__name__=~".+",env!=""}"#, (true, false));
        check(r#"{__name__=~".+",nothing!="x"}"#, (true, true));
        check(r#"cpu{host='a1'}"#, (true, false));
        check("cpu{host=`a1`}", (true, false));
        check(r#"cpu{host="\x61\u0031"}"#, (true, false));
        check("# what\n cpu # why", (true, false));
    }

    #[test]
    fn numbers_are_worked_out() {
        let check = |text: &str, expected: f64| match parse(text).unwrap() {
            Asked::Scalar(value) => assert_eq!(value.to_bits(), expected.to_bits(), "{text}"),
            other => panic!("{text}: {other:?}"),
        };
        check("1+1", 2.0);
        check("-(2 ^ 3) * 0.5 - 7 % 4", -7.0);
        check("1 / 0", f64::INFINITY);
        check("0x10", 16.0);
        check("NaN", f64::NAN);
    }

    #[test]
    fn ranges_have_a_length() {
        match parse("cpu[5m]").unwrap() {
            Asked::Range(_, range) => assert_eq!(range, Duration::from_secs(300)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_reason() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        for (text, part) in [
            ("rate(cpu[5m])", "a function"),
            ("sum(cpu)", "an aggregation"),
            ("sum by (host) (cpu)", "an aggregation"),
            ("cpu + 1", "an operator on selectors"),
            ("cpu > 1", "an operator on selectors"),
            ("1 > bool 2", "an operator with a modifier"),
            ("cpu offset 5m", "offset"),
            ("cpu @ 0", "the modifier @"),
            ("cpu[5m:1m]", "a subquery"),
            ("\"text\"", "a string"),
            (r#"cpu{a="1" or b="2"}"#, "\"or\" between matchers"),
        ] {
            check(text, &format!("unsupported: {part}"));
        }
        for text in [
            "",
            " ",
            "{}",
            "{a=\"\"}",
            "{a=~\".*\"}",
            "cpu{",
            "cpu}",
            "cpu{a}",
            "cpu{a=}",
            "cpu{a=b}",
            "cpu{a=\"b}",
            "cpu{a==\"b\"}",
            "cpu{a=\"b\" c=\"d\"}",
            "cpu{a=~\"(\"}",
            "cpu{a=~\"a{99999}{99999}\"}",
            "cpu cpu",
            "cpu[",
            "cpu[5m",
            "cpu[-5m]",
            "1 +",
            "(1",
            "\0",
            "é",
            "cpu{host=\"\\q\"}",
            "cpu{__name__=\"mem\"}",
            "cpu[5m] offset",
            "sum(",
        ] {
            check(text, "invalid parameter \"query\"");
        }
        check(&"a".repeat(QUERY_BYTES_MAX + 1), "4097 bytes");
        let many = vec!["a=\"b\""; MATCHERS_MAX + 1].join(",");
        check(&format!("{{{many}}}"), "33 matchers");
        check(&"(".repeat(QUERY_BYTES_MAX), "invalid parameter");
        assert!(Selector::parse("1").is_err() && Selector::parse("cpu[1m]").is_err());
    }

    #[test]
    fn deep_queries_do_no_harm() {
        let deep = QUERY_BYTES_MAX / 2 - 1;
        let text = format!("{}1{}", "(".repeat(deep), ")".repeat(deep));
        assert!(matches!(parse(&text), Ok(Asked::Scalar(one)) if one == 1.0));
    }
}
