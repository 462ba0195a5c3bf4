//! Classifiers that know how likely a row is in each class: naive Bayes, quadratic discriminants, centroids.

use serde::{Deserialize, Serialize};

use super::linear::Linear;
use crate::kernel::argmax;
use crate::kernel::functions::{dot, softmax};
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Column, Row, Rows, Scratch, Shape, Unusable, Why};

/// A classifier by the largest of one score for each class.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Generative {
    /// The scores.
    pub(crate) scores: Likelihood,
    /// Scores that decide the label in place of these.
    pub(crate) decisive: Option<Likelihood>,
    /// Whether the scores are logarithms of what probabilities are made of.
    pub(crate) probabilities: bool,
}

/// The score of each class: the logarithm of its likelihood, up to what all classes share.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Likelihood {
    /// A sum over the columns, which may first become 1 where they are above a threshold, else 0.
    Sums(Linear, Option<f64>),
    /// Columns that are each normally distributed.
    Normal(Normal),
    /// Columns that are normally distributed together.
    Quadratic(Quadratic),
    /// Columns that are one of so many categories.
    Categories(Categories),
    /// Nearness to a point.
    Centroids(Centroids),
}

/// Means and variances of each column in each class.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Normal {
    /// `classes × features`
    pub(crate) means: Vec<f64>,
    /// `classes × features`, above 0.
    pub(crate) variances: Vec<f64>,
    /// Logarithm of each prior.
    pub(crate) priors: Vec<f64>,
    /// What else does not depend on the row.
    pub(crate) constants: Vec<f64>,
    /// Columns of a row.
    pub(crate) features: usize,
}

/// Each class: its mean, and directions that make its spread 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Quadratic {
    /// `classes × features`
    pub(crate) means: Vec<f64>,
    /// For each class, one row of `features` numbers for each of its directions.
    pub(crate) directions: Vec<Vec<f64>>,
    /// Sum of the logarithms of each spread.
    pub(crate) spreads: Vec<f64>,
    /// Logarithm of each prior.
    pub(crate) priors: Vec<f64>,
    /// Columns of a row.
    pub(crate) features: usize,
}

/// For each category of each column, a number for each class.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Categories {
    /// For each column, `categories × classes` numbers.
    pub(crate) tables: Vec<Vec<f64>>,
    /// Logarithm of each prior.
    pub(crate) priors: Vec<f64>,
}

/// Minus the squared distance from a point of each class.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Centroids {
    /// `classes × features`, divided by the scales if there are any.
    pub(crate) points: Vec<f64>,
    /// What columns are divided by.
    pub(crate) scales: Option<Vec<f64>>,
    /// What is added for each class.
    pub(crate) constants: Vec<f64>,
    /// Whether distances are sums of differences, rather than lengths.
    pub(crate) manhattan: bool,
    /// Columns of a row.
    pub(crate) features: usize,
}

impl Answering for Generative {
    fn takes(&self) -> Shape {
        Shape::numbers(self.scores.features())
    }

    fn takes_sparse(&self) -> bool {
        let takes = |scores: &Likelihood| match scores {
            Likelihood::Sums(_, threshold) => threshold.is_none_or(|limit| limit >= 0.0),
            _ => false,
        };
        takes(&self.scores) && self.decisive.as_ref().is_none_or(takes)
    }

