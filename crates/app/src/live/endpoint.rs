//! Endpoints as requests see them.

use std::sync::Arc;

use plimsoll_core::endpoint::{EndpointRef, Guardrails, Role, Share, Sticky, Ticket, Traffic};
use plimsoll_core::id::{EndpointId, ModelId, UserId, VersionId};
use plimsoll_store::EndpointRow;

use super::{Live, ModelEntry, VersionEntry};
use crate::Error;
use crate::auth::Caller;
use crate::serving::Room;

/// One endpoint that answers.
#[derive(Debug)]
pub struct EndpointEntry {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub owner: UserId,
    /// Its name, unique per owner.
    pub name: String,
    /// The model of all its versions.
    pub model: Arc<ModelEntry>,
    /// What is refused.
    pub guardrails: Guardrails,
    /// What keeps a caller with a version.
    pub sticky: Sticky,
    /// Whether its models leave memory when nobody asks.
    pub scale_to_zero: bool,
    /// What it takes of the machine.
    pub room: Arc<Room>,
    traffic: Traffic,
    /// Those of `traffic`, in the same order.
    versions: Vec<Arc<VersionEntry>>,
}

impl EndpointEntry {
    /// `None` if what it serves is not there, which the database rules out.
    pub(super) fn new(
        row: EndpointRow,
        shares: Vec<Share>,
        model: &Arc<ModelEntry>,
        room: Arc<Room>,
    ) -> Option<Self> {
        Some(Self {
            id: row.id,
            owner: row.owner_id,
            name: row.name,
            model: model.clone(),
            guardrails: row.guardrails,
            sticky: row.sticky,
            scale_to_zero: row.scale_to_zero,
            room,
            versions: versions(model, &shares)?,
            traffic: Traffic::new(shares).ok()?,
        })
    }

    /// The same endpoint with its model as it was read anew.
    fn of_model(&self, model: &Arc<ModelEntry>) -> Option<Self> {
        Some(Self {
            versions: versions(model, self.traffic.shares())?,
            model: model.clone(),
            name: self.name.clone(),
            guardrails: self.guardrails.clone(),
            sticky: self.sticky.clone(),
            room: self.room.clone(),
            traffic: self.traffic.clone(),
            ..*self
        })
    }

    /// The version that answers a request.
    pub fn answering(&self, ticket: Ticket) -> &Arc<VersionEntry> {
        &self.versions[self.traffic.answering(ticket)]
    }

    /// The shadows that see a request.
    pub fn shadows(&self, ticket: Ticket) -> impl Iterator<Item = &Arc<VersionEntry>> {
        self.traffic.shadows(ticket).map(|at| &self.versions[at])
    }

    /// Whether some requests are shown to shadows.
    pub fn has_shadows(&self) -> bool {
        self.traffic
            .shares()
            .iter()
            .any(|share| share.role == Role::Shadow)
    }

    /// Everything it serves.
    pub fn versions(&self) -> &[Arc<VersionEntry>] {
        &self.versions
    }
}

fn versions(model: &ModelEntry, shares: &[Share]) -> Option<Vec<Arc<VersionEntry>>> {
    let found = |share: &Share| model.by_id(share.version).cloned();
    shares.iter().map(found).collect()
}

impl ModelEntry {
    /// The version with this id.
    pub fn by_id(&self, id: VersionId) -> Option<&Arc<VersionEntry>> {
        self.versions.iter().find(|version| version.id == id)
    }
}

impl Live {
    /// The endpoint with this id, whoever owns it.
    pub fn endpoint_by_id(&self, id: EndpointId) -> Option<&Arc<EndpointEntry>> {
        self.endpoints.get(&id)
    }

    /// All endpoints that answer, in no order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<EndpointEntry>> {
        self.endpoints.values()
    }

    /// The endpoint a caller means: by name among their own, by id also among
    /// everyone's for administrators. What they may not see does not exist;
    /// what is theirs but closed to their key is forbidden.
    pub fn endpoint(
        &self,
        caller: &Caller,
        wanted: &EndpointRef,
    ) -> Result<&Arc<EndpointEntry>, Error> {
        let id = match wanted {
            EndpointRef::Id(id) => Some(id),
            EndpointRef::Name(name) => self
                .endpoints_by_name
                .get(&caller.user)
                .and_then(|names| names.get(name)),
        };
        let endpoint = id
            .and_then(|id| self.endpoints.get(id))
            .filter(|endpoint| endpoint.owner == caller.user || caller.is_admin())
            .ok_or(Error::NotFound { what: "endpoint" })?;
        caller.require_model(endpoint.model.id)?;
        Ok(endpoint)
    }

    /// The names of the endpoints that serve a version of a model, or any of them.
    pub fn serving(&self, model: ModelId, version: Option<VersionId>) -> Vec<&str> {
        let serves = |endpoint: &&Arc<EndpointEntry>| {
            let mut versions = endpoint.versions.iter();
            endpoint.model.id == model
                && version.is_none_or(|version| versions.any(|entry| entry.id == version))
        };
        let serving = self.endpoints.values().filter(serves);
        serving.map(|endpoint| endpoint.name.as_str()).collect()
    }

    /// Adds an endpoint whose model is here.
    pub(super) fn add_endpoint(&mut self, row: EndpointRow, shares: Vec<Share>, room: Arc<Room>) {
        let Some(model) = self.models.get(&row.model_id) else {
            return;
        };
        let Some(entry) = EndpointEntry::new(row, shares, model, room) else {
            return;
        };
        let names = self.endpoints_by_name.entry(entry.owner).or_default();
        Arc::make_mut(names).insert(entry.name.clone(), entry.id);
        self.endpoints.insert(entry.id, Arc::new(entry));
    }

    /// Forgets an endpoint.
    pub(super) fn remove_endpoint(&mut self, id: EndpointId) {
        let Some(entry) = self.endpoints.remove(&id) else {
            return;
        };
        if let Some(names) = self.endpoints_by_name.get_mut(&entry.owner) {
            Arc::make_mut(names).remove(&entry.name);
        }
    }

    /// Lets the endpoints of a model that was read anew see it; those of one that
    /// is gone go too.
    pub(super) fn attach_endpoints(&mut self, model: ModelId) {
        let of_model = |endpoint: &&Arc<EndpointEntry>| endpoint.model.id == model;
        let endpoints: Vec<_> = self.endpoints.values().filter(of_model).cloned().collect();
        for endpoint in endpoints {
            let model = self.models.get(&model);
            match model.and_then(|model| endpoint.of_model(model)) {
                Some(fresh) => drop(self.endpoints.insert(endpoint.id, Arc::new(fresh))),
                None => self.remove_endpoint(endpoint.id),
            }
        }
    }
}
