//! Columns as values of B-splines, as scikit-learn's `SplineTransformer` makes them.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable, Why};
use crate::kernel::step::Transform;
use crate::reader::malformed;

/// Highest degree: a value needs so many numbers beside it.
const MAX_DEGREE: usize = 64;

/// The splines of each column, side by side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Splines {
    curves: Vec<Curves>,
    beyond: Beyond,
    /// Splines of a column that are answered: all, or all but the last.
    kept: usize,
    /// Whether missing values have zeros for splines.
    missing: bool,
}

/// The splines over one column.
#[derive(Debug, Serialize, Deserialize)]
struct Curves {
    /// In rising order; so many more than splines as the degree and one.
    knots: Vec<f64>,
    degree: usize,
    /// Splines that are different: fewer than the knots have room for if they repeat themselves.
    count: usize,
    /// Values and slopes of all splines at the first and at the last place within.
    ends: [Vec<f64>; 4],
}

/// What is made of values beyond the knots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beyond {
    /// They are refused.
    Refused,
    /// The splines stay as they are at the end.
    Level,
    /// They go on straight.
    Straight,
    /// They go on as the polynomials they are.
    Curved,
    /// They begin again.
    Periodic,
}

impl Splines {
    /// Splines of `degree` over each list of knots.
    pub(crate) fn new(
        knots: Vec<Vec<f64>>,
        degree: usize,
        beyond: Beyond,
    ) -> Result<Self, EngineError> {
        let curves = knots.into_iter();
        let curves = curves.map(|knots| Curves::new(knots, degree, beyond));
        let curves: Vec<Curves> = curves.collect::<Result<_, _>>()?;
        let kept = curves.first().map_or(0, |curves| curves.count);
        if kept == 0 || curves.iter().any(|curves| curves.count != kept) {
            return Err(malformed("the columns have splines of different numbers"));
        }
        Ok(Self {
            curves,
            beyond,
            kept,
            missing: false,
        })
    }

    /// The same without the last spline of each column.
    pub(crate) fn without_last(mut self) -> Self {
        self.kept -= 1;
        self
    }

    /// The same, with zeros for what is missing.
    pub(crate) fn accepting_missing(mut self) -> Self {
        self.missing = true;
        self
    }
}

impl Curves {
    fn new(knots: Vec<f64>, degree: usize, beyond: Beyond) -> Result<Self, EngineError> {
        let room = knots.len().checked_sub(degree + 1);
        let room = room.filter(|room| *room > degree && degree <= MAX_DEGREE);
        let room = room.ok_or_else(|| malformed("splines without knots"))?;
        let rising = knots.windows(2).all(|pair| pair[0] <= pair[1]);
        if !rising || !knots.iter().all(|knot| knot.is_finite()) || knots[degree] >= knots[room] {
            return Err(malformed("the knots of splines are out of order"));
        }
        let periodic = beyond == Beyond::Periodic;
        let mut curves = Self {
            count: if periodic { room - degree } else { room },
            knots,
            degree,
            ends: Default::default(),
        };
        let (first, last) = curves.range();
        for (at, x) in [first, last].into_iter().enumerate() {
            let (mut values, mut slopes) = (vec![0.0; curves.count], vec![0.0; curves.count]);
            curves.values(x, &mut values);
            curves.slopes(x, &mut slopes);
            (curves.ends[2 * at], curves.ends[2 * at + 1]) = (values, slopes);
        }
        Ok(curves)
    }

    /// The first and the last place within.
    fn range(&self) -> (f64, f64) {
        let last = self.knots.len() - self.degree - 1;
        (self.knots[self.degree], self.knots[last])
    }

    /// The interval of knots that `x` is in, or the nearest.
    fn interval(&self, x: f64) -> usize {
        let last = self.knots.len() - self.degree - 2;
        let inner = &self.knots[self.degree + 1..=last];
        self.degree + inner.partition_point(|knot| *knot <= x)
    }

    /// Fills `basis` with the values of the `degree + 1` splines that are not zero in an interval
    /// (de Boor 1972; `scipy/interpolate/src/__fitpack.cc`, `_deBoor_D`).
    fn basis(&self, (x, interval): (f64, usize), degree: usize, basis: &mut [f64]) {
        basis.fill(0.0);
        basis[0] = 1.0;
        let mut before = [0.0; MAX_DEGREE + 1];
        for order in 1..=degree {
            before[..order].copy_from_slice(&basis[..order]);
            basis[0] = 0.0;
            for n in 1..=order {
                let (above, below) = (self.knots[interval + n], self.knots[interval + n - order]);
                if above <= below {
                    basis[n] = 0.0;
                    continue;
                }
                let share = before[n - 1] / (above - below);
                basis[n - 1] += share * (above - x);
                basis[n] = share * (x - below);
            }
        }
    }

