//! A fitted estimator in the graph of a pickle, and typed access to its attributes.

use super::version::Version;
use crate::EngineError;
use crate::kernel::model::MAX_WIDTH;
use crate::reader::array::Array;
use crate::reader::element::Value;
use crate::reader::pickle::{Arena, Graph, Node, NodeId, Role};
use crate::reader::{malformed, numpy, with_article};

/// Estimators within estimators.
const MAX_DEPTH: usize = 16;

/// A fitted estimator.
#[derive(Clone, Copy)]
pub(super) struct Estimator<'r> {
    pub(super) graph: &'r Graph<'r>,
    pub(super) id: NodeId,
    /// Name of its class, which is on the list of known ones.
    pub(super) class: &'r str,
    pub(super) version: Version,
    /// Estimators it stands within.
    depth: usize,
}

impl<'r> Estimator<'r> {
    /// The estimator a file holds, of `version`.
    pub(super) fn root(graph: &'r Graph<'r>, version: Version) -> Result<Self, EngineError> {
        Self::at(graph, graph.root, version, 0)
    }

    /// The estimator at `id`, which stands within this one.
    pub(super) fn child(&self, id: NodeId) -> Result<Self, EngineError> {
        if self.depth == MAX_DEPTH {
            return Err(self.unserved(&format!("within {MAX_DEPTH} others")));
        }
        Self::at(self.graph, id, self.version, self.depth + 1)
    }

    fn at(
        graph: &'r Graph<'r>,
        id: NodeId,
        version: Version,
        depth: usize,
    ) -> Result<Self, EngineError> {
        graph.budget.spend_estimator()?;
        let class = class_name(graph, id).ok_or_else(|| {
            let found = graph.arena.describe(id);
            malformed(format!("{found} where an estimator was expected"))
        })?;
        Ok(Self {
            graph,
            id,
            class,
            version,
            depth,
        })
    }

    pub(super) fn arena(&self) -> &'r Arena<'r> {
        &self.graph.arena
    }

    /// The attribute `name`, unless it is absent or `None`.
    pub(super) fn attribute(&self, name: &str) -> Option<NodeId> {
        let id = self.arena().attribute(self.id, name)?;
        (!matches!(self.arena().get(id), Node::None)).then_some(id)
    }

    /// The attribute `name`, which a fitted estimator has.
    pub(super) fn fitted(&self, name: &str) -> Result<NodeId, EngineError> {
        self.attribute(name)
            .ok_or_else(|| EngineError::Unsupported {
                what: format!("{} without {name}", with_article(self.class)),
                advice: "fit it before it is saved".to_owned(),
            })
    }

    /// The text `name` is, if it is one.
    pub(super) fn text(&self, name: &str) -> Option<&'r str> {
        self.arena().text(self.attribute(name)?)
    }

    /// The truth value `name` is, or what the constructor's default is.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, EngineError> {
        match self.attribute(name) {
            None => Ok(default),
            Some(id) => match numpy::value(self.arena(), id)? {
                Some(Value::Bool(flag)) => Ok(flag),
                Some(Value::Int(number @ 0..=1)) => Ok(number == 1),
                _ => Err(self.wrong(name, id)),
            },
        }
    }

    /// The size `name` is, in Python's or numpy's type.
    pub(super) fn size(&self, name: &str) -> Result<usize, EngineError> {
        let id = self.fitted(name)?;
        let value = numpy::value(self.arena(), id)?.and_then(|value| value.as_i64());
        let size = value.and_then(|value| usize::try_from(value).ok());
        size.ok_or_else(|| self.wrong(name, id))
    }

    /// Columns of the rows it was fitted on, at least one. Those of the first
    /// estimator are fields of the schema, of which there may be fewer.
    pub(super) fn features(&self) -> Result<usize, EngineError> {
        match self.size("n_features_in_")? {
            0 => Err(malformed("a model without features")),
            count @ 1..=MAX_WIDTH => Ok(count),
            count => Err(EngineError::Unsupported {
                what: format!("{} of {count} columns", with_article(self.class)),
                advice: format!("at most {MAX_WIDTH} are served"),
            }),
        }
    }

    /// The number `name` is, which may be NaN.
    pub(super) fn number(&self, name: &str) -> Result<f64, EngineError> {
        let id = self.fitted(name)?;
        let value = numpy::value(self.arena(), id)?.and_then(|value| value.as_f64());
        value.ok_or_else(|| self.wrong(name, id))
    }

    /// The members of the list or tuple `name`.
    pub(super) fn list(&self, name: &str) -> Result<&'r [NodeId], EngineError> {
        let id = self.fitted(name)?;
        self.arena().members(id).ok_or_else(|| self.wrong(name, id))
    }

    /// The array `name` is.
    pub(super) fn array(&self, name: &str) -> Result<Array<'r>, EngineError> {
        self.array_at(name, self.fitted(name)?)
    }

    /// The array at `id`, which is part of `name`.
    pub(super) fn array_at(&self, name: &str, id: NodeId) -> Result<Array<'r>, EngineError> {
        let array = numpy::array(self.arena(), id)?;
        let array = array.ok_or_else(|| self.wrong(name, id))?;
        self.spend(&array)?;
        Ok(array)
    }

    /// The numbers of an array of finite numbers, or of a single one.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, EngineError> {
        let id = self.fitted(name)?;
        let numbers = if let Some(array) = numpy::array(self.arena(), id)? {
            self.spend(&array)?;
            array.f64s()?
        } else {
            let value = numpy::value(self.arena(), id)?.and_then(|value| value.as_f64());
            vec![value.ok_or_else(|| self.wrong(name, id))?]
        };
        if numbers.iter().all(|number| number.is_finite()) {
            return Ok(numbers);
        }
        Err(malformed(format!("{name} of {} is not finite", self.class)))
    }

    /// The same, of which there must be `count`.
    pub(super) fn numbers_of(&self, name: &str, count: usize) -> Result<Vec<f64>, EngineError> {
        let numbers = self.numbers(name)?;
        if numbers.len() == count {
            return Ok(numbers);
        }
        let found = numbers.len();
        Err(malformed(format!("{name} has {found} of {count} values")))
    }

    /// Takes account of an array that is looked at.
    fn spend(&self, array: &Array<'_>) -> Result<(), EngineError> {
        // References take more than their eight bytes once they are followed.
        let size = if array.dtype.is_object() {
            64
        } else {
            array.dtype.size()
        };
        let bytes = array.len().saturating_mul(size);
        self.graph.budget.spend_bytes(bytes)
    }

    /// `name` is not what it should be.
    pub(super) fn wrong(&self, name: &str, id: NodeId) -> EngineError {
        let class = self.arena().class(id);
        if class.is_some_and(|class| class.module.starts_with("scipy.sparse")) {
            return self.unserved(&format!("with a sparse {name}"));
        }
        let found = self.arena().describe(id);
        malformed(format!("{name} of {} is {found}", self.class))
    }

    /// Something about this estimator is not served, and what can be done about it.
    pub(super) fn unserved(&self, what: &str) -> EngineError {
        EngineError::Unsupported {
            what: format!("{} {what}", with_article(self.class)),
            advice: super::globals::onnx_advice(),
        }
    }
}

/// The class of an estimator, if that is what stands at `id`.
pub(super) fn class_name<'r>(graph: &'r Graph<'r>, id: NodeId) -> Option<&'r str> {
    let class = graph.arena.class(id)?;
    (class.role == Role::Estimator).then_some(class.name.as_ref())
}
