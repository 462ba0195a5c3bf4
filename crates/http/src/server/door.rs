//! Who may connect: caps on open connections, in all and per address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;

use super::stream;
use crate::config::Limits;
use crate::metrics::HttpMeters;
use crate::problem::Kind;

/// Open connections by address.
type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Lets connections in while there is room.
#[derive(Debug)]
pub(super) struct Door {
    limits: Arc<Limits>,
    addresses: Addresses,
    meters: Arc<HttpMeters>,
}

/// One connection's place among those of its address and in all; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Place {
    addresses: Addresses,
    address: IpAddr,
    meters: Arc<HttpMeters>,
}

impl Door {
    pub(super) fn new(limits: Arc<Limits>, meters: Arc<HttpMeters>) -> Self {
        Self {
            limits,
            addresses: Addresses::default(),
            meters,
        }
    }

    /// Gives a new connection its place, or tells it why there is none.
    pub(super) fn admit(&self, stream: &TcpStream, peer: SocketAddr, open: usize) -> Option<Place> {
        let address = peer.ip().to_canonical();
        if open >= self.limits.connections {
            self.meters.refused("all");
            stream::refuse(stream, Kind::Overloaded);
            return None;
        }
        if !self.enter(address) {
            self.meters.refused("address");
            stream::refuse(stream, Kind::RateLimited);
            return None;
        }
        self.meters.connections.inc();
        Some(Place {
            addresses: self.addresses.clone(),
            address,
            meters: self.meters.clone(),
        })
    }

    /// Counts one more connection of `address` unless it has too many already.
    fn enter(&self, address: IpAddr) -> bool {
        let unlimited = self.limits.loopback_unlimited && address.is_loopback();
        let mut open = lock(&self.addresses);
        let count = open.entry(address).or_default();
        let admitted = unlimited || *count < self.limits.connections_per_address;
        *count += usize::from(admitted);
        admitted
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.meters.connections.dec();
        let mut open = lock(&self.addresses);
        if let Some(count) = open.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

fn lock(addresses: &Addresses) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}
