//! One organization within a partition: its configurations, their modules, its open windows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use ratchet_codec::payload::Header;
use ratchet_trust::Sha256Digest;

use super::fallback::Merged;
use super::served::Served;
use crate::capture::Budget;
use crate::chronicle::View;
use crate::configuration::Configuration;
use crate::emit::{self, EmittedMessage, Form};
use crate::events::now_ms;
use crate::identity::Org;
use crate::merge::{ClosedWindow, Merger};
use crate::metrics::OrgMetrics;
use crate::parts::{self, Gather, Part};
use crate::registry::Installed;
use crate::shared::Shared;
use crate::spread::{self, Place};
use crate::status::{OrgStatus, Serving};
use crate::tenants::{Quota, TenantLimits};
use crate::timeline::{Span, Timeline};
use crate::traces::{Journey, Origins, Run};
use crate::watermark::Watermark;

/// The longest window and the longest lateness; until then a configuration may be needed.
const WINDOW_MS_MAX: i64 = 2 * 3_600_000;

/// The configurations that a message runs on.
#[derive(Default)]
pub struct Runs {
    /// As indexes of `served`.
    pub here: Vec<(usize, Span)>,
    /// Whether it has points of windows that have no part in this partition.
    pub elsewhere: bool,
}

/// What closed at a time.
#[derive(Default)]
pub struct Closed {
    /// Windows that this partition alone has.
    pub whole: Vec<EmittedMessage>,
    /// This partition's parts of windows that are spread.
    pub parts: Vec<EmittedMessage>,
    /// How far time has come here, where others wait for it.
    pub time_ms: Option<i64>,
}

/// Where an organization starts.
pub struct Start {
    pub watermark: Watermark,
    /// How far each partition's parts of it had come.
    pub parts_ms: BTreeMap<u32, i64>,
}

pub struct OrgState {
    pub org: Org,
    place: Place,
    /// What serves the message at hand.
    view: View,
    pub merger: Merger,
    pub watermark: Watermark,
    /// When the server received its newest message.
    pub heard_ms: Option<i64>,
    /// At the organization's home: parts of windows that are spread.
    gather: Gather,
    pub served: Vec<Served>,
    pub metrics: OrgMetrics,
    pub status: Arc<OrgStatus>,
    pub budget: Budget,
    /// What is served was served before: it only rebuilds windows.
    pub replaying: bool,
    /// The trace of the message at hand.
    pub journey: Option<Box<Journey>>,
    /// Traced messages in windows that are open.
    pub origins: Origins,
    pub limits: TenantLimits,
    pub quota: Quota,
    /// Whether the merge state may be another than was told.
    state_changed: bool,
    directory_generation: u64,
    registry_generation: u64,
}

impl OrgState {
    pub fn new(shared: &Shared, org: Org, place: Place, start: Start) -> Self {
        let limits = shared.limits.of(org.as_str());
        Self {
            place,
            gather: Gather::new(shared.lateness, start.parts_ms),
            view: View::default(),
            merger: Merger::new(limits.merge(), shared.lateness),
            watermark: start.watermark,
            heard_ms: None,
            served: Vec::new(),
            metrics: OrgMetrics::new(&shared.metrics, &org),
            status: shared.status.of(&org),
            budget: Budget::default(),
            replaying: false,
            journey: None,
            origins: Origins::default(),
            quota: Quota::default(),
            limits,
            state_changed: true,
            directory_generation: 0,
            registry_generation: 0,
            org,
        }
    }

    /// Takes up changed configurations and modules, before a message or tick of a moment.
    pub fn refresh(&mut self, shared: &Shared, received_ms: i64) {
        let directory_generation = shared.directory.generation();
        if directory_generation != self.directory_generation || !self.view.is_for(received_ms) {
            self.directory_generation = directory_generation;
            self.rebind(shared, received_ms);
        }
        self.refresh_modules(shared);
    }

    /// Takes up changed modules. It is called between two messages.
    pub fn refresh_modules(&mut self, shared: &Shared) {
        let registry_generation = shared.registry.generation();
        if registry_generation != self.registry_generation {
            self.registry_generation = registry_generation;
            for served in &mut self.served {
                served.take_up(shared, &self.org);
            }
            self.tell_status();
        }
    }

    /// Notes that a message is served, by the own module if it is loaded; else asks for it.
    pub fn wake(&mut self, shared: &Shared, index: usize) {
        self.state_changed = true;
        let served = &mut self.served[index];
        let changed = served.absent.is_some() && served.follow(shared, &self.org);
        match &served.absent {
            Some(own) => {
                shared.modules.ask(&self.org, own);
                shared.tenant_metrics.stood_in(&self.org);
            }
            None => served.installed.touch(shared.modules.now()),
        }
        if changed {
            self.tell_status();
        }
    }

