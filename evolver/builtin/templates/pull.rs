//@ if pull=needed
/// Pulls what the rules look at, keys that lie close together in one read.
fn pull(front: &Front, m: &mut Message<'_>, times: bool) -> Result<(), DecodeError> {
    if times {
        m.pull(Column::MetricIds, Column::Values)?;
    } else {
        m.pull(Column::MetricIds, Column::SetIds)?;
        m.pull(Column::Values, Column::Values)?;
    }
    let mut key = 0;
    while key < front.place.len() {
        let first = front.place[key];
        key += 1;
        if first == NONE {
            continue;
        }
        let mut last = first;
        while key < front.place.len() && (front.place[key] == NONE || front.place[key] <= last + 2) {
            if front.place[key] != NONE {
                last = front.place[key];
            }
            key += 1;
        }
        m.pull(Column::Key(first), Column::Key(last))?;
    }
    Ok(())
}
//@ end
