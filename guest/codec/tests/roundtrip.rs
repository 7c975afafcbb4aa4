//! Checks the verified codecs against independent crates and against wide, slow arithmetic, on
//! pseudo-random inputs. The proofs do not need this; it guards the specifications themselves.

use integer_encoding::VarInt;
use ratchet_codec::{bytes, delta, streamvbyte, varint, zigzag, DecodeError};
use stream_vbyte::scalar::Scalar;

/// xorshift64*: small, and good enough to spread inputs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number whose length in bits is uniform, so that all encoded lengths occur.
    fn any_length(&mut self) -> u64 {
        let bits = self.next() % 65;
        if bits == 0 {
            0
        } else {
            self.next() >> (64 - bits)
        }
    }
}

#[test]
fn varint_agrees_with_integer_encoding() {
    let mut random = Random(1);
    for _ in 0..200_000 {
        let v = random.any_length();
        let mut ours = [0xaa; 16];
        let end = varint::encode_u64(v, &mut ours, 3).unwrap();
        let theirs = v.encode_var_vec();
        assert_eq!(&ours[3..end], &theirs[..]);
        assert!(ours[..3].iter().chain(&ours[end..]).all(|&b| b == 0xaa));
        assert_eq!(varint::decode_u64(&ours, 3), Ok((v, end)));
        assert_eq!(u64::decode_var(&ours[3..]), Some((v, end - 3)));
        assert_eq!(varint::encode_u64(v, &mut ours[..end - 1], 3), None);
        assert_eq!(
            varint::decode_u64(&ours[..end - 1], 3),
            Err(DecodeError::Truncated)
        );
        match u32::try_from(v) {
            Ok(small) => assert_eq!(varint::decode_u32(&theirs, 0), Ok((small, theirs.len()))),
            Err(_) => assert_eq!(varint::decode_u32(&theirs, 0), Err(DecodeError::Overflow)),
        }
    }
}

/// What a strict decoder of `bits`-bit numbers answers, in 128-bit arithmetic.
fn slow_varint(s: &[u8], bits: usize) -> Result<(u64, usize), DecodeError> {
    let most = bits.div_ceil(7);
    let mut v: u128 = 0;
    for (i, &b) in s.iter().take(most).enumerate() {
        v += u128::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            return match v {
                _ if v >> bits != 0 => Err(DecodeError::Overflow),
                _ if i > 0 && b == 0 => Err(DecodeError::NonCanonical),
                _ => Ok((v as u64, i + 1)),
            };
        }
    }
    Err(if s.len() < most {
        DecodeError::Truncated
    } else {
        DecodeError::Overflow
    })
}

#[test]
fn varint_classifies_hostile_bytes() {
    let mut random = Random(2);
    let mut seen = [0u32; 4];
    for _ in 0..400_000 {
        let mut s = [0u8; 12];
        let len = (random.next() % 13) as usize;
        let run = (random.next() % 13) as usize;
        for (i, b) in s.iter_mut().enumerate() {
            *b = random.any_length() as u8;
            *b = if i < run { *b | 0x80 } else { *b & 0x7f };
        }
        let at = (random.next() % 3) as usize;
        let rest = s[..len].get(at..).unwrap_or(&[]);
        let expected = slow_varint(rest, 64);
        assert_eq!(
            varint::decode_u64(&s[..len], at),
            expected.map(|(v, n)| (v, at + n))
        );
        let narrow = slow_varint(rest, 32).map(|(v, n)| (v as u32, at + n));
        assert_eq!(varint::decode_u32(&s[..len], at), narrow);
        seen[match expected {
            Ok(_) => 0,
            Err(DecodeError::Truncated) => 1,
            Err(DecodeError::Overflow) => 2,
            Err(_) => 3,
        }] += 1;
    }
    assert!(seen.iter().all(|&n| n > 1_000), "{seen:?}");
    assert_eq!(
        varint::decode_u64(&[1], usize::MAX),
        Err(DecodeError::Truncated)
    );
}

#[test]
fn zigzag_agrees_with_integer_encoding() {
    let mut random = Random(3);
    let edges = [0, -1, 1, i64::MIN, i64::MAX].into_iter();
    for n in edges.chain((0..100_000).map(|_| random.next() as i64)) {
        let mut code = [0; 10];
        let end = varint::encode_u64(zigzag::encode(n), &mut code, 0).unwrap();
        assert_eq!(&code[..end], &n.encode_var_vec()[..]);
        assert_eq!(zigzag::decode(zigzag::encode(n)), n);
    }
}

