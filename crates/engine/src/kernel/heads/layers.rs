//! Multi-layer perceptrons: dense layers one after the other.

use serde::{Deserialize, Serialize};

use super::dense::Dense;
use crate::kernel::argmax;
use crate::kernel::functions::{logistic, softmax};
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};

/// What becomes of the sum of a neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Activation {
    /// Nothing.
    Identity,
    /// `1 / (1 + exp(−x))`
    Logistic,
    /// The hyperbolic tangent.
    Tanh,
    /// Zero where it is negative.
    Relu,
    /// The exponential.
    Exponential,
}

/// What the last layer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reading {
    /// Numbers, after this.
    Values(Activation),
    /// The logistic function of a single neuron: the probability of the second of two classes.
    TwoClasses,
    /// A softmax over classes.
    Classes,
}

/// Layers, at least one, each of which takes what the one before it makes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Layers {
    /// From the rows to the answer.
    pub(crate) stack: Vec<Dense>,
    /// What follows every layer but the last.
    pub(crate) hidden: Activation,
    /// What follows the last.
    pub(crate) reading: Reading,
}

impl Activation {
    fn apply(self, values: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Logistic => values.iter_mut().for_each(|x| *x = logistic(*x)),
            Self::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::Exponential => values.iter_mut().for_each(|x| *x = x.exp()),
        }
    }
}

impl Layers {
    /// Neurons of the last layer.
    fn outputs(&self) -> usize {
        self.stack.last().map_or(1, Dense::neurons)
    }
}

impl Answering for Layers {
    fn takes(&self) -> Shape {
        Shape::numbers(self.stack.first().map_or(0, Dense::inputs))
    }

    fn gives(&self) -> Gives {
        let outputs = self.outputs();
        match self.reading {
            Reading::Values(_) => Gives {
                values: outputs,
                ..Gives::default()
            },
            Reading::TwoClasses | Reading::Classes => Gives {
                classes: outputs.max(2),
                probabilities: true,
                ..Gives::default()
            },
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let (mut values, mut next) = (scratch.numbers(), scratch.numbers());
        values.extend_from_slice(rows.numbers);
        for (index, layer) in self.stack.iter().enumerate() {
            if index > 0 {
                self.hidden.apply(&mut values);
            }
            layer.sums(&values, &mut next);
            std::mem::swap(&mut values, &mut next);
        }
        match self.reading {
            Reading::Values(last) => {
                last.apply(&mut values);
                answer.values.extend_from_slice(&values);
            }
            Reading::TwoClasses => {
                Activation::Logistic.apply(&mut values);
                let labels = values.iter().map(|second| u32::from(*second > 0.5));
                answer.labels.extend(labels);
                let pairs = values.iter().flat_map(|second| [1.0 - second, *second]);
                answer.probabilities.extend(pairs);
            }
            Reading::Classes => {
                for row in values.chunks_exact_mut(self.outputs()) {
                    softmax(row);
                    answer.labels.push(argmax(row));
                }
                answer.probabilities.extend_from_slice(&values);
            }
        }
        scratch.keep(values);
        scratch.keep(next);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.stack.iter().map(Dense::bytes).sum()
    }

    fn nanos_per_row(&self) -> usize {
        self.stack.iter().map(Dense::nanos_per_row).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_layer_is_activated_and_the_last_one_read() {
        let layer = |by_input: &[f64], inputs| {
            Dense::new(inputs, by_input, vec![1.0; by_input.len() / inputs])
        };
        let layers = Layers {
            stack: vec![layer(&[1.0, -1.0, 1.0, -1.0], 2), layer(&[2.0, 3.0], 2)],
            hidden: Activation::Relu,
            reading: Reading::Values(Activation::Identity),
        };
        let mut answer = Answer::default();
        let rows = Rows::of_numbers(&[1.0, 2.0, -1.0, -2.0], 2);
        layers
            .predict(rows, &mut answer, &mut Scratch::default())
            .unwrap();
        assert_eq!(answer.values, [9.0, 13.0]);
    }
}