    /// Adds the values of the splines at `x` to `values`, which are zeros.
    fn values(&self, x: f64, values: &mut [f64]) {
        let interval = self.interval(x);
        let mut basis = [0.0; MAX_DEGREE + 1];
        let basis = &mut basis[..=self.degree];
        self.basis((x, interval), self.degree, basis);
        for (n, value) in basis.iter().enumerate() {
            values[(interval - self.degree + n) % self.count] += value;
        }
    }

    /// The same of their slopes, from the splines of one degree less.
    fn slopes(&self, x: f64, slopes: &mut [f64]) {
        let Some(lower) = self.degree.checked_sub(1) else {
            return;
        };
        let interval = self.interval(x);
        let mut basis = [0.0; MAX_DEGREE + 1];
        self.basis((x, interval), lower, &mut basis[..=lower]);
        for (n, value) in basis[..=lower].iter().enumerate() {
            let spline = interval - lower + n;
            let width = self.knots[spline + self.degree] - self.knots[spline];
            if width > 0.0 {
                let slope = self.degree as f64 * value / width;
                slopes[spline % self.count] += slope;
                slopes[(spline - 1) % self.count] -= slope;
            }
        }
    }

    /// What is made of `x`, which is beyond the knots, at one of the ends.
    fn beyond(&self, x: f64, straight: bool, values: &mut [f64]) {
        let (first, last) = self.range();
        let (end, at, from) = if x < first {
            (0, first, 0)
        } else {
            (2, last, self.count)
        };
        // Straight lines of degree 0 and 1 have one spline more that is not zero at the end.
        let near = match (straight, self.degree) {
            (true, 0 | 1) => self.degree + 1,
            _ => self.degree,
        };
        let splines = match from {
            0 => 0..near.min(self.count),
            _ => self.count.saturating_sub(near)..self.count,
        };
        for spline in splines {
            values[spline] = self.ends[end][spline];
            if straight {
                values[spline] += (x - at) * self.ends[end + 1][spline];
            }
        }
    }

    /// Fills `values`, which are zeros, with the splines at `x`; `None` if there are none so far out.
    fn at(&self, x: f64, beyond: Beyond, values: &mut [f64]) -> Option<()> {
        let (first, last) = self.range();
        if (first..=last).contains(&x) && beyond != Beyond::Periodic {
            self.values(x, values);
            return Some(());
        }
        match beyond {
            Beyond::Refused => return None,
            Beyond::Level => self.beyond(x, false, values),
            Beyond::Straight => self.beyond(x, true, values),
            Beyond::Curved => self.values(x, values),
            Beyond::Periodic => self.values(first + (x - first).rem_euclid(last - first), values),
        }
        Some(())
    }
}

impl Transform for Splines {
    fn takes(&self) -> Shape {
        Shape::numbers(self.curves.len())
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.curves.len() * self.kept)
    }

    fn accepts_missing(&self) -> bool {
        self.missing
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut values = scratch.numbers();
        for (index, x) in rows.numbers.iter().enumerate() {
            let curves = &self.curves[index % self.curves.len()];
            values.clear();
            values.resize(curves.count, 0.0);
            if !x.is_nan() && curves.at(*x, self.beyond, &mut values).is_none() {
                return Err(rows.unusable(index, Why::Unknown));
            }
            made.numbers.extend_from_slice(&values[..self.kept]);
        }
        scratch.keep(values);
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        match made {
            Column::Number(place) => Some(Column::Number(place / self.kept.max(1))),
            Column::Text(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        let each = self.curves.iter();
        each.map(|curves| 8 * (curves.knots.len() + 4 * curves.count))
            .sum()
    }

    fn nanos_per_row(&self) -> usize {
        let each = self.curves.iter();
        each.map(|curves| 20 + 2 * curves.count + 4 * curves.degree * curves.degree)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splines_add_up_to_one_within_the_knots() {
        let knots: Vec<f64> = (0..9).map(f64::from).collect();
        for beyond in [Beyond::Level, Beyond::Periodic, Beyond::Curved] {
            let curves = Curves::new(knots.clone(), 3, beyond).unwrap();
            for x in [3.0, 3.25, 4.0, 4.9, 5.0] {
                let mut values = vec![0.0; curves.count];
                curves.at(x, beyond, &mut values).unwrap();
                assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{x}");
            }
        }
    }

    #[test]
    fn knots_that_leave_no_room_are_refused() {
        for (knots, degree) in [
            (vec![], 0),
            (vec![0.0, 1.0, 2.0], 1),
            (vec![0.0, 2.0, 1.0, 3.0], 1),
            (vec![0.0, 1.0, 1.0, 3.0], 1),
            (vec![0.0, 1.0, f64::NAN, 3.0], 1),
            (vec![0.0; 200], 99),
        ] {
            assert!(Curves::new(knots, degree, Beyond::Level).is_err());
        }
    }
}
