//! Emits aggregated points, and saves the checkpoint once everything before it is acknowledged.

use std::time::Duration;

use tokio::sync::mpsc;

use super::lane::{Fenced, Outgoing, Writer};
use super::lanes::Lanes;
use crate::checkpoint::{Checkpoint, CheckpointError, Checkpoints};

/// Messages that are not acknowledged yet.
const UNACKNOWLEDGED_MAX: usize = 256;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What the worker gives out, in order.
pub enum Output {
    Emit(Outgoing),
    Save(Checkpoint),
}

pub struct Publisher {
    pub writer: Writer,
    pub checkpoints: Checkpoints,
    /// The revision of the checkpoint that this owner wrote last.
    pub revision: u64,
}

impl Publisher {
    /// Runs until the worker is gone, or another owner has written.
    pub async fn run(mut self, outputs: mpsc::Receiver<Output>) {
        let partition = self.writer.partition;
        if let Err(fenced) = self.serve(outputs).await {
            tracing::warn!(partition, %fenced, "the partition has another owner");
        }
    }

    async fn serve(&mut self, mut outputs: mpsc::Receiver<Output>) -> Result<(), Fenced> {
        let mut lanes = Lanes::new(self.writer.clone());
        loop {
            while lanes.queued() >= UNACKNOWLEDGED_MAX {
                lanes.step().await?;
            }
            let output = tokio::select! {
                output = outputs.recv() => output,
                delivered = lanes.step(), if lanes.queued() > 0 => {
                    delivered?;
                    continue;
                }
            };
            match output {
                Some(Output::Emit(message)) => lanes.push(message),
                Some(Output::Save(checkpoint)) => {
                    lanes.settle().await?;
                    self.save(&checkpoint).await?;
                }
                None => return lanes.settle().await,
            }
        }
    }

    /// Tries until it is saved. A conflict with itself is an acknowledgement that was lost.
    async fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Fenced> {
        let partition = self.writer.partition;
        let mut delay = RETRY_FIRST;
        loop {
            let saved = self
                .checkpoints
                .save(partition, checkpoint, self.revision)
                .await;
            match saved {
                Ok(revision) => {
                    self.revision = revision;
                    return Ok(());
                }
                Err(CheckpointError::Conflict(_)) => self.learn_revision().await?,
                Err(error) => tracing::warn!(partition, %error, "the checkpoint waits"),
            }
            tokio::time::sleep(delay).await;
            delay = (2 * delay).min(RETRY_MAX);
        }
    }

    async fn learn_revision(&mut self) -> Result<(), Fenced> {
        let (partition, ours) = (self.writer.partition, self.writer.epoch);
        match self.checkpoints.load(partition).await {
            Ok((found, revision)) => {
                let theirs = found.map_or(0, |checkpoint| checkpoint.epoch);
                if theirs > ours {
                    return Err(Fenced { theirs, ours });
                }
                self.revision = revision;
            }
            Err(error) => tracing::warn!(partition, %error, "the checkpoint is not read"),
        }
        Ok(())
    }
}
