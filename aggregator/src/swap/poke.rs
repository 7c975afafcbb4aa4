//! Makes the serving threads look at the registry between two messages.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::partition::Input;

/// How long a swap waits for a thread that has messages queued before it.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The partitions that are running. Cloning shares the list.
#[derive(Clone, Default)]
pub struct Pokes(Arc<Mutex<Vec<mpsc::Sender<Input>>>>);

impl Pokes {
    pub(crate) fn add(&self, inputs: mpsc::Sender<Input>) {
        let mut running = self.0.lock();
        running.retain(|inputs| !inputs.is_closed());
        running.push(inputs);
    }

    /// Returns once every thread has looked, or after a while.
    pub async fn refresh_all(&self) {
        let partitions = self.0.lock().clone();
        let looks = partitions.into_iter().map(|inputs| async move {
            let (done, look) = oneshot::channel();
            if inputs.send(Input::Refresh(done)).await.is_ok() {
                let _ = look.await;
            }
        });
        let _ = tokio::time::timeout(WAIT_MAX, futures::future::join_all(looks)).await;
    }
}
