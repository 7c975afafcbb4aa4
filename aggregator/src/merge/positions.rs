//! Where the windows of one message are, among those that are open.

/// So many windows of a message are found by a table; the others by search.
const NUMBERS: usize = 16;

/// Stands for the position of a window that was not looked up yet, or that takes no points.
const NOWHERE: u32 = u32::MAX;

/// Positions by length and number of the window, which counts from the message's first point.
#[derive(Default)]
pub struct Positions {
    all: Vec<u32>,
}

impl Positions {
    /// Forgets all; there are so many lengths.
    pub fn clear(&mut self, lengths: usize) {
        self.all.clear();
        self.all.resize(lengths * NUMBERS, NOWHERE);
    }

    pub fn set(&mut self, (length, number): (u32, i64), position: u32) {
        if (0..NUMBERS as i64).contains(&number) {
            self.all[length as usize * NUMBERS + number as usize] = position;
        }
    }

    #[inline(always)]
    pub fn get(&self, length: u32, number: u32) -> Option<u32> {
        if number as usize >= NUMBERS {
            return None;
        }
        let position = self.all.get(length as usize * NUMBERS + number as usize);
        position.copied().filter(|position| *position != NOWHERE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_was_set() {
        let mut positions = Positions::default();
        positions.clear(2);
        let beyond = NUMBERS as u32;
        for (window, position) in [
            ((0, 0), 7),
            ((1, i64::from(beyond) - 1), 8),
            ((0, beyond.into()), 9),
            ((0, -1), 9),
        ] {
            positions.set(window, position);
        }
        let get = |(length, number)| positions.get(length, number);
        let known = [
            (0, 0),
            (1, beyond - 1),
            (0, beyond),
            (1, 0),
            (2, 0),
            (0, u32::MAX),
        ]
        .map(get);
        assert_eq!(known, [Some(7), Some(8), None, None, None, None]);
        positions.clear(2);
        assert_eq!(positions.get(0, 0), None);
    }
}