#[test]
fn bytes_agree_with_core() {
    let mut random = Random(4);
    let buf: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
    for at in (0..80).chain([usize::MAX - 2, usize::MAX]) {
        let end = |n: usize| at.checked_add(n).filter(|&e| e <= buf.len());
        let word = end(4).map(|e| u32::from_le_bytes(buf[at..e].try_into().unwrap()));
        let wide = end(8).map(|e| u64::from_le_bytes(buf[at..e].try_into().unwrap()));
        assert_eq!(
            bytes::read_u32(&buf, at),
            word.ok_or(DecodeError::Truncated)
        );
        assert_eq!(
            bytes::read_u64(&buf, at),
            wide.ok_or(DecodeError::Truncated)
        );
    }
}

#[test]
fn delta_restores_and_refuses() {
    let mut random = Random(5);
    for _ in 0..2_000 {
        let base = random.next() as i64 >> 2;
        let values: Vec<i64> = (0..random.next() % 50)
            .map(|_| random.next() as i64 >> 2)
            .collect();
        let mut buf = values.clone();
        delta::encode_in_place(&mut buf, base).unwrap();
        delta::decode_in_place(&mut buf, base).unwrap();
        assert_eq!(buf, values);
    }
    let mut buf = [zigzag::encode(5) as i64, zigzag::encode(1) as i64, 0];
    assert_eq!(
        delta::decode_in_place(&mut buf, i64::MAX - 5),
        Err(DecodeError::Overflow)
    );
    assert_eq!(buf, [i64::MAX, 2, 0]);
    assert_eq!(delta::encode_in_place(&mut [i64::MIN], 1), None);
}

#[test]
fn streamvbyte_agrees_with_stream_vbyte() {
    let mut random = Random(6);
    for round in 0..3_000usize {
        let count = round % 70;
        let values: Vec<u32> = (0..count).map(|_| random.any_length() as u32).collect();
        let codes = count.div_ceil(4);
        let mut theirs = vec![0; 5 * count + 4];
        let total = stream_vbyte::encode::encode::<Scalar>(&values, &mut theirs);
        let (mut control, mut data) = (vec![0xaa; codes], vec![0xaa; 4 * count]);
        let used = streamvbyte::encode(&values, &mut control, &mut data).unwrap();
        assert_eq!(&theirs[..codes], &control[..]);
        assert_eq!(&theirs[codes..total], &data[..used]);
        assert_eq!(streamvbyte::data_len(&control, count), Ok(used));
        let mut out = vec![7; count + 2];
        assert_eq!(
            streamvbyte::decode(&control, &data, count, &mut out),
            Ok(used)
        );
        assert_eq!((&out[..count], &out[count..]), (&values[..], &[7, 7][..]));
        assert_eq!(
            streamvbyte::decode(&control, &data[..used], count, &mut out),
            Ok(used)
        );
        assert_eq!(&out[..count], &values[..]);
        if count > 0 {
            let short = streamvbyte::decode(&control, &data[..used - 1], count, &mut out);
            assert_eq!(short, Err(DecodeError::Truncated));
            let short = streamvbyte::decode(&control[..codes - 1], &data, count, &mut out);
            assert_eq!(short, Err(DecodeError::Truncated));
            let short = streamvbyte::decode(&control, &data, count, &mut out[..count - 1]);
            assert_eq!(short, Err(DecodeError::NoRoom));
            assert_eq!(
                streamvbyte::encode(&values, &mut control, &mut data[..used - 1]),
                None
            );
        }
    }
    assert_eq!(
        streamvbyte::data_len(&[], usize::MAX),
        Err(DecodeError::Overflow)
    );
}

/// Random control and data bytes are valid streams too: every code means something.
#[test]
fn streamvbyte_decodes_random_streams_by_windows() {
    let mut random = Random(7);
    for _ in 0..3_000 {
        let count = (random.next() % 200) as usize;
        let control: Vec<u8> = (0..count.div_ceil(4))
            .map(|_| random.next() as u8)
            .collect();
        let data: Vec<u8> = (0..4 * count).map(|_| random.next() as u8).collect();
        let mut expected = vec![0; count.next_multiple_of(4)];
        let mut stream = control.clone();
        stream.extend(&data);
        stream_vbyte::decode::decode::<Scalar>(&stream, count, &mut expected);
        let mut decoder = streamvbyte::Decoder::new(&control, count).unwrap();
        let mut got: Vec<u32> = Vec::new();
        while decoder.remaining() > 0 {
            let mut out = [0; 37];
            let room = (random.next() % 37) as usize + 1;
            let at = decoder.data_offset();
            let width = (random.next() % 50) as usize;
            let window = &data[at..data.len().min(at + width)];
            match decoder.next_block(window, &mut out[..room]) {
                Ok(n) => got.extend(&out[..n]),
                Err(e) => assert!(e == DecodeError::Truncated && width < 4),
            }
        }
        assert_eq!(got, expected[..count]);
        assert_eq!(
            Ok(decoder.data_offset()),
            streamvbyte::data_len(&control, count)
        );
        assert_eq!(decoder.next_block(&[], &mut [0; 4]), Ok(0));
    }
}
