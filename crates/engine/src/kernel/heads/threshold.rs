//! A classifier of two classes whose label depends on a chosen threshold
//! (`sklearn/model_selection/_classification_threshold.py`, since 1.5).

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// A classifier, and what its score for one class must reach.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Threshold {
    model: Box<Model>,
    /// Whether the score is the probability of the class; it is the decision otherwise.
    by_probability: bool,
    /// The class that is answered from the threshold on.
    positive: u32,
    least: f64,
}

impl Threshold {
    /// A classifier of two classes that has the score.
    pub(crate) fn new(
        model: Model,
        by_probability: bool,
        positive: u32,
        threshold: f64,
    ) -> Result<Self, EngineError> {
        let gives = model.gives();
        let can = if by_probability {
            gives.probabilities
        } else {
            gives.scores == 1
        };
        if gives.classes != 2 || !can || positive > 1 {
            return Err(malformed("a threshold for a classifier without that score"));
        }
        Ok(Self {
            model: Box::new(model),
            by_probability,
            positive,
            least: threshold,
        })
    }

    fn label(&self, score: f64) -> u32 {
        if score >= self.least {
            self.positive
        } else {
            1 - self.positive
        }
    }
}

impl Answering for Threshold {
    fn takes(&self) -> Shape {
        self.model.takes()
    }

    fn gives(&self) -> Gives {
        self.model.gives()
    }

    /// The classifier looks for itself.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let start = answer.labels.len();
        let shares = answer.probabilities.len();
        self.model.predict(rows, answer, scratch)?;
        if self.by_probability {
            let pairs = answer.probabilities[shares..].as_chunks::<2>().0.iter();
            let scores = pairs.map(|pair| pair[self.positive as usize]);
            let labels = answer.labels[start..].iter_mut();
            labels
                .zip(scores)
                .for_each(|(label, score)| *label = self.label(score));
            return Ok(());
        }
        let mut scores = scratch.numbers();
        self.model.decide(rows, &mut scores, scratch)?;
        let labels = answer.labels[start..].iter_mut();
        for (label, score) in labels.zip(&scores) {
            *label = self.label(if self.positive == 1 { *score } else { -score });
        }
        scratch.keep(scores);
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.model.decide(rows, scores, scratch)
    }

    fn bytes(&self) -> usize {
        self.model.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.model.nanos_per_row() + 5
    }
}
