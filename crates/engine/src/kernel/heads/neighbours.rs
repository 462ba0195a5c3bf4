//! Answers from the training rows nearest to a row.
//!
//! Every training row is looked at. The nearest are kept in the heap that
//! scikit-learn keeps them in (`sklearn/utils/_heap.pyx`), so that where several
//! are equally far, the same ones stay.

use serde::{Deserialize, Serialize};

use crate::kernel::argmax;
use crate::kernel::functions::{dot, to_shares};
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable, Why};

/// How far two rows are from each other (`sklearn/metrics/_dist_metrics.pyx.tp`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Metric {
    /// The length of the difference.
    Euclidean,
    /// The sum of the differences.
    Manhattan,
    /// The largest difference.
    Chebyshev,
    /// The root of the sum of the differences to this power.
    Minkowski(f64),
    /// One minus the cosine of the angle.
    Cosine,
    /// The share of columns that differ.
    Hamming,
}

/// Which training rows are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reach {
    /// So many of the nearest: at least one, and at most all.
    Nearest(usize),
    /// All that are not farther.
    Within(f64),
}

/// What is known of each training row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Targets {
    /// Its class, of so many.
    Classes(Vec<u32>, usize),
    /// So many numbers.
    Values(Vec<f64>, usize),
}

/// Training rows, and how they answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    /// Row-major, `features` numbers each, at least one row.
    pub(crate) points: Vec<f64>,
    /// Columns of a row.
    pub(crate) features: usize,
    /// One for each point.
    pub(crate) targets: Targets,
    /// How far two rows are from each other.
    pub(crate) metric: Metric,
    /// Which points are neighbours.
    pub(crate) reach: Reach,
    /// Whether near neighbours count more.
    pub(crate) by_distance: bool,
    /// The class of rows without neighbours; they are refused if there is none.
    pub(crate) lonely: Option<u32>,
}

/// A neighbour: how far it is, and its index. While they are looked for, the distance is reduced.
type Near = (f64, usize);

impl Metric {
    /// Something that grows with the distance and is cheaper.
    fn reduced(self, a: &[f64], b: &[f64]) -> f64 {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        match self {
            Self::Euclidean => differences.map(|d| d * d).sum(),
            Self::Manhattan => differences.sum(),
            Self::Chebyshev => differences.fold(0.0, f64::max),
            Self::Minkowski(power) => differences.map(|d| d.powf(power)).sum(),
            Self::Cosine => {
                let lengths = length(a) * length(b);
                let cosine = if lengths == 0.0 {
                    0.0
                } else {
                    dot(a, b) / lengths
                };
                (1.0 - cosine).clamp(0.0, 2.0)
            }
            Self::Hamming => {
                #[expect(clippy::float_cmp, reason = "columns differ or they do not")]
                let differ = a.iter().zip(b).filter(|(a, b)| a != b).count();
                differ as f64 / a.len() as f64
            }
        }
    }

    /// The reduced form of a distance.
    fn reduce(self, distance: f64) -> f64 {
        match self {
            Self::Euclidean => distance * distance,
            Self::Minkowski(power) => distance.powf(power),
            Self::Manhattan | Self::Chebyshev | Self::Cosine | Self::Hamming => distance,
        }
    }

    /// The distance that was reduced.
    fn restore(self, reduced: f64) -> f64 {
        match self {
            Self::Euclidean => reduced.sqrt(),
            Self::Minkowski(power) => reduced.powf(1.0 / power),
            Self::Manhattan | Self::Chebyshev | Self::Cosine | Self::Hamming => reduced,
        }
    }
}

fn length(row: &[f64]) -> f64 {
    dot(row, row).sqrt()
}

impl Neighbours {
    /// Fills `found` with the neighbours of a row and their weights, nearest first
    /// (`sklearn/neighbors/_base.py`, `_get_weights`).
    fn find(&self, row: &[f64], found: &mut Vec<Near>) {
        found.clear();
        let points = self.points.chunks_exact(self.features);
        let each = points.map(|point| self.metric.reduced(row, point));
        match self.reach {
            Reach::Within(radius) => {
                let limit = self.metric.reduce(radius);
                let each = each.enumerate().map(|(index, distance)| (distance, index));
                found.extend(each.filter(|near| near.0 <= limit));
            }
            Reach::Nearest(count) => {
                found.resize(count, (f64::INFINITY, 0));
                for (index, distance) in each.enumerate() {
                    if distance < found[0].0 {
                        sink(found, (distance, index));
                    }
                }
                found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            }
        }
        if !self.by_distance {
            for near in found.iter_mut() {
                near.0 = 1.0;
            }
            return;
        }
        for near in found.iter_mut() {
            near.0 = 1.0 / self.metric.restore(near.0);
        }
        // Where a row was seen in training, nothing else counts.
        if found.iter().any(|near| near.0.is_infinite()) {
            for near in found.iter_mut() {
                near.0 = f64::from(u8::from(near.0.is_infinite()));
            }
        }
    }