    /// Lets go of modules that made room for others. It is called between two messages.
    pub fn follow_modules(&mut self, shared: &Shared) {
        let follow =
            |changed: bool, served: &mut Served| served.follow(shared, &self.org) || changed;
        if self.served.iter_mut().fold(false, follow) {
            self.tell_status();
        }
    }

    fn rebind(&mut self, shared: &Shared, received_ms: i64) {
        let Some(chronicle) = shared.directory.chronicle(&self.org) else {
            return;
        };
        let mut view = chronicle.at(received_ms);
        let oldest_start_ms = self.watermark.ms().saturating_sub(WINDOW_MS_MAX);
        view.timeline = view.timeline.pruned(oldest_start_ms);
        let (old, timeline) = (&self.view.timeline, &view.timeline);
        let unchanged = timeline.revision() == old.revision()
            && timeline.configurations().count() == old.configurations().count();
        if unchanged {
            self.view = view;
            return;
        }
        let mut configurations: Vec<Arc<Configuration>> = Vec::new();
        for configuration in timeline.configurations() {
            if configurations
                .iter()
                .all(|c| c.digest != configuration.digest)
            {
                configurations.push(configuration.clone());
            }
        }
        let bindings = self.merger.bind(&configurations);
        self.state_changed = true;
        let mut old = std::mem::take(&mut self.served);
        for (configuration, binding) in configurations.into_iter().zip(bindings) {
            let known = old
                .iter()
                .position(|s| s.configuration.digest == configuration.digest);
            self.served.push(match known {
                Some(position) => Served {
                    binding,
                    ..old.swap_remove(position)
                },
                None => Served::new(shared, &self.org, configuration, binding),
            });
        }
        self.view = view;
        self.tell_status();
    }

    pub fn timeline(&self) -> &Timeline {
        &self.view.timeline
    }

    /// The configurations that a message runs on here.
    pub fn runs(&self, min_ts: i64, max_ts: i64) -> Runs {
        let mut runs = Runs::default();
        for run in self.view.timeline.runs(min_ts, max_ts) {
            let digest = run.configuration.digest;
            let mut served = self.served.iter();
            let Some(index) = served.position(|s| s.configuration.digest == digest) else {
                continue;
            };
            if self.place.serves(&self.org, run.spread) {
                runs.here.push((index, run.span));
            } else {
                runs.elsewhere = true;
            }
        }
        runs
    }

    /// Whether some windows have parts in several partitions, one of them here.
    fn is_spread_here(&self) -> bool {
        let spread = self.view.timeline.spread_max();
        spread > 1 && self.place.serves(&self.org, spread)
    }

    /// The same, with how far time has come where other partitions wait for it.
    pub fn close_and_tell(&mut self) -> Closed {
        let time_ms = self.is_spread_here().then_some(self.watermark.ms());
        Closed {
            time_ms,
            ..self.close()
        }
    }

