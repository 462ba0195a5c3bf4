//! Products of columns, in the order of scikit-learn's `PolynomialFeatures`.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::model::MAX_WIDTH;
use crate::kernel::rows::{Rows, Scratch, Shape, Table, Unusable};
use crate::kernel::step::Transform;
use crate::reader::too_large;

/// Columns, and products of them up to some degree.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Polynomial {
    features: usize,
    bias: bool,
    /// Products of two or more columns: a term made before, times a column.
    products: Vec<(u32, u32)>,
    /// Terms that are made but not given, after the bias.
    hidden: usize,
}

/// Which products are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Degrees {
    /// The least degree that is given, not counting the bias.
    pub(crate) least: usize,
    /// The largest degree.
    pub(crate) most: usize,
    /// Whether a column stands at most once in a product.
    pub(crate) distinct: bool,
    /// Whether the first column is 1.
    pub(crate) bias: bool,
}

impl Polynomial {
    /// Products of `features` columns.
    pub(crate) fn new(features: usize, degrees: Degrees) -> Result<Self, EngineError> {
        let mut products: Vec<(u32, u32)> = Vec::new();
        let mut hidden = 0;
        if degrees.most == 0 {
            hidden = features;
        } else if degrees.least > 1 {
            hidden += features;
        }
        // Where the terms of the degree before begin that hold no column before this one, and their end.
        let mut starts: Vec<usize> = (0..=features).collect();
        for degree in 2..=degrees.most {
            let mut next = Vec::with_capacity(features + 1);
            let end = starts[starts.len() - 1];
            for feature in 0..starts.len() - 1 {
                next.push(features + products.len());
                let first = starts[feature + usize::from(degrees.distinct)];
                if products.len() + end.saturating_sub(first) > MAX_WIDTH {
                    return Err(too_large("more products of columns than are served"));
                }
                products.extend((first..end).map(|term| (term as u32, feature as u32)));
            }
            next.push(features + products.len());
            if degree < degrees.least {
                hidden += next[next.len() - 1] - next[0];
            }
            // Every column stands once in the longest product of distinct ones.
            if next[next.len() - 1] == next[0] {
                break;
            }
            starts = next;
        }
        Ok(Self {
            features,
            bias: degrees.bias,
            products,
            hidden,
        })
    }

    fn terms(&self) -> usize {
        self.features + self.products.len()
    }
}

impl Transform for Polynomial {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(usize::from(self.bias) + self.terms() - self.hidden)
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut terms = scratch.numbers();
        for row in rows.each() {
            terms.clear();
            terms.extend_from_slice(row);
            for (term, feature) in &self.products {
                terms.push(terms[*term as usize] * row[*feature as usize]);
            }
            if self.bias {
                made.numbers.push(1.0);
            }
            made.numbers.extend_from_slice(&terms[self.hidden..]);
        }
        scratch.keep(terms);
        Ok(())
    }

    fn widest(&self) -> usize {
        self.terms() + 1
    }

    fn bytes(&self) -> usize {
        8 * self.products.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(least: usize, most: usize, distinct: bool, bias: bool) -> Vec<f64> {
        let degrees = Degrees {
            least,
            most,
            distinct,
            bias,
        };
        let step = Polynomial::new(3, degrees).unwrap();
        let mut made = Table::default();
        let rows = Rows::of_numbers(&[2.0, 3.0, 5.0], 3);
        step.apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers.len(), step.gives().numbers);
        made.numbers
    }

    #[test]
    fn products_stand_in_the_order_of_the_library() {
        let squares = [4.0, 6.0, 10.0, 9.0, 15.0, 25.0];
        assert_eq!(made(2, 2, false, false), squares);
        assert_eq!(
            made(0, 2, true, true),
            [1.0, 2.0, 3.0, 5.0, 6.0, 10.0, 15.0]
        );
        assert_eq!(made(3, 9, true, false), [30.0]);
        assert_eq!(made(0, 0, false, true), [1.0]);
    }

    #[test]
    fn too_many_products_are_refused() {
        let degrees = Degrees {
            least: 0,
            most: 1000,
            distinct: false,
            bias: true,
        };
        assert!(Polynomial::new(1000, degrees).is_err());
        assert!(Polynomial::new(1, degrees).is_ok());
    }
}
