//! The `aggregator` command: parse, run, exit status.

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;
use ratchet_aggregator::cli::{answer, Cli, Command};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("RATCHET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match cli.command {
        Command::Run(settings) => serve(ratchet_aggregator::run(*settings)),
        Command::Forward(settings) => serve(ratchet_aggregator::forward(*settings)),
        Command::Gateway(settings) => serve(ratchet_aggregator::gateway(*settings)),
        command => answer(command).map(|result| println!("{result}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "failed");
            ExitCode::FAILURE
        }
    }
}

fn serve(service: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(service);
    // Whoever still waits for NATS is not waited for.
    runtime.shutdown_background();
    served
}
