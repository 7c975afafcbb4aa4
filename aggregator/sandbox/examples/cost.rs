//! What a component costs before its first message and at it: `cost COMPONENT RULES CORPUS`.

use bytes::Bytes;
use ratchet_codec::payload::validate;
use ratchet_sandbox::bench::corpus;
use ratchet_sandbox::{Engine, Kind, Limits, Runner, WasiLimits};
use std::time::Instant;

/// Fresh instances that are timed.
const STARTS: u32 = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [component, rules, messages] = &args[..] else {
        return Err("usage: cost COMPONENT RULES CORPUS".into());
    };
    let (component, rules) = (std::fs::read(component)?, std::fs::read(rules)?);
    let messages = corpus::read(Bytes::from(std::fs::read(messages)?))?;
    let payload = messages.first().ok_or("no message")?;
    let header = validate(payload).map_err(|error| error.reason())?;
    let limits = Limits {
        wasi: Some(WasiLimits::default()),
        ..Limits::default()
    };
    let engine = Engine::new(Kind::Production, limits)?;
    let begin = Instant::now();
    let module = engine.compile(&component)?;
    println!("{} bytes, compiled in {:?}", module.size(), begin.elapsed());
    for (name, module) in [("component", module), ("baseline", engine.baseline()?)] {
        let mut runner = Runner::new(&module, rules.clone().into());
        let mut least = [f64::INFINITY; 2];
        for _ in 0..STARTS {
            runner.reset();
            for least in &mut least {
                let begin = Instant::now();
                runner.process(payload, &header, |_| ())?;
                *least = least.min(begin.elapsed().as_secs_f64());
            }
        }
        let [fresh, used] = least.map(|seconds| 1e6 * seconds);
        let start = fresh - used;
        println!("{name}: {start:.0} us for an instance and its rules, {used:.1} us a message");
    }
    Ok(())
}
