//! The windows of one organization, by rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::store::Limits;
use crate::emission::{Emission, Group};
use crate::names::{Labels, Naming};

type Tags = Vec<(Arc<str>, Arc<str>)>;

/// One aggregated point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Index into the rule's series.
    pub series: u32,
    pub value: f64,
    pub count: u32,
}

pub struct Series {
    pub labels: Labels,
    pub tags: Tags,
    /// Points that refer to it.
    uses: u32,
}

/// End and start of a window: a rule whose windows changed length may have two that end together.
pub type WindowKey = (i64, i64);

/// What is kept of one rule.
pub struct RuleStore {
    pub id: Arc<str>,
    pub metric: String,
    /// Places of series that are gone are empty.
    series: Vec<Option<Series>>,
    free: Vec<u32>,
    by_tags: HashMap<Tags, u32>,
    pub windows: BTreeMap<WindowKey, Vec<Kept>>,
}

#[derive(Default)]
pub struct OrgStore {
    rules: BTreeMap<Arc<str>, RuleStore>,
    /// All windows, oldest first.
    ages: BTreeSet<(WindowKey, Arc<str>)>,
    bytes: usize,
    series: usize,
}

/// Memory of a window without points, about.
const WINDOW_BYTES: usize = 128;
/// Memory of a series beside its labels and tags, about.
const SERIES_BYTES: usize = 160;

impl OrgStore {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn series(&self) -> usize {
        self.series
    }

    pub fn rules(&self) -> Vec<&RuleStore> {
        self.rules.values().collect()
    }

    pub fn rule(&self, id: &str) -> Option<&RuleStore> {
        self.rules.get(id)
    }

    pub fn add(&mut self, emission: &Emission) {
        let mut places: Vec<Option<u32>> = vec![None; emission.groups.len()];
        for point in &emission.points {
            let group = &emission.groups[point.group as usize];
            let rule = self.rules.entry(group.rule.clone());
            let rule = rule.or_insert_with(|| RuleStore::new(&group.rule));
            let place = &mut places[point.group as usize];
            let series = *place.get_or_insert_with(|| {
                let (series, bytes) = rule.place(&emission.org, group);
                self.bytes += bytes;
                self.series += usize::from(bytes > 0);
                series
            });
            if let Some(Some(series)) = rule.series.get_mut(series as usize) {
                series.uses += 1;
            }
            let key = (
                point.start_ms + i64::from(emission.window_ms),
                point.start_ms,
            );
            let window = rule.windows.entry(key).or_insert_with(|| {
                self.ages.insert((key, group.rule.clone()));
                self.bytes += WINDOW_BYTES;
                Vec::new()
            });
            let (value, count) = (point.value, point.count);
            window.push(Kept {
                series,
                value,
                count,
            });
            self.bytes += size_of::<Kept>();
        }
    }

    /// Drops what is too old, and what is too many of a rule.
    pub fn forget_old(&mut self, limits: &Limits) {
        let newest_ms = self.ages.last().map_or(0, |((end_ms, _), _)| *end_ms);
        let oldest_ms = newest_ms.saturating_sub(limits.history_ms);
        while self
            .ages
            .first()
            .is_some_and(|((end_ms, _), _)| *end_ms < oldest_ms)
        {
            self.evict_oldest();
        }
        let surplus = |rule: &RuleStore| {
            let keys = rule.windows.keys();
            let number = rule.windows.len().saturating_sub(limits.windows);
            keys.take(number)
                .map(|key| (*key, rule.id.clone()))
                .collect::<Vec<_>>()
        };
        let surplus: Vec<_> = self.rules.values().flat_map(surplus).collect();
        for window in surplus {
            self.remove(&window);
        }
    }

    /// False when there is none.
    pub fn evict_oldest(&mut self) -> bool {
        let oldest = self.ages.first().cloned();
        oldest.as_ref().map(|window| self.remove(window)).is_some()
    }

    fn remove(&mut self, window: &(WindowKey, Arc<str>)) {
        self.ages.remove(window);
        let (key, id) = window;
        let Some(rule) = self.rules.get_mut(id) else {
            return;
        };
        for kept in rule.windows.remove(key).unwrap_or_default() {
            self.bytes -= size_of::<Kept>();
            let freed = rule.release(kept.series);
            self.bytes -= freed;
            self.series -= usize::from(freed > 0);
        }
        self.bytes -= WINDOW_BYTES;
        if rule.windows.is_empty() {
            self.rules.remove(id);
        }
    }
}

impl RuleStore {
    fn new(id: &Arc<str>) -> Self {
        Self {
            id: id.clone(),
            metric: Naming::default().metric(id),
            series: Vec::new(),
            free: Vec::new(),
            by_tags: HashMap::new(),
            windows: BTreeMap::new(),
        }
    }

    pub fn series(&self, place: u32) -> Option<&Series> {
        self.series.get(place as usize)?.as_ref()
    }

    pub fn all_series(&self) -> impl Iterator<Item = (u32, &Series)> {
        let numbered = (0..).zip(&self.series);
        numbered.filter_map(|(place, series)| Some((place, series.as_ref()?)))
    }

    #[cfg(test)]
    pub fn starts(&self) -> Vec<i64> {
        self.windows.keys().map(|(_, start_ms)| *start_ms).collect()
    }

    /// Where a group's series is, and how many bytes it took if it is new.
    fn place(&mut self, org: &str, group: &Group) -> (u32, usize) {
        if let Some(place) = self.by_tags.get(&group.tags) {
            return (*place, 0);
        }
        let series = Series {
            labels: Naming::default().labels(org, group, ""),
            tags: group.tags.clone(),
            uses: 0,
        };
        let bytes = series.bytes();
        let place = self.free.pop().unwrap_or_else(|| {
            self.series.push(None);
            self.series.len() as u32 - 1
        });
        self.series[place as usize] = Some(series);
        self.by_tags.insert(group.tags.clone(), place);
        (place, bytes)
    }

    /// One point less; returns the bytes of the series if that was the last one.
    fn release(&mut self, place: u32) -> usize {
        let slot = &mut self.series[place as usize];
        if let Some(series) = slot {
            series.uses -= 1;
            if series.uses > 0 {
                return 0;
            }
        }
        let Some(series) = slot.take() else {
            return 0;
        };
        self.by_tags.remove(&series.tags);
        self.free.push(place);
        series.bytes()
    }
}

impl Series {
    fn bytes(&self) -> usize {
        let text: usize = self
            .tags
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        SERIES_BYTES + self.labels.bytes() + 2 * text
    }
}
