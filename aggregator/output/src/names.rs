//! What an aggregated point is called in Prometheus: the rule is the metric, the group's tags are
//! the labels, both spelled as Prometheus asks.
//!
//! Different rules of an organization never share a series: where the spelling of a rule's id had
//! to change (`checkout-cpu` becomes `checkout_cpu`), the id itself is the label `rule`.

use crate::emission::Group;

/// The label that holds a rule's id where the metric's name differs from it.
pub const RULE_LABEL: &str = "rule";
/// Between the values of two tags whose keys become the same label.
const JOINED_BY: char = ';';

/// Labels of one series, sorted by name, names different; `__name__` is one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .binary_search_by(|(known, _)| known.as_str().cmp(name));
        found.ok().map(|index| self.0[index].1.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The memory that they take, about.
    pub fn bytes(&self) -> usize {
        let text: usize = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        text + self.0.len() * size_of::<(String, String)>()
    }
}

/// How series are named. The default adds nothing.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// In front of every metric's name.
    pub prefix: String,
    /// The label that holds the organization's name.
    pub org_label: Option<String>,
    /// Labels that every series has.
    pub extra: Vec<(String, String)>,
}

impl Naming {
    /// The name of a rule's metric.
    pub fn metric(&self, rule: &str) -> String {
        spell(&format!("{}{rule}", self.prefix), |c| c == ':')
    }

    /// The labels of a group. Labels that are given come first: a tag that would hide one of
    /// them is called `exported_<tag>`, as Prometheus does with what it scrapes.
    pub fn labels(&self, org: &str, group: &Group, suffix: &str) -> Labels {
        let metric = self.metric(&group.rule);
        let mut labels = Vec::with_capacity(group.tags.len() + self.extra.len() + 3);
        if metric[self.prefix.len().min(metric.len())..] != *group.rule {
            labels.push((RULE_LABEL.to_owned(), group.rule.to_string()));
        }
        labels.push(("__name__".to_owned(), metric + suffix));
        if let Some(name) = &self.org_label {
            labels.push((name.clone(), org.to_owned()));
        }
        for (name, value) in &self.extra {
            if !labels.iter().any(|(known, _)| known == name) {
                labels.push((name.clone(), value.clone()));
            }
        }
        let given = labels.len();
        for (key, value) in &group.tags {
            add_tag(&mut labels, given, key, value);
        }
        labels.sort_unstable();
        Labels(labels)
    }
}

fn add_tag(labels: &mut Vec<(String, String)>, given: usize, key: &str, value: &str) {
    let mut name = label_name(key);
    while labels[..given].iter().any(|(known, _)| *known == name) {
        name.insert_str(0, "exported_");
    }
    match labels[given..].iter_mut().find(|(known, _)| *known == name) {
        Some((_, joined)) => {
            joined.push(JOINED_BY);
            joined.push_str(value);
        }
        None => labels.push((name, value.to_owned())),
    }
}

/// A tag's key as the name of a label: what Prometheus does not take becomes `_`; names in
/// Prometheus's own space, which begin with `__`, get `exported` in front.
pub fn label_name(key: &str) -> String {
    let name = spell(key, |_| false);
    if name.starts_with("__") {
        format!("exported{name}")
    } else {
        name
    }
}

/// Whether Prometheus takes a name for a label that users may set.
pub fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with("__") && label_name(name) == name
}

fn spell(text: &str, also: impl Fn(char) -> bool) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
    let mut name: String = text
        .chars()
        .map(|c| if legal(c) { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naming(prefix: &str, org_label: Option<&str>, extra: &[(&str, &str)]) -> Naming {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Naming {
            prefix: prefix.to_owned(),
            org_label: org_label.map(str::to_owned),
            extra: extra.iter().map(owned).collect(),
        }
    }

    fn group(rule: &str, tags: &[(&str, &str)]) -> Group {
        let tags = tags.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Group {
            rule: rule.into(),
            tags: tags.collect(),
        }
    }

    fn shown(labels: &Labels) -> String {
        let label = |(name, value)| format!("{name}={value}");
        labels.iter().map(label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn groups_become_labels() {
        let plain = naming("", None, &[]);
        let check = |naming: &Naming, rule: &str, tags: &[(&str, &str)], expected: &str| {
            assert_eq!(
                shown(&naming.labels("acme", &group(rule, tags), "")),
                expected
            );
        };
        check(&plain, "cpu", &[("host", "a")], "__name__=cpu host=a");
        check(
            &plain,
            "cpu",
            &[("z", "1"), ("a", "2")],
            "__name__=cpu a=2 z=1",
        );
        check(&plain, "a-b.c", &[], "__name__=a_b_c rule=a-b.c");
        check(&plain, "9x", &[], "__name__=_9x rule=9x");
        check(&plain, "cpu", &[("k8s.pod", "p")], "__name__=cpu k8s_pod=p");
        check(
            &plain,
            "cpu",
            &[("a.b", "1"), ("a-b", "2")],
            "__name__=cpu a_b=1;2",
        );
        check(
            &plain,
            "cpu",
            &[("__name__", "x")],
            "__name__=cpu exported__name__=x",
        );
        check(
            &plain,
            "cpu",
            &[("7", "x"), ("é", "y")],
            "_=y _7=x __name__=cpu",
        );
        check(&plain, "cpu", &[("rule", "x")], "__name__=cpu rule=x");
        check(
            &plain,
            "c-u",
            &[("rule", "x")],
            "__name__=c_u exported_rule=x rule=c-u",
        );
        let told = naming("ratchet:", Some("org"), &[("env", "prod"), ("org", "no")]);
        check(
            &told,
            "cpu",
            &[("host", "a")],
            "__name__=ratchet:cpu env=prod host=a org=acme",
        );
        check(
            &told,
            "c-u",
            &[("env", "x"), ("exported_env", "y")],
            "__name__=ratchet:c_u env=prod exported_env=x;y org=acme rule=c-u",
        );
        let counted = plain.labels("acme", &group("cpu", &[]), "_count");
        assert_eq!(counted.get("__name__"), Some("cpu_count"));
        assert_eq!((counted.get("host"), counted.get("")), (None, None));
    }

    #[test]
    fn names_that_users_may_set() {
        for name in ["a", "_a", "A9_"] {
            assert!(is_label_name(name), "{name}");
        }
        for name in ["", "__a", "9", "a-b", "a b", "é", "a:b"] {
            assert!(!is_label_name(name), "{name}");
        }
    }

    proptest! {
        /// Whatever the tags are, names are legal, sorted and different.
        #[test]
        fn labels_are_what_prometheus_takes(
            rule in "[a-z0-9][a-z0-9._-]{0,20}",
            tags in proptest::collection::btree_map(".{1,8}", ".{1,8}", 0..8),
        ) {
            let tags: Vec<_> = tags.iter().map(|(k, v)| (&**k, &**v)).collect();
            let naming = naming("", Some("org"), &[]);
            let labels = naming.labels("acme", &group(&rule, &tags), "");
            let names: Vec<_> = labels.iter().map(|(name, _)| name.to_owned()).collect();
            prop_assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
            prop_assert!(names.iter().all(|n| n == "__name__" || is_label_name(n)), "{names:?}");
        }

        /// Two rules never share a series.
        #[test]
        fn rules_stay_apart(a in "[a-z0-9][._a-]{0,3}", b in "[a-z0-9][._a-]{0,3}") {
            let naming = Naming::default();
            let labels = |rule: &str| naming.labels("acme", &group(rule, &[]), "");
            prop_assert_eq!(a == b, labels(&a) == labels(&b));
        }
    }
}
