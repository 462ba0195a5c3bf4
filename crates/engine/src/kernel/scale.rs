//! Centring and scaling of columns, as scikit-learn's `StandardScaler` does.

/// `(x − mean) / scale`, column by column, in that order of operations.
#[derive(Debug)]
pub(crate) struct Scaler {
    /// What is subtracted from each column; `None` for nothing.
    pub(crate) mean: Option<Vec<f64>>,
    /// What each column is then divided by; `None` for nothing.
    pub(crate) scale: Option<Vec<f64>>,
}

impl Scaler {
    /// Scales row-major `rows` in place. Missing values stay missing.
    pub(crate) fn apply(&self, rows: &mut [f64]) {
        if let Some(mean) = &self.mean {
            for row in rows.chunks_exact_mut(mean.len()) {
                row.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
            }
        }
        if let Some(scale) = &self.scale {
            for row in rows.chunks_exact_mut(scale.len()) {
                row.iter_mut().zip(scale).for_each(|(x, scale)| *x /= scale);
            }
        }
    }

    /// Bytes of memory kept.
    pub(crate) fn bytes(&self) -> usize {
        let parts = [&self.mean, &self.scale];
        parts
            .iter()
            .map(|part| part.as_ref().map_or(0, |p| p.len() * 8))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "small integers are exact")]
    fn columns_are_centred_before_they_are_scaled() {
        let scaler = Scaler {
            mean: Some(vec![1.0, 2.0]),
            scale: Some(vec![2.0, 4.0]),
        };
        let mut rows = [3.0, 10.0, f64::NAN, 2.0];
        scaler.apply(&mut rows);
        assert_eq!(rows[..2], [1.0, 2.0]);
        assert!(rows[2].is_nan());
        assert_eq!(rows[3], 0.0);
    }
}
