//! Instances are few: those that were not used for longest make room.

use super::org::Served;

/// Makes room for one more among configurations that may hold instances, `max` in all.
pub fn make_room<'a>(others: impl Iterator<Item = &'a mut Served>, max: usize) {
    let mut live: Vec<&mut Served> = others.filter(|served| served.live).collect();
    let surplus = (live.len() + 1).saturating_sub(max.max(1));
    live.sort_by_key(|served| served.last_used);
    live.into_iter().take(surplus).for_each(Served::release);
}
