//! Single values changed, each by itself.

use serde::{Deserialize, Serialize};

use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable, Why};
use crate::kernel::step::Transform;

/// Values changed one by one; missing ones stay missing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Elementwise {
    /// Columns of a row.
    pub(crate) features: usize,
    /// What is done to each value.
    pub(crate) change: Change,
    /// Whether missing values pass.
    pub(crate) missing: bool,
}

/// What is done to a value. Lists have one entry for each column.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Nothing.
    Nothing,
    /// `x · factor + shift`, then cut to a range.
    Stretch {
        factor: Vec<f64>,
        shift: Vec<f64>,
        range: Option<(f64, f64)>,
    },
    /// `x / scale`, then cut to -1…1.
    Shrink(Vec<f64>),
    /// 1 above the threshold, else 0.
    Above(f64),
    /// A function of numpy.
    Function(Function),
    /// Box and Cox (1964), section 3: the exponents. It takes positive values alone.
    BoxCox(Vec<f64>),
    /// Yeo and Johnson (2000), section 3: the exponents.
    YeoJohnson(Vec<f64>),
}

/// A function of numpy over one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Function {
    Absolute,
    Arcsin,
    Arcsinh,
    Arctan,
    Cbrt,
    Ceil,
    Cos,
    Exp,
    Exp2,
    Expm1,
    Floor,
    Log,
    Log10,
    Log1p,
    Log2,
    Negative,
    Rint,
    Sign,
    Sin,
    Sqrt,
    Square,
    Tan,
    Tanh,
    Trunc,
}

/// The names numpy gives them.
const FUNCTIONS: &[(&str, Function)] = &[
    ("absolute", Function::Absolute),
    ("arcsin", Function::Arcsin),
    ("arcsinh", Function::Arcsinh),
    ("arctan", Function::Arctan),
    ("cbrt", Function::Cbrt),
    ("ceil", Function::Ceil),
    ("cos", Function::Cos),
    ("exp", Function::Exp),
    ("exp2", Function::Exp2),
    ("expm1", Function::Expm1),
    ("fabs", Function::Absolute),
    ("floor", Function::Floor),
    ("log", Function::Log),
    ("log10", Function::Log10),
    ("log1p", Function::Log1p),
    ("log2", Function::Log2),
    ("negative", Function::Negative),
    ("rint", Function::Rint),
    ("sign", Function::Sign),
    ("sin", Function::Sin),
    ("sqrt", Function::Sqrt),
    ("square", Function::Square),
    ("tan", Function::Tan),
    ("tanh", Function::Tanh),
    ("trunc", Function::Trunc),
];

impl Function {
    /// The function numpy calls `name`, if it is one of these.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = FUNCTIONS.iter().find(|function| function.0 == name);
        found.map(|function| function.1)
    }

    /// The function's value at `x`.
    pub(crate) fn of(self, x: f64) -> f64 {
        match self {
            Self::Absolute => x.abs(),
            Self::Arcsin => x.asin(),
            Self::Arcsinh => x.asinh(),
            Self::Arctan => x.atan(),
            Self::Cbrt => x.cbrt(),
            Self::Ceil => x.ceil(),
            Self::Cos => x.cos(),
            Self::Exp => x.exp(),
            Self::Exp2 => x.exp2(),
            Self::Expm1 => x.exp_m1(),
            Self::Floor => x.floor(),
            Self::Log => x.ln(),
            Self::Log10 => x.log10(),
            Self::Log1p => x.ln_1p(),
            Self::Log2 => x.log2(),
            Self::Negative => -x,
            Self::Rint => x.round_ties_even(),
            Self::Sign if x == 0.0 || x.is_nan() => x,
            Self::Sign => x.signum(),
            Self::Sin => x.sin(),
            Self::Sqrt => x.sqrt(),
            Self::Square => x * x,
            Self::Tan => x.tan(),
            Self::Tanh => x.tanh(),
            Self::Trunc => x.trunc(),
        }
    }
}

/// As scipy has it in `special/_boxcox.pxd`.
fn box_cox(x: f64, exponent: f64) -> f64 {
    let power = exponent * x.ln();
    if exponent.abs() < 1e-19 {
        x.ln()
    } else if power < 709.78 {
        power.exp_m1() / exponent
    } else {
        exponent.signum() * (power - exponent.abs().ln()).exp() - 1.0 / exponent
    }
}

