//! The nearest of several centres, found at once or down a tree of pairs.

use serde::{Deserialize, Serialize};

use crate::kernel::functions::dot;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};

/// One choice between centres.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Choice {
    /// `next.len() × features` numbers.
    pub(crate) centres: Vec<f64>,
    /// What the nearest centre leads to, at least one.
    pub(crate) next: Vec<Next>,
}

/// What follows a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Next {
    /// The row belongs to this cluster.
    Cluster(u32),
    /// A later choice, by its index.
    Choice(usize),
}

/// Clusters, by choices that lead to later ones only; the first is where rows begin.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Clusters {
    /// At least one.
    pub(crate) choices: Vec<Choice>,
    /// Columns of a row.
    pub(crate) features: usize,
}

impl Clusters {
    fn cluster(&self, row: &[f64]) -> u32 {
        let mut at = 0;
        loop {
            let choice = &self.choices[at];
            let centres = choice.centres.chunks_exact(self.features);
            // |x − c|² without |x|², which all centres share, as the library compares them
            // (`sklearn/cluster/_k_means_lloyd.pyx`).
            let distances = centres.map(|centre| dot(centre, centre) - 2.0 * dot(row, centre));
            let nearest = distances
                .enumerate()
                .fold((0, f64::INFINITY), |best, next| {
                    if next.1 < best.1 { next } else { best }
                });
            match choice.next[nearest.0] {
                Next::Cluster(cluster) => return cluster,
                Next::Choice(later) => at = later,
            }
        }
    }
}

impl Answering for Clusters {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Gives {
        Gives {
            values: 1,
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        let clusters = rows.each().map(|row| f64::from(self.cluster(row)));
        answer.values.extend(clusters);
        Ok(())
    }

    fn bytes(&self) -> usize {
        let numbers = self.choices.iter().map(|choice| choice.centres.len());
        numbers.sum::<usize>() * 8
    }

    fn nanos_per_row(&self) -> usize {
        self.bytes() / 4
    }
}
