//! One connection from accept to close.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body;
use axum::http::{Request, Response, Version};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::door::Place;
use super::stream::{Watched, linger, refuse};
use crate::config::Limits;
use crate::context::Peer;
use crate::front::Front;
use crate::problem::Kind;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub builder: auto::Builder<TokioExecutor>,
    pub front: Front,
    pub limits: Arc<Limits>,
    pub drain: CancellationToken,
}

/// Why a connection is no longer served.
enum End {
    /// hyper is done with it, for whatever reason.
    Closed,
    /// It did nothing for too long.
    Cut,
}

/// Serves one connection until it ends, is cut, or has finished draining.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, place: Place) {
    // Without this, small answers wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::begin());
    let end = watch(
        Watched::new(stream, activity.clone()),
        peer,
        &shared,
        &activity,
    )
    .await;
    let Some(stream) = activity.take_back() else {
        return;
    };
    match end {
        End::Cut if activity.owes_timeout_answer() => refuse(&stream, Kind::RequestTimeout),
        End::Closed if !shared.drain.is_cancelled() => linger(stream).await,
        End::Cut | End::Closed => {}
    }
    drop(place);
}

/// Drives the connection and its one deadline together.
async fn watch(
    stream: Watched,
    peer: SocketAddr,
    shared: &Shared,
    activity: &Arc<Activity>,
) -> End {
    let peer = Peer::from(peer);
    let service = service_fn(|request| answer(request, &peer, &shared.front, activity));
    let mut connection = pin!(
        shared
            .builder
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut timer = pin!(tokio::time::sleep(shared.limits.first_request));
    let mut drain = pin!(shared.drain.cancelled());
    let mut draining = false;
    poll_fn(|cx| {
        if !draining && drain.as_mut().poll(cx).is_ready() {
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
        // What goes wrong on a connection is the client's affair or already logged.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::Closed);
        }
        let Some(deadline) = activity.deadline(&shared.limits) else {
            return Poll::Pending;
        };
        // A timer that fires too early only asks again; moving it costs a lock.
        if timer.is_elapsed() || timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(End::Cut);
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await
}

/// Hands one request to the routes, and says so.
fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    front: &Front,
    activity: &Arc<Activity>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<> {
    activity.request_began(request.version() == Version::HTTP_2);
    let open = OpenRequest(activity.clone());
    front.answer(request, peer).map(|response| {
        drop(open);
        Ok(response)
    })
}

/// A request that reached the router; dropped when answered or given up.
struct OpenRequest(Arc<Activity>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}