/// As scipy has it in `stats/_morestats.py`, `_yeojohnson_transform`.
fn yeo_johnson(x: f64, exponent: f64) -> f64 {
    if x >= 0.0 {
        if exponent.abs() < f64::EPSILON {
            return x.ln_1p();
        }
        return (exponent * x.ln_1p()).exp_m1() / exponent;
    }
    let other = 2.0 - exponent;
    if other.abs() > f64::EPSILON {
        return -(other * (-x).ln_1p()).exp_m1() / other;
    }
    -(-x).ln_1p()
}

impl Change {
    /// Changes the values of rows of `features` columns.
    fn change(&self, numbers: &mut [f64], features: usize) {
        let each = numbers.chunks_exact_mut(features.max(1));
        match self {
            Self::Nothing => {}
            Self::Stretch {
                factor,
                shift,
                range,
            } => each.for_each(|row| {
                for (x, (factor, shift)) in row.iter_mut().zip(factor.iter().zip(shift)) {
                    *x = *x * factor + shift;
                    if let Some((least, most)) = range {
                        *x = cut(*x, *least, *most);
                    }
                }
            }),
            Self::Shrink(scale) => each.for_each(|row| {
                let values = row.iter_mut().zip(scale);
                values.for_each(|(x, scale)| *x = cut(*x / scale, -1.0, 1.0));
            }),
            Self::Above(threshold) => {
                let values = numbers.iter_mut();
                values.for_each(|x| *x = f64::from(u8::from(*x > *threshold)));
            }
            Self::Function(function) => numbers.iter_mut().for_each(|x| *x = function.of(*x)),
            Self::BoxCox(exponents) => each.for_each(|row| {
                let values = row.iter_mut().zip(exponents);
                values.for_each(|(x, exponent)| *x = box_cox(*x, *exponent));
            }),
            Self::YeoJohnson(exponents) => each.for_each(|row| {
                let values = row.iter_mut().zip(exponents);
                values.for_each(|(x, exponent)| *x = yeo_johnson(*x, *exponent));
            }),
        }
    }
}

/// `x` within a range; NaN stays NaN.
fn cut(x: f64, least: f64, most: f64) -> f64 {
    if x < least {
        least
    } else if x > most {
        most
    } else {
        x
    }
}

impl Transform for Elementwise {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn accepts_missing(&self) -> bool {
        self.missing
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        if let Change::BoxCox(_) = self.change
            && let Some(index) = rows.numbers.iter().position(|x| *x <= 0.0)
        {
            return Err(rows.unusable(index, Why::NotPositive));
        }
        made.numbers.extend_from_slice(rows.numbers);
        self.change.change(&mut made.numbers, self.features);
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        Some(made)
    }

    fn bytes(&self) -> usize {
        match &self.change {
            Change::Stretch { factor, shift, .. } => 8 * (factor.len() + shift.len()),
            Change::Shrink(list) | Change::BoxCox(list) | Change::YeoJohnson(list) => {
                8 * list.len()
            }
            Change::Nothing | Change::Above(_) | Change::Function(_) => 0,
        }
    }

    fn nanos_per_row(&self) -> usize {
        let each = match self.change {
            Change::Nothing | Change::Stretch { .. } | Change::Shrink(_) | Change::Above(_) => 2,
            Change::Function(_) => 10,
            Change::BoxCox(_) | Change::YeoJohnson(_) => 40,
        };
        each * self.features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions_are_found_and_others_are_not() {
        assert_eq!(Function::named("log1p"), Some(Function::Log1p));
        assert_eq!(Function::named("frompyfunc"), None);
    }

    #[test]
    fn the_transforms_meet_their_limits() {
        for (exponent, near) in [(1e-12, 0.0), (2.0 - 1e-9, 2.0)] {
            for x in [-3.0, -0.5, 0.0, 0.5, 3.0] {
                let difference = yeo_johnson(x, exponent) - yeo_johnson(x, near);
                assert!(difference.abs() < 1e-7, "{x} {exponent}");
            }
        }
        assert!((box_cox(5.0, 1e-12) - 5_f64.ln()).abs() < 1e-9);
        assert!((box_cox(1e200, 2.0) - f64::INFINITY).is_nan());
    }

    #[test]
    fn a_value_that_is_not_positive_has_no_logarithm() {
        let step = Elementwise {
            features: 2,
            change: Change::BoxCox(vec![0.5, 0.5]),
            missing: true,
        };
        let rows = Rows::of_numbers(&[1.0, f64::NAN, 2.0, 0.0], 2);
        let refused = step.apply(rows, &mut Table::default(), &mut Scratch::default());
        let expected = Unusable {
            row: 1,
            column: Some(Column::Number(1)),
            why: Why::NotPositive,
        };
        assert_eq!(refused, Err(expected));
    }
}
