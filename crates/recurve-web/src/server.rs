//! The server of the page: on this machine only, for this run only.
//!
//! It listens on the loopback address. A page from elsewhere that a browser has open could still reach it,
//! so it refuses what such a page would send: a `Host` that is not its own address (a foreign name that
//! was pointed here), an `Origin` or `Sec-Fetch-Site` that is not its own, and a question whose body is
//! not JSON, which a browser sends across origins only after asking. Questions are at most a megabyte.
//! It serves the files within the program and the answers of the explorer; no path leads to the disk.

use crate::assets::{self, PAGE};
use crate::explorer::{Answer, Explorer};
use crate::worker::{self, Asker};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use recurve_train::error::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes of a question, at most.
const LARGEST_QUESTION: usize = 1 << 20;
/// The port that is taken where none is asked for, if it is free: so that addresses can be kept.
const USUAL_PORT: u16 = 4870;
/// How long an answer under way may take once the program is asked to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A server that has its address and is ready to run.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    asker: Asker,
}

#[derive(Clone)]
struct Shared {
    asker: Asker,
    own: Arc<[String; 2]>,
}

impl Server {
    /// Takes a port of this machine; the usual one or any that is free where none is given.
    ///
    /// # Errors
    /// The port is taken, or the system gives no thread.
    pub(crate) fn bind(explorer: Explorer, port: Option<u16>) -> Result<Self> {
        let on = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = match port {
            None => on(USUAL_PORT).or_else(|_| on(0)),
            Some(port) => on(port),
        };
        let failed = |error: std::io::Error| {
            let port = port.unwrap_or(USUAL_PORT);
            Error::usage(format!(
                "cannot listen on port {port} of this machine; choose another, or leave out --port"
            ))
            .with_source(error)
        };
        let listener = listener.map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, asker: worker::start(explorer)? })
    }

    /// Where the page is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the page until `stop` is set.
    ///
    /// # Errors
    /// The system does not let the server run.
    pub fn run(self, stop: &AtomicBool) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::failed("the server of the page cannot run").with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(failed)?;
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            let until = async {
                // Told, or the teller is gone: both mean to end.
                let _ = told.await;
            };
            let serving = axum::serve(listener, router(self.asker, self.address.port()));
            let mut serving = tokio::spawn(serving.with_graceful_shutdown(until).into_future());
            loop {
                tokio::select! {
                    ended = &mut serving => return ended.map_err(std::io::Error::other).and_then(|r| r).map_err(failed),
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            drop(tell);
            // What takes longer is cut off.
            let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
            Ok(())
        })
    }
}

fn router(asker: Asker, port: u16) -> Router {
    let own = Arc::new([format!("127.0.0.1:{port}"), format!("localhost:{port}")]);
    let shared = Shared { asker, own };
    Router::new()
        .route("/", get(page))
        .route("/assets/{*name}", get(asset))
        .route("/api/{question}", post(question))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "pages are got, questions are posted")
        })
        .layer(DefaultBodyLimit::max(LARGEST_QUESTION))
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// Lets through what the page itself asks, and nothing that another page could.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match check(request.headers(), &shared.own[..]) {
        Ok(()) => next.run(request).await,
        Err(why) => refusal(StatusCode::FORBIDDEN, why),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(headers: &HeaderMap, own: &[String]) -> std::result::Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() || !host.is_some_and(|host| own.iter().any(|own| own == host)) {
        return Err("the Host is not the address of this page; open it as http://127.0.0.1:PORT");
    }
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let is_own = |origin: &str| {
        origin.strip_prefix("http://").is_some_and(|origin| own.iter().any(|own| own == origin))
    };
    if origin.is_some_and(|origin| !is_own(origin)) {
        return Err("the request comes from another page");
    }
    let site = headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default());
    // `none` is a person who typed the address; a link from elsewhere to the page itself is fine too.
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) && !navigates {
        return Err("the request comes from another site");
    }
    Ok(())
}

async fn page() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

async fn asset(Path(name): Path<String>) -> Response {
    match assets::find(&name) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.kind)], asset.text).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "the page has no such file"),
    }
}

async fn question(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: std::result::Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if is_json.is_none_or(|kind| kind.split(';').next() != Some("application/json")) {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a question is application/json");
    }
    let body = match body {
        Ok(body) => body,
        Err(error) => return refusal(error.status(), &error.body_text()),
    };
    match shared.asker.ask(name, body.to_vec()).await {
        Ok(Answer::Json(value)) => {
            ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
        }
        Ok(Answer::Numbers(bytes)) => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from(bytes))
                .into_response()
        }
        Err(error) if error.is_usage() => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refusal(status: StatusCode, why: &str) -> Response {
    let body = serde_json::json!({"error": why}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