    /// Takes in what a partition says of this organization, at its home; returns what that
    /// completes. An error is a reason to count it by.
    pub fn part(
        &mut self,
        shared: &Shared,
        source: u32,
        sequence: u64,
        part: Part,
    ) -> Result<Closed, &'static str> {
        let Self {
            org,
            place,
            view,
            gather,
            ..
        } = self;
        let sources = |window: parts::Window| {
            let spread = view.timeline.spread_at(window.start_ms);
            spread::sources(org, spread, place.partitions)
        };
        match part {
            Part::Time(time_ms) => gather.time(source, time_ms),
            Part::Window(window, body) => {
                gather.part(source, sequence, (window, &sources(window)), body)?;
            }
        }
        let complete = gather.complete(sources);
        if complete.is_empty() {
            return Ok(Closed::default());
        }
        let chronicle = shared.directory.chronicle(org).ok_or("unconfigured")?;
        let rule_of = |meaning: &Sha256Digest| chronicle.rule(meaning).cloned();
        let mut windows = Vec::new();
        for complete in complete {
            match complete.fold(rule_of) {
                Ok(folded) => windows.extend(folded),
                Err(reason) => {
                    tracing::error!(%org, reason, "a spread window is lost");
                    shared.metrics.refuse(org.as_str(), reason);
                }
            }
        }
        let whole = self.encode(&self.values_subject(), Form::Values, &windows);
        self.count_emitted(&windows);
        Ok(Closed {
            whole,
            ..Closed::default()
        })
    }

    /// The oldest message that an open window needs.
    pub fn first_sequence(&self) -> Option<u64> {
        let waiting = self.gather.first_sequence();
        self.merger
            .first_sequence()
            .into_iter()
            .chain(waiting)
            .min()
    }

    /// How far each partition's parts have come.
    pub fn parts_ms(&self) -> &BTreeMap<u32, i64> {
        self.gather.times_ms()
    }

    /// Takes out what closes as time has come.
    pub fn close(&mut self) -> Closed {
        let windows = self.merger.close(self.watermark.ms());
        self.status.set_open_windows(self.merger.open_windows());
        if windows.is_empty() {
            return Closed::default();
        }
        self.state_changed = true;
        let timeline = &self.view.timeline;
        let is_whole = |window: &ClosedWindow| timeline.spread_at(window.start_ms) == 1;
        let (whole, parts): (Vec<_>, Vec<_>) = windows.into_iter().partition(is_whole);
        let to_home = parts::subject(&self.org, self.place);
        let closed = Closed {
            whole: self.encode(&self.values_subject(), Form::Values, &whole),
            parts: self.encode(&to_home, Form::Partials, &parts),
            time_ms: None,
        };
        self.count_emitted(&whole);
        closed
    }

    fn values_subject(&self) -> String {
        format!("aggregates.{}", self.org)
    }

    fn encode(&self, subject: &str, form: Form, windows: &[ClosedWindow]) -> Vec<EmittedMessage> {
        let serving = |window: &ClosedWindow| {
            let configuration = self.view.timeline.serving(window.start_ms)?;
            Some(configuration.digest)
        };
        emit::encode(subject, form, serving, windows).unwrap_or_else(|error| {
            tracing::error!(org = %self.org, %error, "closed windows cannot be encoded");
            Vec::new()
        })
    }

    fn count_emitted(&self, windows: &[ClosedWindow]) {
        if self.replaying {
            return;
        }
        let now_ms = now_ms();
        for window in windows {
            let rule = &window.rule.rule;
            self.metrics.emitted(&rule.id, window.groups.len());
            let end_ms = window.start_ms + i64::from(rule.window_ms);
            self.metrics.window_closed(now_ms - end_ms);
        }
    }

    /// Adds the run of a module to the trace of the message at hand.
    pub fn trace_run(&mut self, index: usize, started: Option<SystemTime>, merged: &Merged) {
        let (Some(journey), Some(started)) = (&mut self.journey, started) else {
            return;
        };
        let served = &self.served[index];
        journey.ran(Run {
            started,
            configuration: served.configuration.digest.to_string(),
            module: served.installed.digest.to_string(),
            level: served.installed.level.name(),
            version: served.installed.version,
            records: merged.tally.records,
            matched: merged.matched,
        });
    }

    /// Ends the span of the message at hand.
    pub fn trace_merged(&mut self, header: &Header) {
        if let Some(journey) = self.journey.take() {
            let (min_ts, max_ts) = (header.min_ts, header.max_ts);
            self.origins.merged(*journey, min_ts, max_ts);
        }
    }

    /// Tells how many points matched since it was told last.
    pub fn tell_matched(&mut self) {
        self.served
            .iter_mut()
            .for_each(|served| served.rules.tell());
    }

    /// Tells how large the merge state is, if a message or a close may have changed it.
    pub fn tell_state_if_changed(&mut self) {
        if !std::mem::take(&mut self.state_changed) {
            return;
        }
        let rules = self.view.timeline.newest().map_or(0, |c| c.rules.len());
        let (merger, state) = (&self.merger, &mut self.metrics.state);
        state.rules.set(rules);
        state.open_windows.set(merger.open_windows());
        state.groups.set(merger.groups());
        state.accumulators.set(merger.accumulators());
        state.series.set(merger.series());
        state.bytes.set(merger.bytes());
    }

    /// The module that serves a configuration, if it is one in use.
    pub fn installed(
        &self,
        digest: Option<ratchet_trust::ConfigurationDigest>,
    ) -> Option<&Arc<Installed>> {
        let served = self
            .served
            .iter()
            .find(|s| Some(s.configuration.digest) == digest)?;
        Some(&served.installed)
    }

    pub fn tell_status(&self) {
        let newest = self.view.timeline.newest().map(|c| c.digest);
        let served = self
            .served
            .iter()
            .find(|s| Some(s.configuration.digest) == newest);
        if let Some(served) = served {
            self.metrics.serves(served.installed.level);
        }
        let serving = served.map_or_else(Serving::default, |s| Serving {
            configuration: Some(s.configuration.digest.to_string()),
            module: Some(s.installed.digest.to_string()),
            level: s.installed.level.name(),
            version: s.installed.version,
        });
        self.status.set_serving(serving);
    }
}
