//! Pipelines, flattened into scalers and a last estimator.

use super::estimator::Estimator;
use super::linear;
use crate::EngineError;
use crate::kernel::scale::Scaler;
use crate::reader::malformed;
use crate::reader::pickle::{Node, NodeId};

/// Pipelines within pipelines.
const MAX_DEPTH: usize = 8;
/// Steps of a whole model, those that do nothing included.
const MAX_STEPS: usize = 64;

/// What a model consists of, in order.
pub(super) struct Plan<'r> {
    /// Names of classes, as they nest: `Pipeline(StandardScaler, LogisticRegression)`.
    pub(super) algorithm: String,
    /// Every estimator but the pipelines.
    pub(super) members: Vec<Estimator<'r>>,
    /// The steps that change rows.
    pub(super) scalers: Vec<Scaler>,
    /// The estimator that answers; `None` if the model only changes rows.
    pub(super) last: Option<Estimator<'r>>,
    /// Steps seen, of whatever kind: shared pipelines must not multiply.
    seen: usize,
}

/// What `root` consists of.
pub(super) fn plan(root: Estimator<'_>) -> Result<Plan<'_>, EngineError> {
    let mut plan = Plan {
        algorithm: String::new(),
        members: Vec::new(),
        scalers: Vec::new(),
        last: None,
        seen: 0,
    };
    plan.add(root, 0)?;
    if plan.members.is_empty() {
        return Err(root.unserved("without steps"));
    }
    Ok(plan)
}

impl<'r> Plan<'r> {
    fn add(&mut self, estimator: Estimator<'r>, depth: usize) -> Result<(), EngineError> {
        self.algorithm.push_str(estimator.class);
        if estimator.class == "Pipeline" {
            return self.add_steps(estimator, depth);
        }
        if let Some(last) = self.last {
            return Err(last.unserved("that is not the last step"));
        }
        self.members.push(estimator);
        if estimator.class == "StandardScaler" {
            self.scalers.push(linear::scaler(estimator)?);
        } else {
            self.last = Some(estimator);
        }
        Ok(())
    }

    fn add_steps(&mut self, pipeline: Estimator<'r>, depth: usize) -> Result<(), EngineError> {
        if depth == MAX_DEPTH {
            return Err(pipeline.unserved(&format!("within {MAX_DEPTH} others")));
        }
        let list = pipeline.fitted("steps")?;
        let steps = pipeline.arena().members(list);
        let steps = steps.ok_or_else(|| pipeline.wrong("steps", list))?;
        self.seen = self.seen.saturating_add(steps.len());
        if self.seen > MAX_STEPS {
            return Err(pipeline.unserved(&format!("of more than {MAX_STEPS} steps")));
        }
        self.algorithm.push('(');
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                self.algorithm.push_str(", ");
            }
            match pipeline.arena().members(*step) {
                Some(&[_, step]) if passes_through(pipeline, step) => {
                    self.algorithm.push_str("passthrough");
                }
                Some(&[_, step]) => {
                    self.add(
                        Estimator::at(pipeline.graph, step, pipeline.version)?,
                        depth + 1,
                    )?;
                }
                _ => return Err(malformed("a step of a pipeline is no pair")),
            }
        }
        self.algorithm.push(')');
        Ok(())
    }
}

/// Whether a step is `"passthrough"` or `None`.
fn passes_through(pipeline: Estimator<'_>, step: NodeId) -> bool {
    match pipeline.arena().get(step) {
        Node::None => true,
        Node::Text(text) => text == "passthrough",
        _ => false,
    }
}
