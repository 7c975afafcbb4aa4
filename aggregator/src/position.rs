//! Where an emission stands in the order that its input stream fixes.
//!
//! What an organization emits is a sequence that the partition's stream alone determines: a message
//! or a tick closes windows, and these make one message or several. So every emission has a place
//! that any aggregator gives it, however often it reads the stream again. Places rise along the
//! subject that they are emitted on.

use std::fmt;
use std::str::FromStr;

/// Ordered as emissions follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The moment at which the input stream began to be numbered as it is.
    pub origin_ms: i64,
    /// The input that closed the window, by its number in the stream.
    pub cause: u64,
    /// Counts what one input closed for one organization.
    pub part: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.origin_ms, self.cause, self.part)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position: {0:?}")]
pub struct PositionError(String);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || PositionError(text.chars().take(80).collect());
        let mut fields = text.split('/');
        let mut field = || fields.next().ok_or_else(bad);
        let position = Self {
            origin_ms: field()?.parse().map_err(|_| bad())?,
            cause: field()?.parse().map_err(|_| bad())?,
            part: field()?.parse().map_err(|_| bad())?,
        };
        if fields.next().is_some() {
            return Err(bad());
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        let text = "1700000000000/42/3";
        let position: Position = text.parse().unwrap();
        assert_eq!(position.to_string(), text);
        for bad in ["", "1", "1/2", "1/2/3/4", "1/-2/3", "1/2/x", "a/2/3"] {
            assert!(bad.parse::<Position>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rises_along_a_subject() {
        let texts = ["1/9/9", "2/1/0", "2/1/1", "2/2/0", "2/10/0"];
        let positions: Vec<Position> = texts.iter().map(|t| t.parse().unwrap()).collect();
        assert!(positions.is_sorted());
    }
}