    /// Appends the class and its probabilities; `false` for a row without neighbours.
    fn classify(
        &self,
        found: &[Near],
        (labels, classes): (&[u32], usize),
        answer: &mut Answer,
    ) -> bool {
        let start = answer.probabilities.len();
        answer.probabilities.resize(start + classes, 0.0);
        let shares = &mut answer.probabilities[start..];
        for (weight, index) in found {
            shares[labels[*index] as usize] += weight;
        }
        if found.is_empty() {
            let Some(lonely) = self.lonely else {
                return false;
            };
            shares[lonely as usize] = 1.0;
        }
        answer.labels.push(argmax(shares));
        to_shares(shares);
        true
    }
}

/// Puts `near` in the place of the farthest one of a heap, and lets it sink to its own.
fn sink(heap: &mut [Near], near: Near) {
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        let right = left + 1;
        let larger = match (heap.get(left), heap.get(right)) {
            (None, _) => break,
            (Some(a), Some(b)) if a.0 < b.0 => right,
            (Some(_), _) => left,
        };
        if near.0 >= heap[larger].0 {
            break;
        }
        heap[at] = heap[larger];
        at = larger;
    }
    heap[at] = near;
}

/// Appends the mean of `width` values of the neighbours; missing if there are none.
fn mean(found: &[Near], (values, width): (&[f64], usize), answer: &mut Vec<f64>) {
    let weights: f64 = found.iter().map(|near| near.0).sum();
    for column in 0..width {
        let each = found
            .iter()
            .map(|near| near.0 * values[near.1 * width + column]);
        answer.push(if found.is_empty() {
            f64::NAN
        } else {
            each.sum::<f64>() / weights
        });
    }
}

impl Answering for Neighbours {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Gives {
        match self.targets {
            Targets::Classes(_, classes) => Gives {
                classes,
                probabilities: true,
                ..Gives::default()
            },
            Targets::Values(_, values) => Gives {
                values,
                ..Gives::default()
            },
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut found = Vec::new();
        for (index, row) in rows.each().enumerate() {
            self.find(row, &mut found);
            match &self.targets {
                Targets::Values(values, width) => {
                    mean(&found, (values, *width), &mut answer.values);
                }
                Targets::Classes(labels, classes) => {
                    if !self.classify(&found, (labels, *classes), answer) {
                        return Err(Unusable {
                            row: index,
                            column: None,
                            why: Why::Unknown,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let targets = match &self.targets {
            Targets::Classes(labels, _) => labels.len() * 4,
            Targets::Values(values, _) => values.len() * 8,
        };
        self.points.len() * 8 + targets
    }

    fn nanos_per_row(&self) -> usize {
        let each = match self.metric {
            Metric::Minkowski(_) => 20,
            _ => 1,
        };
        self.points.len() * each + 5 * self.points.len() / self.features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heap_keeps_the_nearest() {
        let mut heap = vec![(f64::INFINITY, 0); 3];
        for (index, distance) in [5.0, 1.0, 4.0, 2.0, 3.0].into_iter().enumerate() {
            if distance < heap[0].0 {
                sink(&mut heap, (distance, index));
            }
        }
        let mut kept: Vec<usize> = heap.iter().map(|near| near.1).collect();
        kept.sort_unstable();
        assert_eq!(kept, [1, 3, 4]);
    }

    #[test]
    fn a_row_without_neighbours_is_refused_unless_it_has_a_class() {
        let mut model = Neighbours {
            points: vec![0.0, 1.0],
            features: 1,
            targets: Targets::Classes(vec![0, 1], 2),
            metric: Metric::Euclidean,
            reach: Reach::Within(0.5),
            by_distance: false,
            lonely: None,
        };
        let ask = |model: &Neighbours, x: f64| {
            let mut answer = Answer::default();
            let row = [x];
            let rows = Rows::of_numbers(&row, 1);
            let done = model.predict(rows, &mut answer, &mut Scratch::default());
            done.map(|()| answer.labels[0])
        };
        assert_eq!(ask(&model, 0.9), Ok(1));
        assert!(ask(&model, 9.0).is_err());
        model.lonely = Some(1);
        assert_eq!(ask(&model, 9.0), Ok(1));
    }
}
