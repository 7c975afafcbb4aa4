//! Bodies of requests: read and decompressed piece by piece, each piece reserved before it is kept.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Body;

use crate::budget::Reservation;
use crate::refusal::Refusal;
use crate::settings::Limits;

/// Decompressed bytes that are reserved at a time.
const PIECE: usize = 64 * 1024;
/// What is read of a request that is refused anyway.
const DISCARD_BYTES: usize = 16 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);
/// A byte of snappy stands for no more than so many: a copy of 64 bytes takes two at least.
const SNAPPY_RATIO_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Plain,
    Gzip,
    /// The block format; the framed one is another.
    Snappy,
}

/// Reads a whole body, as it was sent.
pub async fn read<B>(body: B, limits: &Limits, held: &mut Reservation) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    let all = collect(body, limits.body, held);
    match tokio::time::timeout(limits.body_time, all).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::Slow),
    }
}

async fn collect<B>(body: B, most: usize, held: &mut Reservation) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    let too_large = || Refusal::TooLarge(format!("the body has more than {most} bytes"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut body = std::pin::pin!(body);
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let cut = |_| Refusal::Malformed("the body ended before its end".to_owned());
        let Ok(data) = frame.map_err(cut)?.into_data() else {
            continue;
        };
        if gathered.len() + data.len() > most {
            return Err(too_large());
        }
        held.grow(data.len())?;
        gathered.extend_from_slice(&data);
    }
    Ok(gathered.freeze())
}

/// Reads what is left of a body, for a while and up to a limit, and keeps nothing of it.
pub async fn discard<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let rest = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_BYTES {
                break;
            }
        }
    };
    // Whoever takes longer sees a closed connection.
    let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
}

/// Undoes the compression of a body.
pub fn decompress(
    body: Bytes,
    coding: Coding,
    most: usize,
    held: &mut Reservation,
) -> Result<Bytes, Refusal> {
    match coding {
        Coding::Plain => Ok(body),
        Coding::Gzip => gunzip(&body, most, held),
        Coding::Snappy => unsnap(&body, most, held),
    }
}

fn too_large(most: usize) -> Refusal {
    Refusal::TooLarge(format!("the decompressed body has more than {most} bytes"))
}

fn gunzip(body: &[u8], most: usize, held: &mut Reservation) -> Result<Bytes, Refusal> {
    let mut decoder = MultiGzDecoder::new(body);
    let mut content = Vec::new();
    loop {
        held.grow(PIECE)?;
        let before = content.len();
        // One more than there may be, to see that there is more.
        let wanted = PIECE.min(most + 1 - before);
        let mut piece = decoder.by_ref().take(wanted as u64);
        let read = piece
            .read_to_end(&mut content)
            .map_err(|error| Refusal::Malformed(format!("the body is not gzip: {error}")))?;
        if content.len() > most {
            return Err(too_large(most));
        }
        if read < wanted {
            return Ok(content.into());
        }
    }
}

fn unsnap(body: &[u8], most: usize, held: &mut Reservation) -> Result<Bytes, Refusal> {
    let bad = |error| Refusal::Malformed(format!("the body is not snappy: {error}"));
    let length = snap::raw::decompress_len(body).map_err(bad)?;
    if length > most {
        return Err(too_large(most));
    }
    // The length is only a claim: nothing is allocated for one that cannot be true.
    if length > body.len().saturating_mul(SNAPPY_RATIO_MAX) {
        return Err(Refusal::Malformed(format!(
            "the body claims {length} bytes, more than {} of snappy can hold",
            body.len()
        )));
    }
    held.grow(length)?;
    let content = snap::raw::Decoder::new().decompress_vec(body);
    content.map(Bytes::from).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::organization::Org;
    use flate2::{write::GzEncoder, Compression};
    use std::io::Write;

    const MOST: usize = 100_000;

    fn of(budget: &Budget, org: &str) -> Reservation {
        budget.reservation(&Org::parse(org).unwrap())
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn snappy(content: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(content).unwrap()
    }

    #[test]
    fn content_comes_back_or_is_refused_by_kind() {
        let check = |body: Vec<u8>, coding, expected: Result<&[u8], &str>| {
            let budget = Budget::new(1 << 20);
            let content = decompress(body.into(), coding, MOST, &mut of(&budget, "acme"));
            match (content, expected) {
                (Ok(content), Ok(expected)) => assert!(content == expected),
                (Err(refusal), Err(kind)) => assert_eq!(refusal.kind(), kind, "{refusal}"),
                (content, expected) => panic!("{content:?}, not {expected:?}"),
            }
        };
        let full = vec![7; MOST];
        let over = vec![7; MOST + 1];
        check(b"ab".to_vec(), Coding::Plain, Ok(b"ab"));
        check(gzip(b""), Coding::Gzip, Ok(b""));
        check(gzip(&full), Coding::Gzip, Ok(&full));
        check([gzip(b"a"), gzip(b"b")].concat(), Coding::Gzip, Ok(b"ab"));
        check(gzip(&over), Coding::Gzip, Err("too-large"));
        check(gzip(&vec![0; 50 << 20]), Coding::Gzip, Err("too-large"));
        check(b"no gzip".to_vec(), Coding::Gzip, Err("malformed"));
        let cut = gzip(&full);
        check(
            cut[..cut.len() - 9].to_vec(),
            Coding::Gzip,
            Err("malformed"),
        );
        check(snappy(b""), Coding::Snappy, Ok(b""));
        check(snappy(&full), Coding::Snappy, Ok(&full));
        check(snappy(&over), Coding::Snappy, Err("too-large"));
        check(
            vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0],
            Coding::Snappy,
            Err("too-large"),
        );
        check(
            vec![0xa0, 0x8d, 0x06, 0, 0],
            Coding::Snappy,
            Err("malformed"),
        );
        check(vec![], Coding::Snappy, Err("malformed"));
        check(
            b"\xff\x06\0\0sNaPpY".to_vec(),
            Coding::Snappy,
            Err("malformed"),
        );
    }

    #[test]
    fn a_bomb_stops_at_the_budget() {
        let budget = Budget::new(1 << 20);
        let mut other = of(&budget, "globex");
        other.grow(700 << 10).unwrap();
        let bomb = gzip(&vec![0; 10 << 20]);
        let mut held = of(&budget, "acme");
        let refused = decompress(bomb.into(), Coding::Gzip, 32 << 20, &mut held);
        assert_eq!(refused, Err(Refusal::Overloaded));
        let bomb = snappy(&vec![0; 500 << 10]);
        let mut held = of(&budget, "acme");
        let refused = decompress(bomb.into(), Coding::Snappy, 32 << 20, &mut held);
        assert_eq!(refused, Err(Refusal::Overloaded));
    }
}
