
/// How many windows a message may touch before the general way takes it.
const WINDOWS_MAX: i64 = 16;

pub struct Aggregator {
    bounds: Vec<u32>,
    front: Front,
    //@ if way=direct|masks
    literals: Literals,
    //@ end
    lists: Lists,
    //@ if way=direct
    direct: Direct,
    //@ end
    //@ if way=masks
    masks: Masks,
    //@ end
}

impl Aggregate for Aggregator {
    fn new(rules: &[u8]) -> Result<Self, Refusal> {
        if rules != spec::RULES_BLOB {
            return Err(Refusal("another configuration's rules"));
        }
        Ok(Aggregator {
            bounds: Vec::new(),
            front: Front::new(),
            //@ if way=direct|masks
            literals: Literals::new(),
            //@ end
            lists: Lists::new(),
            //@ if way=direct
            direct: Direct::new(),
            //@ end
            //@ if way=masks
            masks: Masks::new(),
            //@ end
        })
    }

    fn process(&mut self, m: &mut Message<'_>, out: &mut Records) -> Result<(), DecodeError> {
        let (min, max) = (m.header().min_ts, m.header().max_ts);
        let single = spec::single_window(min, max);
        //@ if windows=single
        let times = !single;
        //@ else
        let times = true;
        //@ end
        //@ if way=direct|masks
        let Aggregator { bounds, front, literals, lists, .. } = self;
        //@ else
        let Aggregator { bounds, front, lists } = self;
        //@ end
        //@ if pull=all
        m.pull_all()?;
        let strings = m.strings(bounds)?;
        front.locate(m, &strings)?;
        //@ end
        //@ if pull=rest
        m.pull_prefix()?;
        let keys = m.header().keys;
        let last = if keys > 0 { Column::Key(keys - 1) } else { Column::Values };
        m.pull(Column::MetricIds, last)?;
        let strings = m.strings(bounds)?;
        front.locate(m, &strings)?;
        //@ end
        //@ if pull=needed
        m.pull_prefix()?;
        front.locate(m, &m.strings(bounds)?)?;
        pull(front, m, times)?;
        let strings = m.strings(bounds)?;
        //@ end
        front.decode(m, times)?;
        front.resolve_metrics(&strings);
        //@ if way=direct
        let windows = match spec::WINDOWS {
            _ if single => 1,
            &[size] => max / i64::from(size) - min / i64::from(size) + 1,
            _ => NONE.into(),
        };
        if windows <= WINDOWS_MAX {
            self.direct.run(front, literals, &strings, (min, windows as usize), out);
            return Ok(());
        }
        //@ end
        //@ if way=masks
        let masks = &mut self.masks;
        let windows = |size: u32| max / i64::from(size) - min / i64::from(size) + 1;
        let few = spec::WINDOWS.iter().all(|&size| windows(size) <= WINDOWS_MAX);
        if few && masks.prepare(front) {
            if single {
                let (sets, values) = (take(&mut front.set), take(&mut front.value));
                masks.pass(front, literals, &strings, (&sets, &values), (NONE, 0), out);
                (front.set, front.value) = (sets, values);
            } else {
                for (class, &size) in spec::WINDOWS.iter().enumerate() {
                    for window in 0..windows(size) {
                        let at = (class as u32, window as u32, i64::from(size));
                        masks.window(front, literals, &strings, min, at, out);
                    }
                }
            }
            let wide = |metric: u32| masks.by_metric[metric as usize].len() > BITS;
            if (0..masks.by_metric.len()).any(|metric| wide(metric as u32)) {
                lists.run(front, &strings, min, wide, out);
            }
            return Ok(());
        }
        //@ end
        lists.run(front, &strings, min, |_| true, out);
        Ok(())
    }
}