    fn gives(&self) -> Gives {
        let classes = self.scores.classes();
        Gives {
            classes,
            probabilities: self.probabilities,
            values: 0,
            scores: if classes == 2 { 1 } else { classes },
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut scores = scratch.numbers();
        let decisive = self.decisive.as_ref().unwrap_or(&self.scores);
        decisive.of(rows, &mut scores, scratch)?;
        let classes = self.scores.classes();
        answer
            .labels
            .extend(scores.chunks_exact(classes).map(argmax));
        if self.probabilities {
            if self.decisive.is_some() {
                scores.clear();
                self.scores.of(rows, &mut scores, scratch)?;
            }
            scores.chunks_exact_mut(classes).for_each(softmax);
            answer.probabilities.extend_from_slice(&scores);
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
        if self.scores.classes() != 2 {
            return self.scores.of(rows, scores, scratch);
        }
        let mut pairs = scratch.numbers();
        let done = self.scores.of(rows, &mut pairs, scratch);
        let (pairs_of_rows, _) = pairs.as_chunks::<2>();
        scores.extend(pairs_of_rows.iter().map(|[first, second]| second - first));
        scratch.keep(pairs);
        done
    }

    fn bytes(&self) -> usize {
        let decisive = self.decisive.as_ref().map_or(0, Likelihood::numbers);
        (self.scores.numbers() + decisive) * 8
    }

    fn nanos_per_row(&self) -> usize {
        self.scores.numbers() + 20 * self.scores.classes()
    }
}

impl Likelihood {
    fn features(&self) -> usize {
        match self {
            Self::Sums(linear, _) => linear.features,
            Self::Normal(normal) => normal.features,
            Self::Quadratic(quadratic) => quadratic.features,
            Self::Categories(categories) => categories.tables.len(),
            Self::Centroids(centroids) => centroids.features,
        }
    }

    fn classes(&self) -> usize {
        match self {
            Self::Sums(linear, _) => linear.intercepts.len(),
            Self::Normal(normal) => normal.priors.len(),
            Self::Quadratic(quadratic) => quadratic.priors.len(),
            Self::Categories(categories) => categories.priors.len(),
            Self::Centroids(centroids) => centroids.constants.len(),
        }
    }

    /// How many numbers it keeps.
    fn numbers(&self) -> usize {
        match self {
            Self::Sums(linear, _) => linear.weights.len(),
            Self::Normal(normal) => 2 * normal.means.len(),
            Self::Quadratic(quadratic) => quadratic.directions.iter().map(Vec::len).sum(),
            Self::Categories(categories) => categories.tables.iter().map(Vec::len).sum(),
            Self::Centroids(centroids) => centroids.points.len(),
        }
    }

    /// Appends the scores of each of `rows`.
    fn of(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        if let Self::Sums(linear, threshold) = self {
            sums(linear, *threshold, rows, scores);
            return Ok(());
        }
        let mut work = scratch.numbers();
        for (index, row) in rows.each().enumerate() {
            match self {
                Self::Sums(..) => {}
                Self::Normal(normal) => normal.of(row, scores),
                Self::Quadratic(quadratic) => quadratic.of(row, (&mut work, scores)),
                Self::Categories(categories) => {
                    categories.of(row, scores).map_err(|column| Unusable {
                        row: index,
                        column: Some(Column::Number(column)),
                        why: Why::Unknown,
                    })?;
                }
                Self::Centroids(centroids) => centroids.of(row, (&mut work, scores)),
            }
        }
        scratch.keep(work);
        Ok(())
    }
}

/// Appends the sums of each of `rows`, whose numbers may first become 1 above a threshold, else 0.
fn sums(linear: &Linear, threshold: Option<f64>, rows: Rows<'_, '_>, scores: &mut Vec<f64>) {
    let Some(limit) = threshold else {
        return rows.each_row().for_each(|row| linear.scores(row, scores));
    };
    let (mut dense, mut sparse) = (Vec::new(), Vec::new());
    for row in rows.each_row() {
        let row = match row {
            Row::Dense(numbers) => {
                dense.clear();
                dense.extend(numbers.iter().map(|x| f64::from(u8::from(*x > limit))));
                Row::Dense(&dense)
            }
            Row::Sparse(entries) => {
                sparse.clear();
                let above = entries.iter().filter(|(_, x)| *x > limit);
                sparse.extend(above.map(|(column, _)| (*column, 1.0)));
                Row::Sparse(&sparse)
            }
        };
        linear.scores(row, scores);
    }
}

impl Normal {
    fn of(&self, row: &[f64], scores: &mut Vec<f64>) {
        let classes = self
            .means
            .chunks_exact(self.features)
            .zip(self.variances.chunks_exact(self.features));
        let constants = self.priors.iter().zip(&self.constants);
        scores.extend(
            classes
                .zip(constants)
                .map(|((means, variances), (prior, constant))| {
                    let columns = row.iter().zip(means).zip(variances);
                    let each =
                        columns.map(|((x, mean), variance)| (x - mean) * (x - mean) / variance);
                    prior + (constant - 0.5 * each.sum::<f64>())
                }),
        );
    }
}

impl Quadratic {
    fn of(&self, row: &[f64], (from_mean, scores): (&mut Vec<f64>, &mut Vec<f64>)) {
        let means = self.means.chunks_exact(self.features);
        let classes = means.zip(&self.directions);
        let constants = self.spreads.iter().zip(&self.priors);
        for ((means, directions), (spread, prior)) in classes.zip(constants) {
            from_mean.clear();
            from_mean.extend(row.iter().zip(means).map(|(x, mean)| x - mean));
            let directions = directions.chunks_exact(self.features);
            let length: f64 = directions
                .map(|direction| dot(from_mean, direction))
                .map(|along| along * along)
                .sum();
            scores.push(-0.5 * (length + spread) + prior);
        }
    }
}

impl Categories {
    /// Errors: the column whose category is not known.
    fn of(&self, row: &[f64], scores: &mut Vec<f64>) -> Result<(), usize> {
        let classes = self.priors.len();
        let start = scores.len();
        scores.resize(start + classes, 0.0);
        for (column, (x, table)) in row.iter().zip(&self.tables).enumerate() {
            // Numbers lose their fraction, as they do in the library.
            let category = x.trunc();
            let known = (table.len() / classes) as f64;
            if !(0.0..known).contains(&category) {
                return Err(column);
            }
            #[expect(clippy::cast_sign_loss, reason = "not negative, as just seen")]
            let place = category as usize * classes;
            let numbers = table[place..place + classes].iter();
            scores[start..]
                .iter_mut()
                .zip(numbers)
                .for_each(|(score, n)| *score += n);
        }
        let priors = self.priors.iter();
        scores[start..]
            .iter_mut()
            .zip(priors)
            .for_each(|(score, prior)| *score += prior);
        Ok(())
    }
}

impl Centroids {
    fn of(&self, row: &[f64], (scaled, scores): (&mut Vec<f64>, &mut Vec<f64>)) {
        scaled.clear();
        scaled.extend_from_slice(row);
        if let Some(scales) = &self.scales {
            scaled
                .iter_mut()
                .zip(scales)
                .for_each(|(x, scale)| *x /= scale);
        }
        let points = self.points.chunks_exact(self.features);
        scores.extend(points.zip(&self.constants).map(|(point, constant)| {
            let differences = scaled.iter().zip(point).map(|(x, p)| x - p);
            let squared = if self.manhattan {
                let distance: f64 = differences.map(f64::abs).sum();
                distance * distance
            } else {
                differences.map(|difference| difference * difference).sum()
            };
            constant - squared
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_that_was_never_seen_is_refused_by_its_column() {
        let categories = Generative {
            scores: Likelihood::Categories(Categories {
                tables: vec![vec![0.0; 4], vec![0.0; 2]],
                priors: vec![0.0; 2],
            }),
            decisive: None,
            probabilities: true,
        };
        let mut answer = Answer::default();
        let mut ask = |row: [f64; 2]| {
            let rows = Rows::of_numbers(&row, 2);
            categories.predict(rows, &mut answer, &mut Scratch::default())
        };
        assert!(ask([1.9, 0.0]).is_ok());
        assert!(ask([-0.5, 0.0]).is_ok());
        for (row, column) in [
            ([2.0, 0.0], 0),
            ([0.0, 1.0], 1),
            ([-1.0, 0.0], 0),
            ([1e300, 0.0], 0),
        ] {
            let unusable = ask(row).unwrap_err();
            assert_eq!(unusable.column, Some(Column::Number(column)), "{row:?}");
        }
    }
}
