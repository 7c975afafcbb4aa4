//! One contribution to a gauge that several add up to.

use prometheus_client::metrics::gauge::Gauge;

/// What one owner adds to a gauge; it takes that away again when it goes. So a gauge is right where
/// several partitions serve an organization, where several organizations share a label, and after
/// a partition went elsewhere.
pub struct Share {
    gauge: Gauge,
    mine: i64,
}

impl Share {
    pub fn of(gauge: Gauge) -> Self {
        Self { gauge, mine: 0 }
    }

    pub fn set(&mut self, value: usize) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if value != self.mine {
            self.gauge.inc_by(value - self.mine);
            self.mine = value;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.dec_by(self.mine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_go() {
        let gauge = Gauge::default();
        let (mut a, mut b) = (Share::of(gauge.clone()), Share::of(gauge.clone()));
        a.set(3);
        b.set(4);
        a.set(1);
        assert_eq!(gauge.get(), 5);
        drop(a);
        assert_eq!(gauge.get(), 4);
        b.set(0);
        assert_eq!(gauge.get(), 0);
    }
}
