//! HTTP for operators and queries: so many connections at a time, and none that takes its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{service_fn, Service as _};
use hyper::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// After a failed accept; it fails when the process has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const HEAD_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Copy)]
struct Limits {
    /// Others wait in the system's queue.
    connections: usize,
    /// The head of a request, idle time before it included.
    head: Duration,
    /// The body of a request, and its answer.
    request: Duration,
}

const LIMITS: Limits = Limits {
    connections: 256,
    head: Duration::from_secs(75),
    request: Duration::from_secs(60),
};

/// Listens; connections end with the task that is returned.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    what: &'static str,
) -> anyhow::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, what, "listening");
    Ok(tokio::spawn(accept(listener, router, LIMITS)))
}

async fn accept(listener: TcpListener, router: Router, limits: Limits) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(slot) = slots.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = serve_connection(stream, router.clone(), limits);
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, limits: Limits) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request);
        async move {
            let answer = tokio::time::timeout(limits.request, answer).await;
            answer.unwrap_or_else(|_| Ok(too_slow()))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

fn too_slow() -> Response {
    StatusCode::REQUEST_TIMEOUT.into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A server for one connection at a time.
    async fn server() -> SocketAddr {
        let limits = Limits {
            connections: 1,
            head: Duration::from_millis(200),
            request: Duration::from_millis(200),
        };
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/", post(|body: String| async { body }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, router, limits));
        address
    }

    /// Sends a beginning, and returns all that comes until the server hangs up.
    async fn answer(address: SocketAddr, sent: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut told = String::new();
        let read = stream.read_to_string(&mut told);
        let _ = tokio::time::timeout(PATIENCE, read).await.expect("an end");
        told
    }

    #[tokio::test]
    async fn whoever_is_slow_makes_room() {
        let address = server().await;
        let get = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let slow_body = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
        // The silent ones have the only slot first.
        let silent = TcpStream::connect(address).await.unwrap();
        let half = TcpStream::connect(address).await.unwrap();
        let (slow, told) = tokio::join!(answer(address, slow_body), answer(address, get));
        assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
        assert!(
            told.starts_with("HTTP/1.1 200") && told.ends_with("here"),
            "{told}"
        );
        drop((silent, half));
    }
}
