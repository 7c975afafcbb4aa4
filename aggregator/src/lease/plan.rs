//! Who should serve which partition: a pure function of who is there and who serves now.
//!
//! Every member computes it from the same bucket, so they agree without talking. Each gets its fair
//! share, partitions divided by members, and no partition moves that does not have to. Where one is
//! free it goes to the member that ranks highest for it (rendezvous hashing), so that members who
//! see the bucket a moment apart still mostly want different ones.

use std::collections::{BTreeMap, BTreeSet};

use twox_hash::XxHash3_64;

/// The owner of every partition, `partitions` of them, among `members`; empty without members.
/// `owners` says who has which now; owners that are no members do not count.
pub fn plan(
    members: &BTreeSet<String>,
    owners: &BTreeMap<u32, String>,
    partitions: u32,
) -> BTreeMap<u32, String> {
    let mut planned = BTreeMap::new();
    if members.is_empty() {
        return planned;
    }
    let base = partitions as usize / members.len();
    // So many members have one more than the others.
    let mut larger = partitions as usize % members.len();
    let mut loads: BTreeMap<&String, usize> = members.iter().map(|m| (m, 0)).collect();
    for member in by_holdings(members, owners) {
        let mut held: Vec<u32> = (0..partitions)
            .filter(|p| owners.get(p) == Some(member))
            .collect();
        held.sort_by_key(|p| std::cmp::Reverse(rank(member, *p)));
        let keep = if held.len() > base && larger > 0 {
            larger -= 1;
            base + 1
        } else {
            base
        };
        for partition in held.into_iter().take(keep) {
            planned.insert(partition, member.clone());
            *loads.entry(member).or_default() += 1;
        }
    }
    for partition in 0..partitions {
        if planned.contains_key(&partition) {
            continue;
        }
        // Whoever has less than its share; when all have it, somebody takes one of the larger.
        let room = if loads.values().any(|load| *load < base) {
            0..base
        } else {
            base..base + 1
        };
        let candidates = loads.iter().filter(|(_, load)| room.contains(*load));
        let best = candidates.map(|(member, _)| *member);
        let Some(best) = best.max_by_key(|member| rank(member, partition)) else {
            continue;
        };
        planned.insert(partition, best.clone());
        *loads.entry(best).or_default() += 1;
    }
    planned
}

/// Those that hold most come first, so that the larger shares stay where they are.
fn by_holdings<'a>(
    members: &'a BTreeSet<String>,
    owners: &BTreeMap<u32, String>,
) -> Vec<&'a String> {
    let held = |member: &String| owners.values().filter(|owner| *owner == member).count();
    let mut ordered: Vec<&String> = members.iter().collect();
    ordered.sort_by_key(|member| std::cmp::Reverse(held(member)));
    ordered
}

fn rank(member: &str, partition: u32) -> u64 {
    XxHash3_64::oneshot_with_seed(partition.into(), member.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn loads(plan: &BTreeMap<u32, String>, members: &BTreeSet<String>) -> Vec<usize> {
        let load = |member: &String| plan.values().filter(|owner| *owner == member).count();
        let mut loads: Vec<usize> = members.iter().map(load).collect();
        loads.sort_unstable();
        loads
    }

    fn moved(from: &BTreeMap<u32, String>, to: &BTreeMap<u32, String>) -> usize {
        from.iter()
            .filter(|(p, owner)| to.get(p) != Some(owner))
            .count()
    }

    /// Members come and go; each time everything is owned, shares differ by one at most, and
    /// nothing moves but what somebody left or a newcomer takes.
    #[test]
    fn shares_are_fair_and_moves_are_few() {
        for partitions in [1u32, 4, 7, 64] {
            let mut owners = BTreeMap::new();
            for (names, moves_max) in [
                (&["a"][..], 0),
                (&["a", "b"], partitions / 2),
                (&["a", "b", "c"], partitions / 3),
                (&["a", "c"], partitions.div_ceil(3)),
                (&["a", "c", "d", "e"], partitions / 2),
                (&["e"], partitions),
            ] {
                let members = members(names);
                let next = plan(&members, &owners, partitions);
                assert_eq!(next.len(), partitions as usize, "{names:?} of {partitions}");
                let loads = loads(&next, &members);
                assert!(
                    loads[loads.len() - 1] - loads[0] <= 1,
                    "{names:?}: {loads:?}"
                );
                let moved = moved(&owners, &next);
                assert!(
                    moved <= moves_max as usize,
                    "{names:?}: {moved} of {partitions} moved"
                );
                assert_eq!(
                    plan(&members, &next, partitions),
                    next,
                    "a plan is its own plan"
                );
                owners = next;
            }
        }
    }

    #[test]
    fn owners_that_are_gone_do_not_count() {
        let owners = BTreeMap::from([(0, "gone".to_owned()), (1, "a".to_owned())]);
        let planned = plan(&members(&["a"]), &owners, 2);
        assert_eq!(planned.values().collect::<Vec<_>>(), ["a", "a"]);
        assert!(plan(&members(&[]), &owners, 2).is_empty());
    }

    #[test]
    fn the_choice_depends_on_the_partition() {
        let planned = plan(&members(&["a", "b", "c", "d"]), &BTreeMap::new(), 64);
        let first: Vec<_> = (0..8).map(|p| planned[&p].clone()).collect();
        assert!(first.iter().collect::<BTreeSet<_>>().len() > 1, "{first:?}");
    }
}
